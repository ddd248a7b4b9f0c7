"""Checked and sorted pairs, as every figure needs them."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._typing import ArrayLike, Label


class Pairs(NamedTuple):
    """Pairs by rising distance; each array has one entry, or one row `(left, right)`, per pair."""

    distance: np.ndarray  # (n,) float64
    similar: np.ndarray  # (n,) bool
    weight: np.ndarray  # (n,) float64
    classes: list[Label]  # C labels; empty if not given
    sides: Any  # (n, 2) codes of the classes, or None
    samples: Any  # (n, 2) codes of the samples, or None

    def by_class(self) -> tuple[np.ndarray, np.ndarray]:
        """Each pair once for every class on it: position of the pair and code of the class, by rising distance."""
        position = np.repeat(np.arange(len(self.distance)), np.where(self.similar, 1, 2))
        is_left = np.append(True, position[1:] != position[:-1])
        return position, np.where(is_left, self.sides[position, 0], self.sides[position, 1])


def check_pairs(
    distances: ArrayLike, similar: ArrayLike, classes: Any = None, samples: Any = None, sample_weight: Any = None
) -> Pairs:
    """Check what users pass, and sort it.

    Raises:
        ValueError: If shapes differ, a distance is NaN, a label is neither 0 nor 1, similar or different pairs are
            missing, classes contradict `similar`, or weights are negative, not finite or all 0 for one kind.
    """
    distance = np.asarray(distances, np.float64).reshape(-1)
    truth = np.asarray(similar).reshape(-1)
    if distance.shape != truth.shape:
        raise ValueError(
            "`distances` and `similar` must have the same length. "
            f"Received: {len(distance)} distances, {len(truth)} labels"
        )
    if np.isnan(distance).any():
        raise ValueError(f"`distances` must not be NaN. Received: {int(np.isnan(distance).sum())} of {len(distance)}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"`similar` must hold 0 and 1 only. Received: {np.unique(truth)[:5].tolist()}")
    truth = truth.astype(bool)
    weight = _check_weight(sample_weight, len(truth))
    if not (weight[truth].sum() > 0 and weight[~truth].sum() > 0):
        raise ValueError(
            "Both similar and different pairs are needed, with a weight above 0. "
            f"Received: {int(truth.sum())} similar and {int((~truth).sum())} different pairs"
        )
    labels, sides = ([], None) if classes is None else _encode_sides(classes, len(truth), "classes")
    if sides is not None and ((sides[:, 0] == sides[:, 1]) != truth).any():
        raise ValueError("`similar` must be 1 exactly where both sides have one class. Received: pairs where it is not")
    members = None if samples is None else _encode_sides(samples, len(truth), "samples")[1]
    return sorted_pairs(distance, truth, weight, labels, sides, members)


def sorted_pairs(
    distance: np.ndarray,
    similar: np.ndarray,
    weight: np.ndarray,
    classes: list[Label],
    sides: np.ndarray | None,
    samples: np.ndarray | None,
) -> Pairs:
    """Bring checked pairs into the order of their distances."""
    order = np.argsort(distance, kind="stable")
    return Pairs(
        distance[order],
        similar[order],
        weight[order],
        classes,
        None if sides is None else sides[order],
        None if samples is None else samples[order],
    )


def _check_weight(sample_weight: Any, n: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, np.float64).reshape(-1)
    if len(weight) != n:
        raise ValueError(f"`sample_weight` must hold one weight per pair. Received: {len(weight)} for {n} pairs")
    if not ((weight >= 0) & (weight < np.inf)).all():
        raise ValueError("`sample_weight` must be finite and at least 0. Received: weights that are not")
    return weight


def _encode_sides(values: Any, n: int, name: str) -> tuple[list[Label], np.ndarray]:
    array = np.asarray(values)
    if array.shape != (n, 2):
        what = "label" if name == "classes" else "sample"
        raise ValueError(
            f"`{name}` must hold the {what} of the left and of the right side, shape (n, 2). "
            f"Received: shape {array.shape} for {n} pairs"
        )
    encoded = encode_labels(array.reshape(-1), name)
    return encoded.classes, encoded.codes.reshape(-1, 2)


def fingerprint(pairs: Pairs) -> str:
    """The same for the same pairs in whatever order, as far as float32 tells distances apart."""
    distance = pairs.distance.astype(np.float32)
    order = np.lexsort((pairs.similar, distance))
    data = distance[order].tobytes() + np.packbits(pairs.similar[order]).tobytes()
    return hashlib.sha256(data).hexdigest()[:16]
