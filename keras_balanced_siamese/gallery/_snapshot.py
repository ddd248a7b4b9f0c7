"""The items of a gallery at one moment, and what is derived from them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from keras_balanced_siamese.gallery._classes import candidate_classes, nearest_class
from keras_balanced_siamese.neighbours import (
    SearchSpace,
    as_points,
    build_index,
    make_search_space,
    nearest_neighbours,
    rough_copy,
    search_index,
    squared_distances,
    to_distance,
)

CANDIDATES = 100  # smallest number of items that `nearest_classes` takes from an approximate index

Value = TypeVar("Value")


class derived(Generic[Value]):
    """Attribute of a snapshot that is computed once, at its first use, also when several threads ask for it."""

    def __init__(self, compute: Callable[[Any], Value]):
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, snapshot: Any, owner: type) -> Value:
        known = vars(snapshot)  # once it is there, Python reads the attribute without this method
        with snapshot.lock:
            if self._name not in known:
                known[self._name] = self._compute(snapshot)
        return known[self._name]


class Members(NamedTuple):
    """The items of each class."""

    names: np.ndarray  # (C,) the class labels, sorted
    codes: np.ndarray  # (n,) positions in `names`
    groups: list[np.ndarray]  # positions of the items of each class


class Snapshot:
    """Items that never change, so that all results of one snapshot belong together.

    Args:
        embeddings: `(n, d)` checked embeddings.
        labels: `(n,)` checked labels.
        distance: `"euclidean"` or `"cosine"`.
        index: `"exact"`, `"usearch"` or `"faiss"`.
    """

    def __init__(self, embeddings: np.ndarray, labels: np.ndarray, distance: str, index: str):
        self.embeddings = embeddings
        self.labels = labels
        self.distance = distance
        self.index = index
        self.lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.embeddings)

    def __reduce__(self) -> tuple[Any, ...]:  # without the lock and what can be derived again
        return Snapshot, (self.embeddings, self.labels, self.distance, self.index)

    @derived
    def members(self) -> Members:
        names, codes, counts = np.unique(self.labels, return_inverse=True, return_counts=True)
        codes = codes.reshape(-1)
        groups = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]) if len(codes) else []
        return Members(names, codes, groups)

    @derived
    def space(self) -> SearchSpace:
        """Search space of the items."""
        return make_search_space(as_points(self.embeddings, self.distance))

    @derived
    def centroids(self) -> SearchSpace:
        """Search space of the class means."""
        means = np.stack([self.space.points[group].mean(axis=0, dtype=np.float64) for group in self.members.groups])
        if self.distance == "cosine":
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
            if (lengths < 1e-9).any():
                label = self.members.names.tolist()[int(lengths.argmin())]
                raise ValueError(
                    "`per_class='centroid'` needs classes with a mean direction; pass a number of nearest items. "
                    f"Received: the vectors of class {label!r} cancel out"
                )
            means /= lengths
        return make_search_space(means)

    @derived
    def graph(self) -> Any:
        """Approximate index of the centred vectors."""
        return build_index(self.index, self.space.item_side[:, : self.space.points.shape[1]])

    def nearest_items(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """`(distances, positions)` of the `k` nearest items, each `(q, k)`."""
        if self.index == "exact":
            squares, indices = nearest_neighbours(self.space, points, k)
            return to_distance(squares, self.distance), indices
        squares, indices = np.empty((len(points), k)), np.empty((len(points), k), np.int64)
        for row, (query, found) in enumerate(zip(points, self._found_by_index(points, k), strict=True)):
            near = np.unique(found[found >= 0])
            if len(near) < k:  # parts of a graph may be unreachable
                exact, near = (result[0] for result in nearest_neighbours(self.space, query[None], k))
            else:
                exact = squared_distances(self.space.points[near], query)
            order = np.argsort(exact, kind="stable")[:k]
            squares[row], indices[row] = exact[order], near[order]
        return to_distance(squares, self.distance), indices

    def nearest_centroids(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(distances, class codes)` of the nearest centroid of each query, each `(q,)`."""
        squares, codes = nearest_neighbours(self.centroids, points, 1)
        return to_distance(squares[:, 0], self.distance), codes[:, 0]

    def nearest_classes(self, points: np.ndarray, per_class: int) -> tuple[np.ndarray, np.ndarray]:
        """`(distances, class codes)` of the nearest class by its `per_class` nearest items, each `(q,)`."""
        distances, codes = np.empty(len(points)), np.empty(len(points), np.int64)
        for row, candidates in enumerate(self._candidates(points, per_class)):
            codes[row], distances[row] = nearest_class(
                self.space, self.members.groups, points[row], candidates, per_class, self.distance
            )
        return distances, codes

    def _candidates(self, points: np.ndarray, per_class: int) -> Iterator[np.ndarray]:
        """Yield for each query the classes that can be the nearest, ascending."""
        if self.index == "exact":
            yield from candidate_classes(self.space, self.members.groups, points, per_class, self.distance)
            return
        codes = self.members.codes
        k = min(len(self), max(CANDIDATES, 10 * per_class))
        for query, found in zip(points, self._found_by_index(points, k), strict=True):
            classes = codes[found[found >= 0]]
            if len(classes) == 0:
                classes = codes[nearest_neighbours(self.space, query[None], 1)[1][0]]
            yield np.unique(classes)

    def _found_by_index(self, points: np.ndarray, k: int) -> np.ndarray:
        """Candidates `(q, k)` by the approximate index; -1 where it finds fewer."""
        width = points.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # queries too far away for float32 become infinite
            queries = rough_copy(points, self.space.centre, self.space.scale, np.float32)[1][:, :width]
        return search_index(self.index, self.graph, queries, k)
