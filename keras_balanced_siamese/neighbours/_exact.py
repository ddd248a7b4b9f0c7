"""Exact nearest neighbours: candidates by rough distances, ranked by differences in float64."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._backend import to_numpy
from keras_balanced_siamese._typing import ArrayLike

DISTANCES = ("euclidean", "cosine")
SCRATCH = 64 * 2**20  # largest size of a block of rough distances, in bytes
GROUP = 16  # rough distances per group, of which `kth_upper_bounds` takes the smallest


class SearchSpace(NamedTuple):
    """Points, and a centred and scaled copy of them for rough distances by one matrix product.

    The rough distances `query_side @ item_side.T` are half squared distances in units of `scale ** 2`, up to
    `rounding_bound`.
    """

    points: np.ndarray  # (n, d), for exact distances
    centre: np.ndarray  # (d,) float64
    scale: float
    query_side: np.ndarray  # (n, d + 2), rows [-p, |p|^2 / 2, 1] for the centred and scaled point p
    item_side: np.ndarray  # (n, d + 2), rows [p, 1, |p|^2 / 2]
    norms: np.ndarray  # (n,) float64, |p|


def as_points(embeddings: ArrayLike, distance: str, name: str = "embeddings") -> np.ndarray:
    """Check embeddings, and convert them to points whose Euclidean distances rank as `distance` does.

    Args:
        embeddings: `(n, d)` numbers; float64 is kept, other types become float32.
        distance: `"euclidean"`, or `"cosine"`: the points are then unit vectors in float64.
        name: Name of the argument, for the error messages.

    Raises:
        ValueError: If `distance` is unknown, the shape is not `(n, d)`, a value is NaN, infinite or beyond 1e150, or a
            vector has the length 0 under the cosine distance.
        TypeError: If the values are not numbers.
    """
    if distance not in DISTANCES:
        raise ValueError(f"`distance` must be one of {DISTANCES}. Received: distance={distance!r}")
    array = as_embeddings(embeddings, name)
    if distance == "euclidean":
        return array
    lengths = np.abs(array).max(axis=1, keepdims=True, initial=0).astype(np.float64)
    if not lengths.all():
        empty = np.flatnonzero(lengths[:, 0] == 0)
        raise ValueError(
            f"`{name}` must not hold vectors of length 0 under the cosine distance, because they have no direction. "
            f"Received: {len(empty)} of {len(array)}, the first at position {empty[0]}"
        )
    units = array / lengths  # divided by the largest value, whose square could overflow or underflow
    return units / np.sqrt(np.square(units).sum(axis=1, keepdims=True))


def as_embeddings(embeddings: ArrayLike, name: str = "embeddings") -> np.ndarray:
    """Check that embeddings are finite numbers `(n, d)`; float64 is kept, other types become float32."""
    array = _as_array(embeddings)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold numbers. Received: {name} of dtype {array.dtype}")
    if array.ndim != 2 or array.shape[1] == 0:
        cure = f"; pass a single embedding as `{name}[None]`" if array.ndim == 1 else ""
        cure = "; for images pass `encoder.predict(images)`" if array.ndim > 2 else cure
        raise ValueError(
            f"`{name}` must hold one embedding per row, shape (n, d){cure}. Received: {name} of shape {array.shape}"
        )
    array = array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)
    limit = 1e150 if array.dtype == np.float64 else np.inf
    valid = (np.abs(array) < limit).all(axis=1)  # false for NaN too
    if not valid.all():
        raise ValueError(
            f"`{name}` must be finite (and below 1e150). Received: {int((~valid).sum())} of {len(array)} embeddings "
            f"with NaN, infinite or huge values, the first at position {int((~valid).argmax())}"
        )
    return array


def _as_array(embeddings: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(embeddings)
    except (TypeError, RuntimeError):  # for example a tensor that requires a gradient
        array = to_numpy(embeddings)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def make_search_space(points: np.ndarray, dtype: Any = np.float32) -> SearchSpace:
    """Return the search space of `points`, with the rough copy in `dtype`."""
    centre, scale = centre_and_scale(points)
    return SearchSpace(points, centre, scale, *rough_copy(points, centre, scale, dtype))


def centre_and_scale(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the points `(d,)`, and the largest coordinate of the centred points, or 1 if all are equal."""
    centre = points.mean(axis=0, dtype=np.float64)
    scale = max((float(np.abs(part - centre).max()) for part in _parts(points)), default=0.0) or 1.0
    return centre, scale


