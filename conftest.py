"""Tests of the code in README.md, in the docs and in the docstrings; the guard of tests that need no backend."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
from sybil import Document, Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

import keras_balanced_siamese as kbs

OLD_MODEL = Path(__file__).parent / "tests" / "data" / "legacy" / "nested_batch_normalization.h5"


class Docstrings(PythonDocStringDocument):
    """The docstrings of a module, whose examples see what a user sees and not what the module imports."""

    def __init__(self, text: str, path: str):
        Document.__init__(self, text, path)


def start_page(namespace: dict[str, Any]) -> None:
    """Seed, and go to a folder with an old model, where an example may save its own; each page imports what it uses."""
    folder = tempfile.TemporaryDirectory()
    shutil.copy(OLD_MODEL, Path(folder.name, "old.h5"))
    namespace["__leave__"] = (os.getcwd(), folder)
    os.chdir(folder.name)
    keras.utils.set_random_seed(0)


def end_page(namespace: dict[str, Any]) -> None:
    """Go back, and remove the folder."""
    home, folder = namespace.pop("__leave__")
    os.chdir(home)
    folder.cleanup()


def start_docstrings(namespace: dict[str, Any]) -> None:
    """Provide the names that docstring examples use without importing them, in such a folder as well."""
    start_page(namespace)
    namespace.update({name: value for name, value in vars(kbs).items() if not name.startswith("_")})
    namespace.update(np=np, keras=keras)


pages = Sybil(
    [PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    setup=start_page,
    teardown=end_page,
)
docstrings = Sybil(
    [DocTestParser()],
    patterns=[f"keras_balanced_siamese/{depth}*.py" for depth in ("", "*/", "*/*/")],
    excludes=[] if hasattr(keras, "StatelessScope") else ["keras_balanced_siamese/chunked.py"],  # refused there
    setup=start_docstrings,
    teardown=end_page,
    document_types={".py": Docstrings},
)

pytest_collect_file = (pages + docstrings).pytest()

# rooms whose docstring examples need no backend; test files say so themselves, by the marker `numpy_only`
NUMPY_ONLY = (
    "sampling",
    "loading",
    "evaluation",
    "neighbours",
    "gallery",
    "plots",
    "class_weights.py",
    "class_split.py",
    "_labels.py",
)
WITH_BACKEND = ("plots/_reliability.py",)  # except these


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the docstring examples that need no backend."""
    package = Path(kbs.__file__).parent
    for item in items:
        inside = [
            any(item.path.is_relative_to(package / room) for room in rooms) for rooms in (NUMPY_ONLY, WITH_BACKEND)
        ]
        if inside == [True, False]:
            item.add_marker("numpy_only")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run what is marked as needing no backend without one."""
    with no_backend() if item.get_closest_marker("numpy_only") else contextlib.nullcontext():
        return (yield)


@contextlib.contextmanager
def no_backend() -> Iterator[None]:
    """Let everything fail that reaches a backend through Keras: such a test has to run on every lane."""

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("This test uses a backend: take the marker `numpy_only` off it, so that all lanes run it")

    with contextlib.ExitStack() as patches:
        for kind in (keras.layers.Layer, keras.Model, keras.losses.Loss, keras.metrics.Metric):
            patches.enter_context(mock.patch.object(kind, "__init__", refuse))
        operations = getattr(keras, "ops", None)
        for name in [] if operations is None else dir(operations):
            if callable(getattr(operations, name)) and not name.startswith("_"):
                patches.enter_context(mock.patch.object(operations, name, refuse))
        yield
