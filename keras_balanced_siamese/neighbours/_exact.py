"""Exact nearest neighbours: rough distances of all pairs name the candidates, float64 differences decide."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._backend import to_numpy
from keras_balanced_siamese._typing import ArrayLike

DISTANCES = ("euclidean", "cosine")
SCRATCH = 64 * 2**20  # bytes that a block of rough distances may take
GROUP = 16  # rough distances that compete for one place in the estimate of the cut-off


class Space(NamedTuple):
    """Points, and their rough copy: centred, scaled, and laid out so that one matrix product gives distances.

    `rough.ask @ rough.answer.T` is half the squared distance in units of `scale`, up to `rounding_bound`.
    """

    points: np.ndarray  # (n, d) what the true distances are measured on
    centre: np.ndarray  # (d,) float64
    scale: float
    ask: np.ndarray  # (n, d + 2)
    answer: np.ndarray  # (n, d + 2)
    norms: np.ndarray  # (n,) float64, of the rough points


def as_points(embeddings: ArrayLike, distance: str, name: str = "embeddings") -> np.ndarray:
    """Check embeddings and bring them to where the Euclidean distance ranks as `distance` does.

    Args:
        embeddings: `(n, d)` numbers; float64 is kept, everything else becomes float32.
        distance: `"euclidean"`, or `"cosine"`: the points are then unit vectors in float64.
        name: What the caller calls them, for the error messages.

    Raises:
        ValueError: If the shape is not `(n, d)`, a value is NaN, infinite or beyond 1e150, or a vector has the length 0
            under the cosine distance.
        TypeError: If they are not numbers.
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
            f"`{name}` must not hold vectors of length 0 under the cosine distance: they have no direction. "
            f"Received: {len(empty)} of {len(array)}, the first at position {empty[0]}"
        )
    units = array / lengths  # first by the largest value: its square cannot overflow or vanish
    return units / np.sqrt(np.square(units).sum(axis=1, keepdims=True))


def as_embeddings(embeddings: ArrayLike, name: str = "embeddings") -> np.ndarray:
    """Check embeddings: finite numbers `(n, d)`, float64 as it is, everything else as float32."""
    array = _as_array(embeddings)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold numbers. Received: {name} of dtype {array.dtype}")
    if array.ndim != 2 or array.shape[1] == 0:
        cure = f"; a single one becomes a batch of one by `{name}[None]`" if array.ndim == 1 else ""
        cure = "; of images pass `encoder.predict(images)`" if array.ndim > 2 else cure
        raise ValueError(
            f"`{name}` must hold one embedding per row, shape (n, d){cure}. Received: {name} of shape {array.shape}"
        )
    array = array.astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)
    limit = 1e150 if array.dtype == np.float64 else np.inf
    good = (np.abs(array) < limit).all(axis=1)  # false for NaN too
    if not good.all():
        raise ValueError(
            f"`{name}` must be finite (and below 1e150). Received: {int((~good).sum())} of {len(array)} embeddings "
            f"with NaN, infinite or huge values, the first at position {int((~good).argmax())}"
        )
    return array


def _as_array(embeddings: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(embeddings)
    except (TypeError, RuntimeError):  # a tensor that still has a gradient, say
        array = to_numpy(embeddings)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def open_space(points: np.ndarray, dtype: Any = np.float32) -> Space:
    """Lay out the rough copy of `points`."""
    centre = points.mean(axis=0, dtype=np.float64)
    scale = max((float(np.abs(part - centre).max()) for part in _parts(points)), default=0.0) or 1.0
    ask, answer, norms = rough_copy(points, centre, scale, dtype)
    return Space(points, centre, scale, ask, answer, norms)


def rough_copy(points: np.ndarray, centre: np.ndarray, scale: float, dtype: Any) -> tuple[np.ndarray, ...]:
    """`(ask, answer, norms)` of points: `[-p, |p|^2 / 2, 1]`, `[p, 1, |p|^2 / 2]` and `|p|`."""
    n, d = points.shape
    ask, answer = np.ones((n, d + 2), dtype), np.ones((n, d + 2), dtype)
    norms = np.empty(n)
    start = 0
    for part in _parts(points):
        rows = slice(start, start + len(part))
        centred = (part - centre) / scale  # float64
        squares = np.square(centred).sum(axis=1)
        ask[rows, :d], ask[rows, d] = -centred, squares / 2
        answer[rows, :d], answer[rows, d + 1] = centred, squares / 2
        norms[rows] = np.sqrt(squares)
        start += len(part)
    return ask, answer, norms


def rounding_bound(space: Space, norms: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """How far rough distances can be off, for queries of these norms and rough distances up to `halves`.

    A product of `k` terms is off by at most `k u` times the sum of their sizes, here `(|p| + |x|) ** 2 / 2`, however
    it is summed; and `|x|` is at most `|p|` plus the distance, and at most the largest there is.
    """
    width, limits = space.ask.shape[1], np.finfo(space.ask.dtype)
    farthest = norms + np.minimum(norms + np.sqrt(2 * np.maximum(halves, 0)), space.norms.max())
    relative = float(limits.eps) / 2 * (width + 10)
    return relative / (1 - np.sqrt(8 * relative)) ** 2 * np.square(farthest) / 2 + width * float(limits.tiny)


def squared_distances(points: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances in float64, by differences."""
    gaps = points.astype(np.float64) - query.astype(np.float64)
    return np.einsum("ij,ij->i", gaps, gaps)


def to_distance(squares: np.ndarray, distance: str) -> np.ndarray:
    """Squared Euclidean distances of points as the distance that they stand for."""
    return np.sqrt(squares) if distance == "euclidean" else squares / 2


def search(space: Space, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`(squared distances, indices)` of the `k` nearest points of each query, exact."""
    squares, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for rows, halves, norms in rough_blocks(space, queries):
        cuts = _cuts(halves, k)
        reach = cuts + 2 * rounding_bound(space, norms, cuts)
        for row, query in enumerate(range(rows.start, rows.stop)):
            near = np.flatnonzero(~(halves[row] > reach[row]))  # what is not comparable is near
            exact = squared_distances(space.points[near], queries[query])
            order = np.argsort(exact, kind="stable")[:k]
            squares[query], indices[query] = exact[order], near[order]
    return squares, indices


def rough_blocks(space: Space, queries: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """`(rows, rough distances (b, n), norms of the queries (b,))`, block by block."""
    step = max(1, SCRATCH // (space.answer.itemsize * len(space.points)))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        with np.errstate(over="ignore", invalid="ignore"):  # queries that are too far off for float32 become NaN
            ask, _, norms = rough_copy(queries[rows], space.centre, space.scale, space.answer.dtype)
            halves = ask @ space.answer.T
        yield rows, halves, norms


def _cuts(halves: np.ndarray, k: int) -> np.ndarray:
    """Values that at least `k` of each row do not exceed: of the smallest of each group, the `k`-th smallest."""
    width = halves.shape[1] // GROUP
    if width >= k:
        halves = halves[:, : width * GROUP].reshape(len(halves), GROUP, width).min(axis=1)
    return np.partition(halves, k - 1, axis=1)[:, k - 1].astype(np.float64)


def _parts(points: np.ndarray) -> list[np.ndarray]:
    """The rows in parts that fit into the scratch memory as float64."""
    step = max(1, SCRATCH // (16 * points.shape[1]))
    return [points[start : start + step] for start in range(0, len(points), step)]