def centred(points: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    """Centred and scaled points as float32 `(n, d)`, infinite where they are too far away."""
    with np.errstate(over="ignore"):
        parts = [((part - centre) / scale).astype(np.float32) for part in _parts(points)]
    return np.concatenate([np.empty((0, points.shape[1]), np.float32), *parts])


def rough_copy(
    points: np.ndarray, centre: np.ndarray, scale: float, dtype: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(query_side, item_side, norms)` of points, see `SearchSpace`."""
    n, d = points.shape
    query_side, item_side = np.ones((n, d + 2), dtype), np.ones((n, d + 2), dtype)
    norms = np.empty(n)
    start = 0
    for part in _parts(points):
        rows = slice(start, start + len(part))
        centred = (part - centre) / scale  # float64
        squares = np.square(centred).sum(axis=1)
        query_side[rows, :d], query_side[rows, d] = -centred, squares / 2
        item_side[rows, :d], item_side[rows, d + 1] = centred, squares / 2
        norms[rows] = np.sqrt(squares)
        start += len(part)
    return query_side, item_side, norms


def rounding_bound(space: SearchSpace, norms: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Upper bound of the error of rough distances up to `halves`, for queries of these norms.

    With the unit roundoff `u`, an inner product of `k` terms has an error of at most `k u` times the sum of their
    absolute values, in any order of summation. Here this sum is at most `(|p| + |x|) ** 2 / 2`, and `|x|` is at most
    `|p|` plus the distance, and at most the largest norm.
    """
    width, limits = space.query_side.shape[1], np.finfo(space.query_side.dtype)
    farthest = norms + np.minimum(norms + np.sqrt(2 * np.maximum(halves, 0)), space.norms.max())
    relative = float(limits.eps) / 2 * (width + 10)
    return relative / (1 - np.sqrt(8 * relative)) ** 2 * np.square(farthest) / 2 + width * float(limits.tiny)


def squared_distances(points: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances in float64, computed from differences."""
    gaps = points.astype(np.float64) - query.astype(np.float64)
    return np.einsum("ij,ij->i", gaps, gaps)


def candidate_distances(points: np.ndarray, queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Squared distances of each query `(q, d)` to its candidates, positions `(q, k)`, computed in blocks: `(q, k)`."""
    squares = np.empty(candidates.shape)
    step = max(1, SCRATCH // (24 * max(1, candidates.shape[1] * points.shape[1])))
    for rows in (slice(start, start + step) for start in range(0, len(queries), step)):
        near = points[candidates[rows].reshape(-1)]
        squares[rows] = squared_distances(near, np.repeat(queries[rows], candidates.shape[1], axis=0)).reshape(
            -1, candidates.shape[1]
        )
    return squares


def to_distance(squares: np.ndarray, distance: str) -> np.ndarray:
    """Convert squared Euclidean distances of points to `distance`."""
    return np.sqrt(squares) if distance == "euclidean" else squares / 2


def nearest_neighbours(space: SearchSpace, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact `(squared distances, indices)` of the `k` nearest points of each query, both `(q, k)`.

    Of equally distant points, the one with the lower index comes first.
    """
    squares, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for rows, halves, norms in rough_blocks(space, queries):
        bounds = kth_upper_bounds(halves, k)
        bounds += 2 * rounding_bound(space, norms, bounds)
        for row, query in enumerate(range(rows.start, rows.stop)):
            near = np.flatnonzero(~(halves[row] > bounds[row]))  # includes NaN
            exact = squared_distances(space.points[near], queries[query])
            order = np.argsort(exact, kind="stable")[:k]
            squares[query], indices[query] = exact[order], near[order]
    return squares, indices


def rough_blocks(space: SearchSpace, queries: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of queries: `(rows, rough distances (b, n), norms of the queries (b,))`."""
    step = max(1, SCRATCH // (space.item_side.itemsize * len(space.points)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        with np.errstate(over="ignore", invalid="ignore"):  # queries too far away for float32 become NaN
            query_side, _, norms = rough_copy(queries[rows], space.centre, space.scale, space.item_side.dtype)
            halves = query_side @ space.item_side.T
        yield rows, halves, norms


def kth_upper_bounds(halves: np.ndarray, k: int) -> np.ndarray:
    """Upper bounds of the `k`-th smallest value of each row `(b, n)`, shape `(b,)` float64.

    Where there are at least `k` groups of `GROUP` values, the bound is the `k`-th smallest of their minima.
    """
    width = halves.shape[1] // GROUP
    if width >= k:
        halves = halves[:, : width * GROUP].reshape(len(halves), GROUP, width).min(axis=1)
    return np.partition(halves, k - 1, axis=1)[:, k - 1].astype(np.float64)


def _parts(points: np.ndarray) -> list[np.ndarray]:
    """Consecutive rows in parts that fit into the scratch memory as float64."""
    step = max(1, SCRATCH // (16 * points.shape[1]))
    return [points[start : start + step] for start in range(0, len(points), step)]
