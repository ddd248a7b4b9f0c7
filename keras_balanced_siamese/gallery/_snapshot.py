"""The items of a gallery at one moment, and what is derived from them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from keras_balanced_siamese.gallery._classes import candidate_classes, nearest_class
from keras_balanced_siamese.gallery._graph import Graph
from keras_balanced_siamese.neighbours import (
    SearchSpace,
    as_points,
    candidate_distances,
    make_search_space,
    nearest_neighbours,
    to_distance,
)

CANDIDATES = 100  # smallest number of items that `nearest_classes` takes from an approximate index
BLOCK = 4096  # queries that an approximate index is asked at a time

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
        ids: `(n,)` ascending numbers of the items, by which an approximate index knows them.
        before: The snapshot that this one replaces. Both share the approximate index.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        labels: np.ndarray,
        distance: str,
        index: str,
        ids: np.ndarray | None = None,
        before: "Snapshot | None" = None,
    ):
        self.embeddings = embeddings
        self.labels = labels
        self.distance = distance
        self.index = index
        self.ids = np.arange(len(embeddings)) if ids is None else ids
        self.version = 0 if before is None else before.version + 1
        self.next_id = max(int(self.ids.max(initial=-1)) + 1, 0 if before is None else before.next_id)  # never reused
        self.graph = Graph(index) if before is None else before.graph
        self.lock = threading.RLock()

    def with_items(self, embeddings: np.ndarray, labels: np.ndarray) -> "Snapshot":
        """Return a snapshot with these items after its own; `labels` are those of all items."""
        ids = np.append(self.ids, np.arange(self.next_id, self.next_id + len(embeddings)))
        joined = np.concatenate([self.embeddings, embeddings])
        return Snapshot(joined, labels, self.distance, self.index, ids, self)

    def without_items(self, gone: np.ndarray) -> "Snapshot":
        """Return a snapshot without the items for which `gone` `(n,)` is true."""
        embeddings, labels, ids = self.embeddings[~gone], self.labels[~gone], self.ids[~gone]
        return Snapshot(embeddings, labels, self.distance, self.index, ids, self)

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
    def points(self) -> np.ndarray:
        """The items as points whose Euclidean distances rank as `distance` does."""
        return as_points(self.embeddings, self.distance)

    @derived
    def space(self) -> SearchSpace:
        """Search space of the items."""
        return make_search_space(self.points)

    @derived
    def centroids(self) -> SearchSpace:
        """Search space of the class means."""
        means = np.stack([self.points[group].mean(axis=0, dtype=np.float64) for group in self.members.groups])
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

    def build_graph(self) -> None:
        """Bring the approximate index up to date, if it is one that can be saved."""
        if self._has_graph:
            self.graph.follow(self)

    def graph_content(self) -> np.ndarray | None:
        """Return the approximate index of the newest snapshot for a file, or `None` if it cannot be saved."""
        return self.graph.content(self) if self._has_graph else None

    def open_graph(self, content: np.ndarray) -> None:
        """Take over the approximate index of a file; raise `ValueError` if it cannot be of these items."""
        if not self._has_graph:
            raise ValueError(f"expected no graph for {len(self)} items with index={self.index!r}")
        self.graph.open(self, content)

    @property
    def _has_graph(self) -> bool:
        """Whether there is an approximate index that can be saved."""
        return self.index == "usearch" and len(self) > 0

    def nearest_items(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """`(distances, positions)` of the `k` nearest items, each `(q, k)`."""
        if self.index == "exact":
            squares, indices = nearest_neighbours(self.space, points, k)
            return to_distance(squares, self.distance), indices
        squares, indices = np.empty((len(points), k)), np.empty((len(points), k), np.int64)
        for rows, found, complete in self._found_by_index(points, k):
            exact = candidate_distances(self.points, points[rows], found)
            order = np.argsort(exact, axis=1, kind="stable")
            squares[rows], indices[rows] = (np.take_along_axis(array, order, axis=1) for array in (exact, found))
            missed = np.arange(rows.start, rows.stop)[~complete]
            if len(missed):
                squares[missed], indices[missed] = nearest_neighbours(self.space, points[missed], k)
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
                self.points, self.members.groups, points[row], candidates, per_class, self.distance
            )
        return distances, codes

    def _candidates(self, points: np.ndarray, per_class: int) -> Iterator[np.ndarray]:
        """Yield for each query the classes that can be the nearest, ascending."""
        if self.index == "exact":
            yield from candidate_classes(self.space, self.members.groups, points, per_class, self.distance)
            return
        k = min(len(self), max(CANDIDATES, 10 * per_class))
        for rows, found, complete in self._found_by_index(points, k):
            for query, near, is_complete in zip(points[rows], found, complete, strict=True):
                if is_complete:
                    yield np.unique(self.members.codes[near])
                else:
                    yield from candidate_classes(self.space, self.members.groups, query[None], per_class, self.distance)

    def _found_by_index(self, points: np.ndarray, k: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Blocks of queries: `(rows, positions of about the k nearest items (b, k), whether there are k (b,))`.

        The positions are ascending, so that of equally distant items the one that was added first comes first.
        """
        step = max(1, min(BLOCK, BLOCK * CANDIDATES // k))
        for start in range(0, len(points), step):
            rows = slice(start, min(start + step, len(points)))
            found = np.sort(self.graph.search(self, points[rows], k), axis=1)
            yield rows, found, (found[:, 0] >= 0) & (np.diff(found, axis=1) > 0).all(axis=1)
