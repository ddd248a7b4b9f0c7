"""Gallery files: `.npz` without pickle, so nothing in a file is executed."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
FIELDS = ("embeddings", "labels", "distance", "threshold", "index")
READ_ERRORS = (ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write the `FIELDS` of `content`. An existing file is replaced only when the new one is complete."""
    target = Path(os.path.realpath(path))
    part = target.with_name(f"{target.name}.part")
    try:
        with open(part, "wb") as file:  # with a path, NumPy would append ".npz"
            arrays: dict[str, Any] = {name: np.asarray(content[name]) for name in FIELDS}
            np.savez(file, format=np.array(FORMAT), **arrays)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a file that `write` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a gallery, or is incomplete.
    """
    try:
        # opened here because NumPy does not close a broken file
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in FIELDS}
            supported = int(arrays["format"]) == FORMAT
    except READ_ERRORS as error:
        raise _not_a_gallery(path) from error
    if not supported:
        raise _not_a_gallery(path)
    return found


def _not_a_gallery(path: Any) -> ValueError:
    return ValueError(f"`path` must be a file that `Gallery.save` wrote. Received: path={os.fspath(path)!r}")
