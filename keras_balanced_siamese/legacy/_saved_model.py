"""The configuration of a model in a SavedModel directory of Keras 2."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from keras_balanced_siamese.legacy._protobuf import fields, inside, text

LARGEST = 2**27  # bytes
MODELS = ("_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential")
OBJECTS = (2, 7, 1, 4)  # graphs, graph of objects, objects, those of Keras


def metadata_of(folder: Path) -> str | None:
    """Return the JSON of the model in a SavedModel, or `None` if Keras left none there.

    Keras writes `keras_metadata.pb` since TensorFlow 2.5; before, the same is in `saved_model.pb`.

    Raises:
        ValueError: If it is damaged.
    """
    for kind, found in chain(_listed(folder / "keras_metadata.pb"), _first(folder / "saved_model.pb")):
        if kind in MODELS and found:
            return found
    return None


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    """Yield kind and JSON of the root among the nodes of a `keras_metadata.pb`."""
    for node in list(inside(_data(path), 1)):  # the whole file is checked first
        parts = dict(fields(node))
        if text(parts, 3) == "root":
            yield text(parts, 4), text(parts, 5)


def _first(path: Path) -> Iterator[tuple[str, str]]:
    """Yield kind and JSON of the first object in a `saved_model.pb`, which is the root."""
    for message in inside(_data(path), *OBJECTS):
        parts = dict(fields(message))
        yield text(parts, 1), text(parts, 3)
        return


def _data(path: Path) -> bytes:
    if not path.exists():
        return b""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{str(path)!r} has {path.stat().st_size} bytes")
    return path.read_bytes()
