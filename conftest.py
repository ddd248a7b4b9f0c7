"""Makes tests of the code in README.md, in the docs and in the docstrings of the package."""

import os
import tempfile
from typing import Any

import keras
import numpy as np
from sybil import Document, Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

import keras_balanced_siamese as kbs


class Docstrings(PythonDocStringDocument):
    """The docstrings of a module, whose examples see what a user sees and not what the module imports."""

    def __init__(self, text: str, path: str):
        Document.__init__(self, text, path)


def start_page(namespace: dict[str, Any]) -> None:
    """Seed, and go to an empty folder, where an example may save its model; each page imports what it uses."""
    folder = tempfile.TemporaryDirectory()
    namespace["__leave__"] = (os.getcwd(), folder)
    os.chdir(folder.name)
    keras.utils.set_random_seed(0)


def end_page(namespace: dict[str, Any]) -> None:
    """Go back, and remove the folder."""
    home, folder = namespace.pop("__leave__")
    os.chdir(home)
    folder.cleanup()


def start_docstrings(namespace: dict[str, Any]) -> None:
    """Seed, and provide the names that docstring examples use without importing them."""
    namespace.update({name: value for name, value in vars(kbs).items() if not name.startswith("_")})
    namespace.update(np=np, keras=keras)
    keras.utils.set_random_seed(0)


pages = Sybil(
    [PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    setup=start_page,
    teardown=end_page,
)
docstrings = Sybil(
    [DocTestParser()],
    patterns=["keras_balanced_siamese/*.py", "keras_balanced_siamese/*/*.py"],
    setup=start_docstrings,
    document_types={".py": Docstrings},
)

pytest_collect_file = (pages + docstrings).pytest()
