"""The class with the smallest mean distance of its nearest items to a query."""

from collections.abc import Iterator

import numpy as np

from keras_balanced_siamese.neighbours import SearchSpace, rough_blocks, rounding_bound, squared_distances, to_distance


def nearest_class(
    points: np.ndarray,
    groups: list[np.ndarray],
    query: np.ndarray,
    candidates: np.ndarray,
    per_class: int,
    distance: str,
) -> tuple[int, float]:
    """Return the nearest of the candidate classes, and its mean distance over its `per_class` nearest items."""
    means = []
    for candidate in candidates:
        squares = np.sort(squared_distances(points[groups[candidate]], query))[:per_class]
        means.append(float(to_distance(squares, distance).mean()))
    best = int(np.argmin(means))
    return int(candidates[best]), means[best]


def candidate_classes(
    space: SearchSpace, groups: list[np.ndarray], points: np.ndarray, per_class: int, distance: str
) -> Iterator[np.ndarray]:
    """Yield for each query the classes that can be the nearest, ascending, by bounds from rough distances."""
    for _, halves, norms in rough_blocks(space, points):
        error = rounding_bound(space, norms, halves.max(axis=1))[:, None]
        low, high = np.empty((2, len(halves), len(groups)))
        for code, group in enumerate(groups):
            near = halves[:, group]
            if per_class < len(group):
                near = np.partition(near, per_class - 1, axis=1)[:, :per_class]
            with np.errstate(invalid="ignore"):  # infinity - infinity, for queries too far away for float32
                low[:, code], high[:, code] = _mean(near - error, distance), _mean(near + error, distance)
        possible = ~(low > high.min(axis=1, keepdims=True) * (1 + 1e-9))  # includes NaN
        yield from (np.flatnonzero(row) for row in possible)


def _mean(halves: np.ndarray, distance: str) -> np.ndarray:
    """Mean distance of each row of rough distances, in units of their scale."""
    return to_distance(np.maximum(2 * halves, 0), distance).mean(axis=1)
