"""Checked pairs, sorted by distance."""

from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation._pair_checks import (
    check_agreement,
    check_distances,
    check_sides,
    check_similar,
    check_weight,
)

Array = np.ndarray
Retrieval = dict[str, tuple[Array, Array]]  # by figure: sum over the queries of each class, and their number, (C,) each


class Pairs(NamedTuple):
    """Pairs in ascending order of distance; arrays have one entry, or one row `(left, right)`, per pair."""

    distance: np.ndarray  # (n,) float64
    similar: np.ndarray  # (n,) bool
    weight: np.ndarray  # (n,) float64
    classes: list[Label]  # C labels; empty if not given
    sides: Any  # (n, 2) codes of the classes, or None
    samples: Any  # (n, 2) codes of the samples, or None

    def by_class(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of pairs and codes of their classes, one entry for each class of a pair, sorted by distance."""
        position = np.repeat(np.arange(len(self.distance)), np.where(self.similar, 1, 2))
        is_left = np.append(True, position[1:] != position[:-1])
        return position, np.where(is_left, self.sides[position, 0], self.sides[position, 1])


def check_pairs(
    distances: ArrayLike, similar: ArrayLike, classes: Any = None, samples: Any = None, sample_weight: Any = None
) -> Pairs:
    """Check the arrays, leave out pairs of weight 0, and sort the others.

    Raises:
        TypeError: If distances are not numbers, or labels are of mixed types.
        ValueError: If shapes differ, a distance is NaN or huge, a label is neither 0 nor 1, similar or different pairs
            are missing, classes contradict `similar`, or weights are negative, not finite or all 0 for one kind.
    """
    distance = check_distances(distances)
    truth = check_similar(similar, len(distance))
    weight = check_weight(sample_weight, len(truth))
    counted = weight > 0
    if not ((counted & truth).any() and (counted & ~truth).any()):
        raise ValueError(
            "Both similar and different pairs are needed, with a weight above 0. "
            f"Received: {int(truth.sum())} similar and {int((~truth).sum())} different pairs"
        )
    labels = None if classes is None else check_sides(classes, len(truth), "classes")
    names = None if samples is None else check_sides(samples, len(truth), "samples")
    if labels is not None:
        check_agreement(truth, labels.codes)
    kept, sides = _select(labels, counted)
    return sorted_pairs(distance[counted], truth[counted], weight[counted], kept, sides, _select(names, counted)[1])


def _select(labels: Labels | None, counted: np.ndarray) -> tuple[list[Label], np.ndarray | None]:
    """Classes of the pairs of positive weight, and the codes of each side."""
    if labels is None or counted.all():
        return ([], None) if labels is None else (labels.classes, labels.codes)
    present, codes = np.unique(labels.codes[counted], return_inverse=True)
    return [labels.classes[code] for code in present], codes.reshape(-1, 2)


def sorted_pairs(
    distance: np.ndarray,
    similar: np.ndarray,
    weight: np.ndarray,
    classes: list[Label],
    sides: np.ndarray | None,
    samples: np.ndarray | None,
) -> Pairs:
    """Sort checked pairs by distance."""
    order = np.argsort(distance, kind="stable")
    return Pairs(
        distance[order],
        similar[order],
        weight[order],
        classes,
        None if sides is None else sides[order],
        None if samples is None else samples[order],
    )


def fingerprint(pairs: Pairs) -> list[list[float]]:
    """Number, mean and standard deviation of the distances of similar and of different pairs."""
    with np.errstate(invalid="ignore", over="ignore"):
        kinds = [pairs.distance[kind] for kind in (pairs.similar, ~pairs.similar)]
        return [[float(figure(kind)) for figure in (len, np.mean, np.std)] for kind in kinds]


def same_pairs(one: list[list[float]], other: list[list[float]]) -> bool:
    """Whether two fingerprints are equal up to rounding, such as that of another batch size or of half precision."""
    return all(
        n == m and max(abs(mean - mean_2), abs(deviation - deviation_2)) <= 1e-4 * (abs(mean) + deviation)
        for (n, mean, deviation), (m, mean_2, deviation_2) in zip(one, other, strict=True)
    )
