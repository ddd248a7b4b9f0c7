"""Ranks of the items of a query's class among all other items, by an approximate index."""

import numpy as np

from keras_balanced_siamese.neighbours._approximate import make_index
from keras_balanced_siamese.neighbours._exact import candidate_distances, centre_and_scale, centred
from keras_balanced_siamese.neighbours._ranks import TIE, ranks_of

MORE = 3  # items beyond the depth, so that ties at its end are seen


class IndexRanks:
    """Ranks of items by an approximate index of all of them.

    The index chooses the items, and their distances are exact. An item that ties with the last one found is left out,
    because items of other classes that tie with it may not have been found.

    Args:
        kind: `"usearch"` or `"faiss"`.
        points: `(n, d)`.
        codes: `(n,)` classes.
        floor: Largest absolute difference of equal distances.
    """

    def __init__(self, kind: str, points: np.ndarray, codes: np.ndarray, floor: float):
        self._points, self._codes, self._floor = points, codes, floor
        self._vectors = centred(points, *centre_and_scale(points))
        self._index = make_index(kind, points.shape[1])
        self._index.add(np.arange(len(points)), self._vectors)

    def ranks(self, queries: np.ndarray, depth: int) -> np.ndarray:
        """Ranks of the items of each query's class, as `exact_ranks` returns them."""
        k = min(depth + 1 + MORE, len(self._points))
        near = self._index.search(self._vectors[queries], k)
        squares = candidate_distances(self._points, self._points[queries], near)
        squares[(near < 0) | (near == queries[:, None])] = np.inf
        order = np.argsort(squares, axis=1, kind="stable")
        near, distances = (np.take_along_axis(array, order, axis=1) for array in (near, np.sqrt(squares)))
        ranks = np.full((len(queries), depth), np.inf)
        for row, query in enumerate(queries):
            n_found = int(np.searchsorted(distances[row], np.inf))
            found = self._ranks_of(near[row, :n_found], distances[row, :n_found], query)[:depth]
            ranks[row, : len(found)] = found
        return ranks

    def _ranks_of(self, near: np.ndarray, distances: np.ndarray, query: int) -> np.ndarray:
        """Ranks of the items of the query's class among the items found."""
        own = self._codes[near] == self._codes[query]
        if len(near) < len(self._points) - 1:
            safe = distances * (1 + TIE) + self._floor < distances.max(initial=0.0)
            keep = safe | ~own
            own, distances = own[keep], distances[keep]
        return ranks_of(own, distances, self._floor)
