"""Checks of the items, labels and thresholds of a gallery."""

from typing import Any

import numpy as np

from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.neighbours import as_embeddings, as_points


def threshold_of(value: Any) -> float:
    """Return a threshold as a float: a number, or the current threshold of a layer."""
    number = getattr(value, "current_threshold", getattr(value, "threshold", value))
    try:
        if isinstance(number, (bool, np.bool_, str, bytes)):
            raise TypeError
        number = float(number)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`threshold` must be a distance, or a layer with a threshold. Received: threshold={value!r}"
        ) from error
    if not number > -np.inf:  # may be below 0 after calibration: then no item is known
        raise ValueError(f"`threshold` must be a distance or infinity. Received: threshold={number!r}")
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
    names = np.array(encoded.classes)
    if names.dtype.kind not in "iubfU" or len({type(label) for label in encoded.classes}) > 1:
        kinds = sorted({type(label).__name__ for label in encoded.classes})
        raise TypeError(
            "`labels` must be all strings, all integers, all floats or all booleans, so that they can be saved. "
            f"Received: labels of the types {kinds}"
        )
    return array, names[encoded.codes]


def label_type(labels: np.ndarray) -> str:
    """Name of the type of labels, for comparison and error messages."""
    return {"U": "strings", "b": "booleans", "f": "floats"}.get(labels.dtype.kind, "integers")


def with_unknown(labels: np.ndarray, known: np.ndarray, unknown: Label) -> np.ndarray:
    """Replace labels that are not known by `unknown`, in a dtype that holds both unchanged."""
    other = np.array([unknown])
    same = label_type(other) == label_type(labels) and other.dtype.kind != "O"
    joined = labels.astype(np.result_type(labels, other) if same else object)
    joined[~known] = unknown
    return joined
