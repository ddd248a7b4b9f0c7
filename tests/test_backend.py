import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_balanced_siamese as kbs

PACKAGE = Path(kbs.__file__).parent
BACKENDS = {"tensorflow", "jax", "torch"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_only_the_backend_file_knows_keras_versions_and_backends(path):
    if path.name == "_backend.py":
        return
    text = path.read_text()
    for allowed in ("tensorflow-addons", "`tf.data.Dataset`", '__version__ = "'):
        text = text.replace(allowed, "")
    found = re.findall(r"(?i)\btensorflow\b|\bjax\b|torch|\btf\b|keras [23]\b|__version__|backend\.backend", text)
    assert not found


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_brings_no_second_backend():
    code = (
        "import sys, keras; before = set(sys.modules); import keras_balanced_siamese;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    new = set(run(code).split())
    assert not new & (BACKENDS | {"matplotlib", "sklearn", "imblearn", "pandas", "h5py"})


def test_version_is_the_distributions():
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert version("keras-balanced-siamese") == kbs.__version__
    except PackageNotFoundError:
        assert re.fullmatch(r"\d+\.\d+\.\d+", kbs.__version__)
