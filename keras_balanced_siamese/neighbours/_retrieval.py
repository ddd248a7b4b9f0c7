"""Retrieval scores of embeddings: recall@k, R-precision and MAP@R."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.neighbours._exact import (
    SCRATCH,
    SearchSpace,
    as_points,
    kth_upper_bounds,
    make_search_space,
    nearest_neighbours,
    rounding_bound,
)

TIE = 1e-12  # largest relative difference of equal distances


def retrieval_scores(
    embeddings: ArrayLike, codes: np.ndarray, ks: Sequence[int] = (1, 5, 10), distance: str = "euclidean"
) -> dict[str, np.ndarray]:
    """Retrieval scores of each embedding as a query among all others.

    ```
    recall@k    = 1 if an item of the class is among the k nearest, else 0
    r_precision = hits among the R nearest / R
    map@r       = 1/R sum over i <= R of precision(i) relevant(i)
    ```

    where `R` is the number of other items of the class. Of equally distant items (up to a relative difference of 1e-12;
    under the cosine distance also up to a difference of 1e-12 of the unit vectors), those of other classes are ranked
    first, so embeddings that collapse to one point score 0.

    Args:
        embeddings: `(n, d)`.
        codes: `(n,)` classes as whole numbers >= 0.
        ks: Numbers of neighbours for recall, whole numbers >= 1.
        distance: `"euclidean"` or `"cosine"`.

    Returns:
        `{"recall@1": ..., "r_precision": ..., "map@r": ...}`, each `(n,)` float64; NaN for the only item of a class.

    Raises:
        ValueError: If an embedding is not finite, the lengths differ, `ks` holds a number below 1, or `distance` is
            unknown.

    Examples:
        >>> from keras_balanced_siamese.neighbours import retrieval_scores
        >>> scores = retrieval_scores([[0.0], [1.0], [3.0], [4.0], [4.5]], np.array([0, 0, 1, 0, 1]), ks=(1,))
        >>> scores["recall@1"].tolist(), scores["map@r"].tolist()
        ([1.0, 1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0])
    """
    points = as_points(embeddings, distance)
    codes = np.asarray(codes)
    if codes.shape != (len(points),):
        raise ValueError(
            f"`codes` must hold one class per embedding. Received: codes of shape {codes.shape} for {len(points)} "
            "embeddings"
        )
    ks = [whole("ks", k, 1) for k in ks]
    relevant = np.bincount(codes)[codes] - 1  # (n,) R of each query
    depths = np.where(relevant > 0, np.minimum(np.maximum(relevant, max(ks, default=1)), len(points) - 1), 0)
    names = [*(f"recall@{k}" for k in ks), "r_precision", "map@r"]
    table = np.full((len(names), len(points)), np.nan)
    crowded = (depths > 0) & _is_crowded(points, codes, depths)
    table[:, crowded] = 0.0
    space, floor = make_search_space(points, np.float64), TIE if distance == "cosine" else 0.0
    for queries, depth in _blocks(np.flatnonzero((depths > 0) & ~crowded), depths):
        near, doubtful = _nearest_others(space, codes, queries, depth, floor)
        ranks = np.where(codes[near] == codes[queries, None], np.arange(1.0, depth + 1), np.inf)
        if doubtful.any():
            ranks[doubtful] = _ranks_among_ties(space, codes, queries[doubtful], depth, floor)
        table[:, queries] = _scores(ranks, relevant[queries], ks)
    return dict(zip(names, table, strict=True))


def _is_crowded(points: np.ndarray, codes: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Whether at least `depths` items of other classes coincide with the query, `(n,)`: the query then scores 0.

    The scores are the same without this check. It avoids a search among all items where embeddings have collapsed.
    """
    points = np.ascontiguousarray(points)
    rows = points.view(np.dtype((np.void, points.itemsize * points.shape[1])))[:, 0]
    _, places, at_place = np.unique(rows, return_inverse=True, return_counts=True)
    _, groups, of_class = np.unique(places * (int(codes.max()) + 1) + codes, return_inverse=True, return_counts=True)
    return at_place[places] - of_class[groups] >= depths


