"""The plan of the package: its rooms, their public names, and the tests that mirror them."""

import ast
from pathlib import Path

import pytest

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only
PACKAGE, TESTS = Path(kbs.__file__).parent, Path(__file__).parent
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
BACKENDS = {"keras", "tensorflow", "jax", "torch"}


def imported(tree):
    """The dotted name of everything that the code imports, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{name.name}" for name in node.names)


def private_names_of_other_rooms(code, room):
    """What code of one room imports from another room's underscore modules, or its underscore names."""
    found = []
    for name in imported(ast.parse(code)):
        top, *parts = name.split(".")
        assert top, f"use the full name instead of the relative import {name}"
        inside = parts[1:] if top == PACKAGE.name and parts and parts[0] in ROOMS - {room} else []
        found += [name] if any(part.startswith("_") for part in inside) else []
    return found


def is_numpy_only(code):
    """Whether the marker stands at the top of a test file, so that it is for all its tests."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["pytestmark"]:
            return "pytest.mark.numpy_only" in ast.unparse(node.value)
    return False


def backends_in(code):
    return BACKENDS & {name.split(".")[0] for name in imported(ast.parse(code))}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_uses_only_public_names_of_other_rooms(path):
    assert private_names_of_other_rooms(path.read_text(), path.relative_to(PACKAGE).parts[0]) == []


def test_test_files_that_need_no_backend_import_none():
    marked = [path for path in TESTS.rglob("test_*.py") if is_numpy_only(path.read_text())]
    assert len(marked) > 1
    assert {path.name: found for path in marked if (found := backends_in(path.read_text()))} == {}


def test_the_folders_of_the_tests_are_those_of_the_package():
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*.py")} - {Path(), Path("data")}
    assert [str(folder) for folder in folders if not (PACKAGE / folder / "__init__.py").exists()] == []


def test_names_of_test_files_are_unique():
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from keras_balanced_siamese.losses._pair_loss import PairLoss", True),
        ("from keras_balanced_siamese.losses.contrastive import _gap", True),
        ("def f():\n    from keras_balanced_siamese.losses import _pair_loss", True),
        ("import keras_balanced_siamese.losses._pair_loss as hidden", True),
        ("from keras_balanced_siamese.losses import PairLoss", False),
        ("from keras_balanced_siamese.losses.contrastive import contrastive", False),
        ("from keras_balanced_siamese.layers._pair_distance import PairDistance", False),
        ("from keras_balanced_siamese._checks import one_of", False),
        ("from keras_balanced_siamese import _labels", False),
    ],
)
def test_private_imports_are_found(code, found):
    assert bool(private_names_of_other_rooms(code, "layers")) == found


@pytest.mark.parametrize(
    ("code", "marked", "backends"),
    [
        ("pytestmark = pytest.mark.numpy_only\nimport numpy", True, set()),
        ("pytestmark = [pytest.mark.slow, pytest.mark.numpy_only]\ndef f():\n    import jax.numpy", True, {"jax"}),
        ("@pytest.mark.numpy_only\ndef test(): ...\nfrom keras.layers import Dense", False, {"keras"}),
    ],
)
def test_marked_files_and_their_backends_are_found(code, marked, backends):
    assert (is_numpy_only(code), backends_in(code)) == (marked, backends)
