"""Only `_backend` refers to a Keras version or to a backend."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only
PACKAGE = Path(kbs.__file__).parent


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_only_the_backend_room_names_keras_versions_and_backends(path):
    if path.parent.name == "_backend":
        return
    text = path.read_text()
    if path.parent.name == "legacy" or path.name == "addons.py":  # old files are about versions and backends
        assert not re.findall(r"(?:import|from) (?:tensorflow|jax|torch)\b|__version__|backend\.backend", text)
        return
    for allowed in ("tensorflow-addons", "`tf.data.Dataset`", '__version__ = "'):
        text = text.replace(allowed, "")
    found = re.findall(r"(?i)\btensorflow\b|\bjax\b|torch|\btf\b|keras [23]\b|__version__|backend\.backend", text)
    assert not found


def test_version_is_the_distributions():
    try:
        assert version("keras-balanced-siamese") == kbs.__version__
    except PackageNotFoundError:
        assert re.fullmatch(r"\d+\.\d+\.\d+", kbs.__version__)
