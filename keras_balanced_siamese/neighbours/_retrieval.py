"""Retrieval scores of embeddings: recall@k, R-precision and MAP@R."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.neighbours._approximate import check_index
from keras_balanced_siamese.neighbours._exact import SCRATCH, as_points, make_search_space
from keras_balanced_siamese.neighbours._ranks import TIE, exact_ranks
from keras_balanced_siamese.neighbours._ranks_by_index import IndexRanks


def retrieval_scores(
    embeddings: ArrayLike,
    codes: np.ndarray,
    ks: Sequence[int] = (1, 5, 10),
    distance: str = "euclidean",
    index: str = "exact",
    queries: np.ndarray | None = None,
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
        index: `"exact"`, or `"usearch"` or `"faiss"` for an approximate search, which may miss items.
        queries: Positions of the items that are queries, by default all.

    Returns:
        `{"recall@1": ..., "r_precision": ..., "map@r": ...}`, each `(n,)` float64; NaN for the only item of a class and
        for items that are no queries.

    Raises:
        ValueError: If an embedding is not finite, the lengths differ, `ks` holds a number below 1, or `distance` or
            `index` is unknown.
        ImportError: If the package of the index is not installed.

    Examples:
        >>> from keras_balanced_siamese.neighbours import retrieval_scores
        >>> scores = retrieval_scores([[0.0], [1.0], [3.0], [4.0], [4.5]], np.array([0, 0, 1, 0, 1]), ks=(1,))
        >>> scores["recall@1"].tolist(), scores["map@r"].tolist()
        ([1.0, 1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0])
    """
    check_index(index)
    points = as_points(embeddings, distance)
    codes = np.asarray(codes)
    if codes.shape != (len(points),):
        raise ValueError(
            f"`codes` must hold one class per embedding. Received: codes of shape {codes.shape} for {len(points)} "
            "embeddings"
        )
    ks = [whole("ks", k, 1) for k in ks]
    relevant = np.bincount(codes)[codes] - 1  # (n,) R of each query
    is_query = relevant > 0
    if queries is not None:
        is_query &= np.isin(np.arange(len(points)), queries)
    depths = np.where(is_query, np.minimum(np.maximum(relevant, max(ks, default=1)), len(points) - 1), 0)
    names = [*(f"recall@{k}" for k in ks), "r_precision", "map@r"]
    table = np.full((len(names), len(points)), np.nan)
    crowded = (depths > 0) & _is_crowded(points, codes, depths)
    table[:, crowded] = 0.0
    ranks_of, row_bytes = _ranking(points, codes, distance, index, int(depths.max(initial=0)))
    for block, depth in _blocks(np.flatnonzero((depths > 0) & ~crowded), depths, row_bytes):
        table[:, block] = _scores(ranks_of(block, depth), relevant[block], ks)
    return dict(zip(names, table, strict=True))


def _ranking(
    points: np.ndarray, codes: np.ndarray, distance: str, index: str, depth: int
) -> tuple[Callable[[np.ndarray, int], np.ndarray], int]:
    """Function from queries and a depth to the ranks of their classes, and the memory that it needs for a query."""
    floor = TIE if distance == "cosine" else 0.0
    if index != "exact":
        return IndexRanks(index, points, codes, floor).ranks, 64 * (depth + 1)
    space = make_search_space(points, np.float64)
    return lambda queries, depth: exact_ranks(space, codes, queries, depth, floor), 8 * len(points)


def _is_crowded(points: np.ndarray, codes: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Whether at least `depths` items of other classes coincide with the query, `(n,)`: the query then scores 0.

    The scores are the same without this check. It avoids a search among all items where embeddings have collapsed.
    """
    points = np.ascontiguousarray(points)
    rows = points.view(np.dtype((np.void, points.itemsize * points.shape[1])))[:, 0]
    _, places, at_place = np.unique(rows, return_inverse=True, return_counts=True)
    _, groups, of_class = np.unique(places * (int(codes.max()) + 1) + codes, return_inverse=True, return_counts=True)
    return at_place[places] - of_class[groups] >= depths


def _blocks(queries: np.ndarray, depths: np.ndarray, row_bytes: int) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of queries of similar depth, and the largest depth of each block."""
    queries = queries[np.argsort(depths[queries], kind="stable")]
    step = max(1, SCRATCH // row_bytes)
    depths = depths[queries]
    start = 0
    while start < len(queries):
        stop = min(start + step, int(np.searchsorted(depths, depths[start] * 5 // 4 + 16, "right")))
        yield queries[start:stop], int(depths[stop - 1])
        start = stop


def _scores(ranks: np.ndarray, relevant: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """Scores `(len(ks) + 2, b)` of queries from the ranks `(b, depth)` of their classes, infinite for other items."""
    hits = ranks <= relevant[:, None]
    precision = np.where(hits, np.cumsum(hits, axis=1) / ranks, 0.0)
    recalls = [(ranks <= k).any(axis=1) for k in ks]
    return np.stack([*recalls, hits.sum(axis=1) / relevant, precision.sum(axis=1) / relevant])
