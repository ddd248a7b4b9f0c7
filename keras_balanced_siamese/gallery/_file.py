"""A gallery's arrays -> one file, and back; without pickle, so that nothing in a file is executed."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
FIELDS = ("embeddings", "labels", "distance", "threshold", "index")
BROKEN = (ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write what `FIELDS` lists; a file that is there stays whole until the new one is."""
    target = Path(os.path.realpath(path))
    beside = target.with_name(f"{target.name}.part")
    try:
        with open(beside, "wb") as file:  # a path without the ending keeps its name
            arrays: dict[str, Any] = {name: np.asarray(content[name]) for name in FIELDS}
            np.savez(file, format=np.array(FORMAT), **arrays)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read what `write` has written.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it holds something else, or only a part.
    """
    try:
        # NumPy would leave a broken file open
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in FIELDS}
            known = int(arrays["format"]) == FORMAT
    except BROKEN as error:
        raise _not_a_gallery(path) from error
    if not known:
        raise _not_a_gallery(path)
    return found


def _not_a_gallery(path: Any) -> ValueError:
    return ValueError(f"`path` must be a file that `Gallery.save` wrote. Received: path={os.fspath(path)!r}")
