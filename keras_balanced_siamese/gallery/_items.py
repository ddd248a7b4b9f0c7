"""Checks of the items, labels and thresholds of a gallery."""

from typing import Any

import numpy as np

from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.neighbours import as_embeddings, as_points

LARGEST = {"euclidean": np.inf, "cosine": 2.0}  # distance


def threshold_of(value: Any, distance: str) -> float:
    """Return a threshold of this distance as a float: a number, or the current threshold of a layer."""
    number = getattr(value, "current_threshold", getattr(value, "threshold", value))
    try:
        if isinstance(number, (bool, np.bool_, str, bytes)):
            raise TypeError
        number = float(number)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`threshold` must be a distance, or a layer with a threshold. Received: threshold={value!r}"
        ) from error
    if not number >= 0:
        raise ValueError(
            "`threshold` must be a distance, so at least 0: a smaller one would know no item. Choose it on distances, "
            f"not on similarities or probabilities. Received: threshold={number!r}"
        )
    if LARGEST[distance] < number < np.inf:
        raise ValueError(
            f"`threshold` must be at most {LARGEST[distance]:g} under the {distance} distance, or infinity to know all "
            f"items. Choose it on {distance} distances. Received: threshold={number!r}"
        )
    return number


def checked_items(embeddings: ArrayLike, labels: ArrayLike, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """Check embeddings and labels, and return copies of them."""
    array = np.array(as_embeddings(embeddings))
    as_points(array, distance)  # raises for vectors of length 0 under the cosine distance
    if len(array) == 0 and np.size(labels) == 0:
        return array, np.empty(0, np.int64)
    encoded = encode_labels(labels)
    if len(encoded.codes) != len(array):
        raise ValueError(
            f"`labels` must hold one label per embedding. "
            f"Received: {len(encoded.codes)} labels, {len(array)} embeddings"
        )
    names = _as_array(encoded.classes)
    if names.dtype.kind not in "iubfU" or len({type(label) for label in encoded.classes}) > 1:
        kinds = sorted({type(label).__name__ for label in encoded.classes})
        raise TypeError(
            "`labels` must be all strings, all integers, all floats or all booleans, so that they can be saved. "
            f"Received: labels of the types {kinds}"
        )
    if names.tolist() != encoded.classes:
        raise TypeError(
            "`labels` must be 64-bit integers, or strings that do not end in a null character, so that they can be "
            f"saved. Received: labels of the classes {short(encoded.classes)}"
        )
    return array, names[encoded.codes]


def _as_array(classes: list[Label]) -> np.ndarray:
    """Return sorted classes as an array, unsigned for integers beyond int64, which NumPy would make floats."""
    unsigned = type(classes[-1]) is int and classes[0] >= 0 and 2**63 <= classes[-1] < 2**64
    return np.array(classes, np.uint64 if unsigned else None)


def joined_labels(labels: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Append labels of the same type; an empty array takes any type."""
    if not len(labels) or not len(added):
        return added if len(added) else labels
    if label_type(added) != label_type(labels):
        raise TypeError(
            f"`labels` must be of the same type as in the gallery, {label_type(labels)}. "
            f"Received: {label_type(added)}, {added[:3].tolist()}"
        )
    joined = np.concatenate([labels, added])
    if label_type(joined) == label_type(labels):
        return joined
    if min(labels.min(), added.min()) < 0:  # NumPy makes floats of int64 and uint64
        raise TypeError(
            "`labels` must be integers that one type holds together with those of the gallery. "
            f"Received: {added[:3].tolist()}, from {min(labels.min(), added.min())} to {max(labels.max(), added.max())}"
        )
    return np.concatenate([labels.astype(np.uint64), added.astype(np.uint64)])


def label_type(labels: np.ndarray) -> str:
    """Name of the type of labels, for comparison and error messages."""
    return {"U": "strings", "b": "booleans", "f": "floats"}.get(labels.dtype.kind, "integers")


def with_unknown(labels: np.ndarray, known: np.ndarray, unknown: Label) -> np.ndarray:
    """Replace labels that are not known by `unknown`, in a dtype that holds both unchanged."""
    other = np.array([unknown])
    same = label_type(other) == label_type(labels) and other.dtype.kind != "O"
    wider = np.result_type(labels, other) if same else np.dtype(object)  # of int64 and uint64, NumPy makes float64
    joined = labels.astype(wider if (wider.kind == "f") == (labels.dtype.kind == "f") else object)
    joined[~known] = unknown
    return joined
