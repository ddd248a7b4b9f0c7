"""Gallery of known items: search, identification, changes and files."""

import os
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.gallery._classes import candidate_classes, nearest_class
from keras_balanced_siamese.gallery._file import read, write
from keras_balanced_siamese.gallery._items import checked_items, label_type, threshold_of, with_unknown
from keras_balanced_siamese.neighbours import (
    DISTANCES,
    INDEXES,
    SearchSpace,
    as_points,
    build_index,
    make_search_space,
    nearest_neighbours,
    require_package,
    rough_copy,
    search_index,
    squared_distances,
    to_distance,
)

CANDIDATES = 100  # smallest number of items that `identify` takes from an approximate index


class Matches(NamedTuple):
    """Result of `Gallery.search`, nearest first."""

    labels: np.ndarray  # (q, k)
    distances: np.ndarray  # (q, k) float64
    indices: np.ndarray  # (q, k) positions in the gallery


class Identified(NamedTuple):
    """Result of `Gallery.identify`."""

    labels: np.ndarray  # (q,) of the nearest class, or `unknown`
    distances: np.ndarray  # (q,) float64, to the nearest class, also where it is not known
    known: np.ndarray  # (q,) bool


class Members(NamedTuple):
    """The items of each class."""

    names: np.ndarray  # (C,) the class labels, sorted
    codes: np.ndarray  # (n,) positions in `names`
    groups: list[np.ndarray]  # positions of the items of each class


