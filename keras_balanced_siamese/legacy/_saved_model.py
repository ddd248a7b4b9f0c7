"""SavedModel directories of Keras 2: the configuration in their metadata, and the weights in their checkpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import read_checkpoint

LARGEST = 2**27  # bytes of metadata
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
MODELS = ("_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential")


def metadata_of(folder: Path) -> str | None:
    """Return the JSON of the model in a SavedModel, or `None` if Keras left none there.

    Raises:
        ValueError: If it is damaged.
    """
    path = folder / "keras_metadata.pb"
    if not path.exists():
        return None
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{str(path)!r} has {path.stat().st_size} bytes")
    for node in (value for number, value in _fields(path.read_bytes()) if number == 1 and isinstance(value, bytes)):
        parts = dict(_fields(node))
        if parts.get(3) == b"root" and parts.get(4, b"").decode() in MODELS:
            return parts[5].decode()
    return None


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and values of the fields of a protocol buffer."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
        elif kind == 2:
            length, place = _varint(data, place)
            value, place = data[place : place + length], place + length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            value, place = data[place : place + length], place + length
        else:
            raise ValueError(f"The metadata of the SavedModel are damaged: a field of the type {kind}")
        if place > len(data):
            raise ValueError("The metadata of the SavedModel are cut off")
        yield key >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
        shift += 7
    raise ValueError("The metadata of the SavedModel are damaged")


class Checkpoint:
    """The arrays of a checkpoint.

    Raises:
        ImportError: If what reads checkpoints is not installed.
    """

    def __init__(self, prefix: Path):
        self._reader = read_checkpoint(str(prefix))
        shapes = self._reader.get_variable_to_shape_map()
        self.shapes = {key.removesuffix(SUFFIX): tuple(shape) for key, shape in shapes.items() if key.endswith(SUFFIX)}

    def array(self, name: str) -> np.ndarray | None:
        """Return an array, or `None`."""
        return np.asarray(self._reader.get_tensor(name + SUFFIX)) if name in self.shapes else None
