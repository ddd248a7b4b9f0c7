"""A query -> the class whose nearest items are nearest on average: named roughly, measured exactly."""

from collections.abc import Iterator

import numpy as np

from keras_balanced_siamese.neighbours import Space, rough_blocks, rounding_bound, squared_distances, to_distance


def nearest_class(
    space: Space, groups: list[np.ndarray], query: np.ndarray, candidates: np.ndarray, per_class: int, distance: str
) -> tuple[int, float]:
    """The nearest of the candidates and its distance: the mean to its `per_class` nearest items."""
    measured = []
    for one in candidates:
        squares = np.sort(squared_distances(space.points[groups[one]], query))[:per_class]
        measured.append(float(to_distance(squares, distance).mean()))
    best = int(np.argmin(measured))
    return int(candidates[best]), measured[best]


def hopeful_classes(
    space: Space, groups: list[np.ndarray], points: np.ndarray, per_class: int, distance: str
) -> Iterator[np.ndarray]:
    """For each query the classes, ascending, whose lower bound does not exceed the least upper bound."""
    for _, halves, norms in rough_blocks(space, points):
        off = rounding_bound(space, norms, halves.max(axis=1))[:, None]
        low, high = np.empty((2, len(halves), len(groups)))
        for one, group in enumerate(groups):
            near = halves[:, group]
            if per_class < len(group):
                near = np.partition(near, per_class - 1, axis=1)[:, :per_class]
            with np.errstate(invalid="ignore"):  # infinity - infinity, for queries that are too far off for float32
                low[:, one], high[:, one] = _mean_of(near - off, distance), _mean_of(near + off, distance)
        hopeful = ~(low > high.min(axis=1, keepdims=True) * (1 + 1e-9))  # what is not comparable may win
        yield from (np.flatnonzero(row) for row in hopeful)


def _mean_of(halves: np.ndarray, distance: str) -> np.ndarray:
    """Mean distance of each row, in the units of the rough distances."""
    return to_distance(np.maximum(2 * halves, 0), distance).mean(axis=1)
