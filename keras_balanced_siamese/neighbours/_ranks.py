"""Ranks of the items of a query's class among all other items, by exact search."""

import numpy as np

from keras_balanced_siamese.neighbours._exact import (
    SearchSpace,
    kth_upper_bounds,
    nearest_neighbours,
    rounding_bound,
)

TIE = 1e-12  # largest relative difference of equal distances


def exact_ranks(space: SearchSpace, codes: np.ndarray, queries: np.ndarray, depth: int, floor: float) -> np.ndarray:
    """Ranks of the items of each query's class among the `depth` nearest, infinite for other items: `(b, depth)`.

    Args:
        space: Search space in float64.
        codes: `(n,)` classes.
        queries: `(b,)` positions of the queries.
        depth: Number of nearest items.
        floor: Largest absolute difference of equal distances.
    """
    near, doubtful = _nearest_others(space, codes, queries, depth, floor)
    ranks = np.where(codes[near] == codes[queries, None], np.arange(1.0, depth + 1), np.inf)
    if doubtful.any():
        ranks[doubtful] = _ranks_among_ties(space, codes, queries[doubtful], depth, floor)
    return ranks


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
    """Ranks `(b, depth)` of the items of each query's class where their order is in doubt.

    A search for twice the depth suffices: an item that ties with the last item found has more than `depth` others
    before it.
    """
    squares, nearest = nearest_neighbours(space, space.points[queries], min(2 * depth + 3, len(codes)))
    ranks = np.full((len(queries), depth), np.inf)
    for row, query in enumerate(queries):
        others = nearest[row] != query
        distances, own = np.sqrt(squares[row, others]), codes[nearest[row, others]] == codes[query]
        found = ranks_of(own, distances, floor)
        ranks[row, : len(found)] = found
    return ranks


def ranks_of(own: np.ndarray, distances: np.ndarray, floor: float) -> np.ndarray:
    """Ranks of the items of a query's class among items in ascending order of distance.

    The rank of an item includes all items of other classes that are not farther, up to the tolerance.
    """
    not_farther = np.searchsorted(distances, distances[own] * (1 + TIE) + floor, "right")
    return np.arange(1, own.sum() + 1) + np.cumsum(~own)[not_farther - 1]