def _blocks(queries: np.ndarray, depths: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of queries of similar depth, and the largest depth of each block."""
    queries = queries[np.argsort(depths[queries], kind="stable")]
    step = max(1, SCRATCH // (8 * len(depths)))
    depths = depths[queries]
    start = 0
    while start < len(queries):
        stop = min(start + step, int(np.searchsorted(depths, depths[start] * 5 // 4 + 16, "right")))
        yield queries[start:stop], int(depths[stop - 1])
        start = stop


def _nearest_others(
    space: SearchSpace, codes: np.ndarray, queries: np.ndarray, depth: int, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """The `depth` nearest other items `(b, depth)`, and the queries `(b,)` for which their order is in doubt.

    The items are sorted by the rough distances in float64. The order is in doubt where an item of the query's class
    and one of another class are next to each other and differ by less than the rounding error or the tolerance for
    ties.
    """
    halves = space.query_side[queries] @ space.item_side.T  # (b, n), see `SearchSpace`
    halves[np.arange(len(queries)), queries] = np.inf
    k = min(depth + 1, len(codes) - 1)
    bounds = kth_upper_bounds(halves, k)
    near, sorted_halves = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    for row, values in enumerate(halves):
        candidates = np.flatnonzero(values <= bounds[row])
        near[row] = candidates[np.argsort(values[candidates])[:k]]
        sorted_halves[row] = values[near[row]]
    own = codes[near] == codes[queries, None]
    compared = own[:, 1:] != own[:, :-1]  # (b, k - 1)
    if k > depth:
        compared[:, -1] = True  # items farther than the last one are not listed, and may be of any class
    rows, places = np.nonzero(compared)
    nearer, farther = sorted_halves[rows, places], sorted_halves[rows, places + 1]
    distance, floor = np.sqrt(2 * np.maximum(farther, 0)), floor / space.scale
    tie = distance * (TIE * distance + floor) + floor**2
    slack = 2 * (rounding_bound(space, space.norms[queries[rows]], farther) + tie)
    doubtful = np.zeros(len(queries), bool)
    doubtful[rows[farther - nearer <= slack]] = True
    return near[:, :depth], doubtful


def _ranks_among_ties(
    space: SearchSpace, codes: np.ndarray, queries: np.ndarray, depth: int, floor: float
) -> np.ndarray:
    """Ranks `(b, depth)` of the items of each query's class, infinite where there are fewer.

    The rank of an item includes all items of other classes that are not farther, up to the tolerance. A search for
    twice the depth suffices: an item that ties with the last item found has more than `depth` others before it.
    """
    squares, nearest = nearest_neighbours(space, space.points[queries], min(2 * depth + 3, len(codes)))
    ranks = np.full((len(queries), depth), np.inf)
    for row, query in enumerate(queries):
        others = nearest[row] != query
        distances, own = np.sqrt(squares[row, others]), codes[nearest[row, others]] == codes[query]
        not_farther = np.searchsorted(distances, distances[own] * (1 + TIE) + floor, "right")
        found = np.arange(1, own.sum() + 1) + np.cumsum(~own)[not_farther - 1]
        ranks[row, : len(found)] = found
    return ranks


def _scores(ranks: np.ndarray, relevant: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """Scores `(len(ks) + 2, b)` of queries from the ranks `(b, depth)` of their classes, infinite for other items."""
    hits = ranks <= relevant[:, None]
    precision = np.where(hits, np.cumsum(hits, axis=1) / ranks, 0.0)
    recalls = [(ranks <= k).any(axis=1) for k in ks]
    return np.stack([*recalls, hits.sum(axis=1) / relevant, precision.sum(axis=1) / relevant])