class Gallery:
    """Gallery of known embeddings, for the search and identification of new ones.

    New classes need no training: `add` a few embeddings of them. All distances are computed from differences in
    float64. An approximate index may miss an item, but its distances are exact.

    Args:
        embeddings: `(n, d)` finite numbers: the predictions of the encoder for the known items. float64 is kept, other
            types become float32. `n` may be 0.
        labels: `(n,)` class labels: integers, strings, booleans or finite floats.
        distance: `"euclidean"`, or `"cosine"` (1 - cosine).
        threshold: Largest distance at which `identify` returns a known class: a number, or a `DistanceToProbability`
            layer such as `calibrate` returns, whose threshold is read once.
        index: `"exact"` compares queries with all items. `"usearch"` and `"faiss"` (optional packages) build a graph of
            the items and compare with some of them, for galleries of millions. The graph is built at the first search
            after a change or after `load`.

    Attributes:
        classes: The class labels, sorted.
        counts: Number of items of each class, as a dict.
        threshold: The current threshold, or `None`. Assign a distance or a layer to change it.
        distance: The distance, fixed.
        index: The index, fixed.

    Raises:
        ValueError: If an embedding is NaN, infinite, or of length 0 under the cosine distance, the lengths differ, or
            `distance` or `index` is unknown.
        TypeError: If labels are of mixed types, or the threshold is neither a number nor a layer with a threshold.
        ImportError: If the package of the index is not installed.

    Examples:
        >>> gallery = Gallery([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0]], ["ann", "ann", "bob"], threshold=1.5)
        >>> gallery
        Gallery(3 items of 2 classes, dim=2, distance='euclidean', threshold=1.5, index='exact')
        >>> gallery.search([[4.0, 5.0]], k=2).labels.tolist()
        [['bob', 'ann']]
        >>> gallery.identify([[0.0, 0.5], [9.0, 9.0]]).labels.tolist()
        ['ann', 'unknown']
    """

    def __init__(
        self,
        embeddings: ArrayLike,
        labels: ArrayLike,
        *,
        distance: str = "euclidean",
        threshold: Any = None,
        index: str = "exact",
    ):
        if distance not in DISTANCES:
            raise ValueError(f"`distance` must be one of {DISTANCES}. Received: distance={distance!r}")
        if index not in INDEXES:
            raise ValueError(f"`index` must be one of {INDEXES}. Received: index={index!r}")
        if index != "exact":
            require_package(index)
        self._distance, self._index = distance, index
        self.threshold = threshold
        self._embeddings, self._labels = checked_items(embeddings, labels, distance)
        self._invalidate()

    def __len__(self) -> int:
        return len(self._embeddings)

    def __repr__(self) -> str:
        return (
            f"Gallery({len(self)} items of {len(self.classes)} classes, dim={self._embeddings.shape[1]}, "
            f"distance={self.distance!r}, threshold={self.threshold!r}, index={self.index!r})"
        )

    @property
    def distance(self) -> str:
        """`"euclidean"` or `"cosine"`, fixed."""
        return self._distance

    @property
    def index(self) -> str:
        """`"exact"`, `"usearch"` or `"faiss"`, fixed."""
        return self._index

    @property
    def threshold(self) -> float | None:
        """Largest distance of a known class. Assign a number, a layer with a threshold, or `None`."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: Any) -> None:
        self._threshold = None if value is None else threshold_of(value)

    @property
    def classes(self) -> list[Label]:
        """The class labels, sorted."""
        return self._members().names.tolist()

    @property
    def counts(self) -> dict[Label, int]:
        """Number of items of each class."""
        return {label: len(group) for label, group in zip(self.classes, self._members().groups, strict=True)}

    def add(self, embeddings: ArrayLike, labels: ArrayLike) -> None:
        """Append items of known or new classes.

        Args:
            embeddings: `(m, d)`.
            labels: `(m,)`, of the same type as the labels of the gallery.

        Raises:
            ValueError: If the embeddings have another `d`, and as for the constructor.
            TypeError: If the labels are of another type.
        """
        added, names = checked_items(embeddings, labels, self.distance)
        self._check_width(added, "embeddings")
        if len(self) and len(names) and label_type(names) != label_type(self._labels):
            raise TypeError(
                f"`labels` must be of the same type as in the gallery, {label_type(self._labels)}. "
                f"Received: {label_type(names)}, {names[:3].tolist()}"
            )
        self._embeddings = np.concatenate([self._embeddings, added])
        self._labels = np.concatenate([self._labels, names]) if len(self._labels) else names
        self._invalidate()

    def remove(self, label: Label) -> None:
        """Remove all items of a class. Later items move up, so `indices` of earlier searches are no longer valid.

        Raises:
            ValueError: If there is no such class.
        """
        if label not in self.classes:
            raise ValueError(f"`label` must be a class of the gallery. Received: label={label!r}")
        keep = self._members().codes != self.classes.index(label)
        self._embeddings, self._labels = self._embeddings[keep], self._labels[keep]
        self._invalidate()

    def search(self, queries: ArrayLike, k: int | None = None) -> Matches:
        """Return the `k` nearest items of each query.

        Args:
            queries: `(q, d)`.
            k: Number of items, at most `len(gallery)`. By default 5, or all items if there are fewer.

        Returns:
            `Matches`: `labels`, `distances` and `indices`, each `(q, k)`. Of equally distant items, the one that was
            added first comes first.

        Raises:
            ValueError: If the queries have another `d` or are not finite, the gallery is empty, or `k` is larger than
                the gallery.
        """
        points = self._points_of(queries)
        self._check_not_empty("search")
        k = min(5, len(self)) if k is None else whole("k", k, 1)
        if k > len(self):
            raise ValueError(f"`k` must be at most the {len(self)} items of the gallery. Received: k={k}")
        squares, indices = self._nearest(points, k)
        return Matches(self._labels[indices], to_distance(squares, self.distance), indices)

    def identify(
        self, queries: ArrayLike, *, threshold: Any = None, per_class: Any = "centroid", unknown: Label = "unknown"
    ) -> Identified:
        """Return the nearest class of each query, or `unknown` if it is farther than the threshold.

        The distance to a class is the distance to its centroid, or with `per_class=m` the mean distance to its `m`
        nearest items (all items if there are fewer). Items do not vote, so no class wins by its number of items.
        Yet some items of a large class are near by chance: only the centroid is unbiased in a long-tailed gallery.
        Nearest items suit embeddings in which a class consists of several groups.

        A query of no known class is accepted falsely if any class is near enough. With the probability `f` for one
        class, that is `1 - (1 - f) ** C` for `C` classes: a threshold with 1 false accept in 1,000 comparisons accepts
        1 in 10 such queries among 100 classes. An item is nearer to a centroid than to the items around it, so choose
        the threshold on the distances that `identify` returns for a validation set, with the same `per_class` and a
        similar number of classes.

        Args:
            queries: `(q, d)`.
            threshold: As for the gallery, by default its own. `np.inf` returns the nearest class always.
            per_class: `"centroid"`, the mean of the class (of its unit vectors, under the cosine distance), or a whole
                number of nearest items.
            unknown: Label of queries beyond the threshold. If the labels are not strings, pass one of their type, such
                as -1; otherwise `labels` has the dtype object.

        Returns:
            `Identified`: `labels`, `distances` to the nearest class, and `known`, each `(q,)`. Of equally distant
            classes, the first in sorted order is returned.

        Notes:
            With an approximate index and a number as `per_class`, only the classes of the 100 items (or
            `10 * per_class`, if that is more) that the index finds are compared. Their distances are exact. Centroids
            are always compared exactly.

        Raises:
            ValueError: If there is no threshold, the gallery is empty, `per_class` is an unknown string, `unknown` is
                one of the classes, or a class has no mean direction under the cosine distance.
        """
        points = self._points_of(queries)
        limit = self._current_threshold(threshold)
        self._check_not_empty("identify")
        if unknown in self.classes:
            raise ValueError(f"`unknown` must not be a class of the gallery. Received: unknown={unknown!r}")
        if isinstance(per_class, str):
            if per_class != "centroid":
                raise ValueError(
                    "`per_class` must be 'centroid' or a whole number of nearest items. "
                    f"Received: per_class={per_class!r}"
                )
            squares, nearest = nearest_neighbours(self._centroids_space(), points, 1)
            nearest, distances = nearest[:, 0], to_distance(squares[:, 0], self.distance)
        else:
            nearest, distances = self._nearest_classes(points, whole("per_class", per_class, 1))
        known = distances <= limit
        return Identified(with_unknown(self._members().names[nearest], known, unknown), distances, known)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the gallery to one `.npz` file, without pickle and without the approximate index.

        An existing file is replaced only when the new one is complete.
        """
        content = {"embeddings": self._embeddings, "labels": self._labels, "distance": self.distance}
        threshold = np.nan if self.threshold is None else self.threshold
        write(path, {**content, "threshold": threshold, "index": self.index})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Gallery":
        """Read a file that `save` wrote. Nothing in the file is executed.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is not a gallery, or is incomplete.
        """
        found = read(path)
        threshold = float(found["threshold"])
        return cls(
            found["embeddings"],
            found["labels"],
            distance=str(found["distance"]),
            threshold=None if np.isnan(threshold) else threshold,
            index=str(found["index"]),
        )

    def _invalidate(self) -> None:
        """Drop everything derived from the items."""
        self._space: SearchSpace | None = None
        self._index_graph: Any = None
        self._by_class: Members | None = None
        self._centroid_space: SearchSpace | None = None

    def _check_width(self, array: np.ndarray, name: str) -> None:
        if array.shape[1] != self._embeddings.shape[1]:
            raise ValueError(
                f"`{name}` must have the {self._embeddings.shape[1]} dimensions of the gallery. "
                f"Received: {name} of shape {array.shape}"
            )

    def _points_of(self, queries: ArrayLike) -> np.ndarray:
        points = as_points(queries, self.distance, "queries")
        self._check_width(points, "queries")
        return points

    def _check_not_empty(self, method: str) -> None:
        if not len(self):
            raise ValueError(f"`{method}` needs at least one item. Received: a gallery of 0 items")

    def _current_threshold(self, threshold: Any) -> float:
        limit = self.threshold if threshold is None else threshold_of(threshold)
        if limit is None:
            raise ValueError(
                "`threshold` must be a distance or the layer that `calibrate` returns; pass `threshold=np.inf` to get "
                "the nearest class always. Received: threshold=None"
            )
        return limit

    def _items_space(self) -> SearchSpace:
        if self._space is None:
            self._space = make_search_space(as_points(self._embeddings, self.distance))
        return self._space

    def _members(self) -> Members:
        if self._by_class is None:
            names, codes, counts = np.unique(self._labels, return_inverse=True, return_counts=True)
            codes = codes.reshape(-1)
            groups = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]) if len(codes) else []
            self._by_class = Members(names, codes, groups)
        return self._by_class

    def _nearest(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """`(squared distances, indices)`, each `(q, k)`."""
        if self.index == "exact":
            return nearest_neighbours(self._items_space(), points, k)
        squares, indices = np.empty((len(points), k)), np.empty((len(points), k), np.int64)
        for row, (query, found) in enumerate(zip(points, self._found_by_index(points, k), strict=True)):
            near = np.unique(found[found >= 0])
            if len(near) < k:  # parts of a graph may be unreachable
                exact, near = (result[0] for result in nearest_neighbours(self._items_space(), query[None], k))
            else:
                exact = squared_distances(self._items_space().points[near], query)
            order = np.argsort(exact, kind="stable")[:k]
            squares[row], indices[row] = exact[order], near[order]
        return squares, indices

    def _found_by_index(self, points: np.ndarray, k: int) -> np.ndarray:
        """Candidates `(q, k)` by the approximate index of the centred vectors; -1 where it finds fewer."""
        space = self._items_space()
        width = space.points.shape[1]
        if self._index_graph is None:
            self._index_graph = build_index(self.index, space.item_side[:, :width])
        with np.errstate(over="ignore", invalid="ignore"):  # queries too far away for float32 become infinite
            queries = rough_copy(points, space.centre, space.scale, np.float32)[1][:, :width]
        return search_index(self.index, self._index_graph, queries, k)

    def _centroids_space(self) -> SearchSpace:
        if self._centroid_space is None:
            self._centroid_space = make_search_space(self._mean_points())
        return self._centroid_space

    def _mean_points(self) -> np.ndarray:
        points = self._items_space().points
        means = np.stack([points[group].mean(axis=0, dtype=np.float64) for group in self._members().groups])
        if self.distance == "cosine":
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
            if (lengths < 1e-9).any():
                label = self.classes[int(lengths.argmin())]
                raise ValueError(
                    "`per_class='centroid'` needs classes with a mean direction; pass a number of nearest items. "
                    f"Received: the vectors of class {label!r} cancel out"
                )
            means /= lengths
        return means

    def _nearest_classes(self, points: np.ndarray, per_class: int) -> tuple[np.ndarray, np.ndarray]:
        """`(codes, distances)` of the nearest class of each query, each `(q,)`."""
        space, groups = self._items_space(), self._members().groups
        nearest, distances = np.empty(len(points), np.int64), np.empty(len(points))
        for row, candidates in enumerate(self._candidates(points, per_class)):
            found = nearest_class(space, groups, points[row], candidates, per_class, self.distance)
            nearest[row], distances[row] = found
        return nearest, distances

    def _candidates(self, points: np.ndarray, per_class: int) -> Any:
        """Yield for each query the classes that can be the nearest, ascending."""
        if self.index == "exact":
            yield from candidate_classes(self._items_space(), self._members().groups, points, per_class, self.distance)
            return
        codes = self._members().codes
        k = min(len(self), max(CANDIDATES, 10 * per_class))
        for query, found in zip(points, self._found_by_index(points, k), strict=True):
            classes = codes[found[found >= 0]]
            if len(classes) == 0:
                classes = codes[nearest_neighbours(self._items_space(), query[None], 1)[1][0]]
            yield np.unique(classes)
