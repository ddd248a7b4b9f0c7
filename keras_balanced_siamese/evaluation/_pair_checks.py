"""Checks of the arrays that describe pairs."""

from typing import Any

import numpy as np

from keras_balanced_siamese._labels import Labels, encode_labels
from keras_balanced_siamese._typing import ArrayLike

LARGEST = 1e150  # squares of larger distances are beyond float64


def check_distances(distances: ArrayLike) -> np.ndarray:
    """Return one distance per pair, `(n,)` float64: infinite, or at most `LARGEST` in magnitude."""
    array = np.asarray(distances)
    if array.dtype.kind in "USmM" or (array.dtype.kind == "O" and any(isinstance(one, str) for one in array.flat)):
        raise TypeError(f"`distances` must hold numbers. Received: distances of dtype {array.dtype}")
    cure = ""
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        cure = (
            ". For a square matrix, use `i, j = np.triu_indices(n, 1)` and pass `distances[i, j]` and "
            "`labels[i] == labels[j]`"
        )
    distance = one_per_pair(array, "distances", cure).astype(np.float64)
    if np.isnan(distance).any():
        raise ValueError(f"`distances` must not be NaN. Received: {int(np.isnan(distance).sum())} of {len(distance)}")
    huge = np.isfinite(distance) & (np.abs(distance) > LARGEST)
    if huge.any():
        raise ValueError(
            f"`distances` must be at most {LARGEST:g} in magnitude, or infinite. Received: {int(huge.sum())} of "
            f"{len(distance)} that are larger, the first at position {int(huge.argmax())}"
        )
    return distance


def check_similar(similar: ArrayLike, n: int) -> np.ndarray:
    """Return the truth of `n` pairs, `(n,)` bool."""
    truth = one_per_pair(similar, "similar")
    if len(truth) != n:
        raise ValueError(
            f"`distances` and `similar` must have the same length. Received: {n} distances, {len(truth)} labels"
        )
    if truth.dtype.kind in "fiub":
        wrong = truth[(truth != 0) & (truth != 1)].tolist()
    else:
        wrong = [label for label in truth.tolist() if label not in (0, 1)]
    if wrong:
        cure = ": `left_labels == right_labels`" if any(isinstance(label, str) for label in wrong) else ""
        raise ValueError(
            f"`similar` must hold 0 and 1 only, 1 for pairs of the same class{cure}. "
            f"Received: {wrong[:3]} among {n} labels"
        )
    return truth.astype(bool)


def check_weight(sample_weight: Any, n: int) -> np.ndarray:
    """Return the weights of `n` pairs, `(n,)` float64; all 1 for `None`."""
    if sample_weight is None:
        return np.ones(n)
    weight = one_per_pair(sample_weight, "sample_weight").astype(np.float64)
    if len(weight) != n:
        raise ValueError(f"`sample_weight` must hold one weight per pair. Received: {len(weight)} for {n} pairs")
    if not ((weight >= 0) & (weight < np.inf)).all():
        wrong = weight[~((weight >= 0) & (weight < np.inf))]
        raise ValueError(
            f"`sample_weight` must be finite and at least 0. Received: {wrong[:3].tolist()} among {n} weights"
        )
    return weight


def check_sides(values: Any, n: int, name: str) -> Labels:
    """Encode the labels of the left and the right side of `n` pairs; the codes have the shape `(n, 2)`."""
    flat, shape = _flat(values)
    if shape != (n, 2):
        cure = ": pass `np.stack([left, right], axis=1)`" if shape[:1] == (2,) else ""
        raise ValueError(
            f"`{name}` must hold the {'class' if name == 'classes' else 'sample'} of the left and of the right side, "
            f"shape (n, 2){cure}. Received: {name} of shape {shape} for {n} pairs"
        )
    encoded = encode_labels(flat, name)
    return encoded._replace(codes=encoded.codes.reshape(-1, 2))


def check_agreement(similar: np.ndarray, sides: np.ndarray) -> None:
    """Raise if the classes of a pair contradict `similar`."""
    wrong = (sides[:, 0] == sides[:, 1]) != similar
    if wrong.any():
        cure = " Are the labels reversed? Pass `1 - similar`." if wrong.all() else ""
        raise ValueError(
            "`similar` must be 1 exactly where both sides are of one class. Received: a contradiction at "
            f"{int(wrong.sum()):,} of {len(wrong):,} pairs, the first at position {int(wrong.argmax())}.{cure}"
        )


def one_per_pair(values: ArrayLike, name: str, cure: str = "") -> np.ndarray:
    """Return an array of shape `(n,)` or `(n, 1)` as `(n,)`."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"`{name}` must hold one value per pair, shape (n,) or (n, 1){cure}. Received: {name} of shape "
            f"{array.shape}"
        )
    return array


def _flat(values: Any) -> tuple[Any, tuple[int, ...]]:
    """Flatten labels and return them with their original shape.

    Lists stay lists, because an array of strings would turn NaN into the string 'nan'.
    """
    rows = (list, tuple)
    if isinstance(values, rows) and values and all(isinstance(row, rows) and len(row) == 2 for row in values):
        flat = [one for row in values for one in row]
        if all(np.ndim(one) == 0 for one in flat):
            return flat, (len(values), 2)
    array = np.asarray(values)
    return array.reshape(-1), array.shape
