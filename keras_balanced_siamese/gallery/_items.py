"""What users pass to a gallery -> its own copies, checked; and labels with a place for the unknown."""

from typing import Any

import numpy as np

from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.neighbours import as_embeddings, as_points


def threshold_of(value: Any) -> float:
    """A distance as it is, or the threshold that a layer has by now."""
    number = getattr(value, "current_threshold", getattr(value, "threshold", value))
    try:
        if isinstance(number, (bool, np.bool_, str, bytes)):
            raise TypeError
        number = float(number)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`threshold` must be a distance, or a layer that has one. Received: threshold={value!r}"
        ) from error
    if not number > -np.inf:  # calibration may place it below 0: then nobody is known
        raise ValueError(f"`threshold` must be a distance or infinity. Received: threshold={number!r}")
    return number


def checked(embeddings: ArrayLike, labels: ArrayLike, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """The gallery's own copies of embeddings and labels."""
    array = np.array(as_embeddings(embeddings))
    as_points(array, distance)  # complains of vectors without a direction
    if len(array) == 0 and np.size(labels) == 0:
        return array, np.empty(0, np.int64)
    encoded = encode_labels(labels)
    if len(encoded.codes) != len(array):
        raise ValueError(
            f"`labels` must have one label per embedding. "
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


def family(labels: np.ndarray) -> str:
    return {"U": "strings", "b": "booleans", "f": "floats"}.get(labels.dtype.kind, "integers")


def with_unknown(labels: np.ndarray, known: np.ndarray, unknown: Label) -> np.ndarray:
    """The labels with `unknown` in its places, in a dtype that holds both without changing either."""
    other = np.array([unknown])
    same = family(other) == family(labels) and other.dtype.kind != "O"
    joined = labels.astype(np.result_type(labels, other) if same else object)
    joined[~known] = unknown
    return joined
