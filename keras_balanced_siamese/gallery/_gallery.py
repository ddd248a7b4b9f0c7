"""The gallery: items that are added, removed, looked up and saved."""

import os
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.gallery._classes import hopeful_classes, nearest_class
from keras_balanced_siamese.gallery._file import read, write
from keras_balanced_siamese.gallery._items import checked, family, threshold_of, with_unknown
from keras_balanced_siamese.neighbours import (
    DISTANCES,
    INDEXES,
    Space,
    as_points,
    build_index,
    open_space,
    optional,
    rough_copy,
    search,
    search_index,
    squared_distances,
    to_distance,
)

CANDIDATES = 100  # items that an approximate index names for `identify`


class Matches(NamedTuple):
    """What `Gallery.search` found, nearest first."""

    labels: np.ndarray  # (q, k)
    distances: np.ndarray  # (q, k) float64
    indices: np.ndarray  # (q, k) positions in the gallery


class Identified(NamedTuple):
    """What `Gallery.identify` decided."""

    labels: np.ndarray  # (q,) of the nearest class, or `unknown`
    distances: np.ndarray  # (q,) float64, to the nearest class, known or not
    known: np.ndarray  # (q,) bool


class Members(NamedTuple):
    """Which items are of which class."""

    names: np.ndarray  # (C,) the class labels, sorted
    codes: np.ndarray  # (n,) positions in `names`
    groups: list[np.ndarray]  # C of them: positions of the items


class Gallery:
    """Embeddings of known items, in which new ones are looked up.

    New classes need no training: `add` a few embeddings of them. Distances are exact to float64 for every `index`;
    an approximate one may overlook an item, and never invents one.

    Args:
        embeddings: `(n, d)` finite numbers: what the encoder predicts for the known items. float64 is kept, everything
            else becomes float32. `n` may be 0.
        labels: `(n,)` class labels: integers, strings, booleans or finite floats.
        distance: `"euclidean"`, or `"cosine"` (1 - cosine).
        threshold: The largest distance at which `identify` calls an item known: a number, or a `DistanceToProbability`
            layer, as `calibrate` returns it, whose threshold is read once.
        index: `"exact"` compares with every item. `"usearch"` and `"faiss"` build a graph of the items and compare with
            some of them: for galleries of millions. They are built at the first search after a change, and after
            `load`; they are optional packages.

    Attributes:
        classes: The class labels, sorted.
        counts: Number of items of each class, as a dict.
        threshold: The one in force, or `None`. Assign a distance or a layer to change it.
        distance: As given.
        index: As given.

    Raises:
        ValueError: If an embedding is NaN, infinite, or of length 0 under the cosine distance, the lengths differ, or
            `distance` or `index` is unknown.
        TypeError: If labels are of mixed types, or the threshold is neither a number nor a layer with one.
        ImportError: If the package of the index is missing.

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
            optional(index)
        self._distance, self._index = distance, index
        self.threshold = threshold
        self._embeddings, self._labels = checked(embeddings, labels, distance)
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
        """`"euclidean"` or `"cosine"`; another one takes a new gallery."""
        return self._distance

    @property
    def index(self) -> str:
        """`"exact"`, `"usearch"` or `"faiss"`; another one takes a new gallery."""
        return self._index

    @property
    def threshold(self) -> float | None:
        """The largest distance at which an item is known; assign a number, a layer with one, or `None`."""
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
        """Add items, of known or of new classes, behind those that are there.

        Args:
            embeddings: `(m, d)`.
            labels: `(m,)`, of the type that the gallery's labels have.

        Raises:
            ValueError: If the embeddings have another `d`, or as for the constructor.
            TypeError: If the labels are of another type.
        """
        added, names = checked(embeddings, labels, self.distance)
        self._check_width(added, "embeddings")
        if len(self) and len(names) and family(names) != family(self._labels):
            raise TypeError(
                f"`labels` must be of the type that the gallery has, {family(self._labels)}. "
                f"Received: {family(names)}, {names[:3].tolist()}"
            )
        self._embeddings = np.concatenate([self._embeddings, added])
        self._labels = np.concatenate([self._labels, names]) if len(self._labels) else names
        self._invalidate()

    def remove(self, label: Label) -> None:
        """Remove all items of a class. Those behind them move up: `indices` of earlier searches no longer hold.

        Raises:
            ValueError: If there is no such class.
        """
        if label not in self.classes:
            raise ValueError(f"`label` must be a class of the gallery. Received: label={label!r}")
        keep = self._members().codes != self.classes.index(label)
        self._embeddings, self._labels = self._embeddings[keep], self._labels[keep]
        self._invalidate()

    def search(self, queries: ArrayLike, k: int | None = None) -> Matches:
        """The `k` nearest items of each query.

        Args:
            queries: `(q, d)`.
            k: How many, at most `len(gallery)`; `None` is 5, or all in a gallery of fewer.

        Returns:
            `Matches`: `labels`, `distances` and `indices`, each `(q, k)`; of equal distances the item that was added
            first comes first.

        Raises:
            ValueError: If the queries have another `d` or are not finite, the gallery is empty, or `k` is larger than
                it.
        """
        points = self._points_of(queries)
        self._need_items("search")
        k = min(5, len(self)) if k is None else whole("k", k, 1)
        if k > len(self):
            raise ValueError(f"`k` must be at most the {len(self)} items of the gallery. Received: k={k}")
        squares, indices = self._nearest(points, k)
        return Matches(self._labels[indices], to_distance(squares, self.distance), indices)

    def identify(
        self, queries: ArrayLike, *, threshold: Any = None, per_class: Any = "centroid", unknown: Label = "unknown"
    ) -> Identified:
        """The nearest class of each query, or `unknown` if it is too far.

        The distance to a class is the distance to its centroid, or with `per_class=m` the mean distance to its `m`
        nearest items (all, if it has fewer). No class wins because it has more votes. Yet of many items some are near
        by accident: only the centroid takes no side in a long-tailed gallery. Nearest items are for embeddings in
        which a class is several groups.

        A stranger is taken for someone known if any class is near enough. With the chance `f` for one class, that is
        `1 - (1 - f) ** C` for `C` classes: a threshold for 1 false accept in 1,000 comparisons gives 1 in 10 strangers
        a name among 100 classes. An item is nearer to a centroid than to the items around it, so choose the threshold
        on the distances that `identify` itself gives for a validation set, with the `per_class` and about the number
        of classes that will be used.

        Args:
            queries: `(q, d)`.
            threshold: As for the gallery, whose own is the default; `np.inf` names the nearest class always.
            per_class: `"centroid"`, the mean of the class (of its unit vectors, under the cosine distance), or a whole
                number of nearest items.
            unknown: The label for what is too far. With labels that are not strings give one of their type, -1 say;
                otherwise `labels` has the dtype object.

        Returns:
            `Identified`: `labels`, `distances` to the nearest class, and `known`, each `(q,)`. Of classes at the same
            distance the first in sorted order wins.

        Notes:
            With an approximate index only those classes are judged that have one of the 100 items it names (10
            `per_class`, if that is more); a class it overlooks cannot win. Distances to the others are exact. Centroids
            are always compared exactly.

        Raises:
            ValueError: If there is no threshold, the gallery is empty, `per_class` is another word, or `unknown` is one
                of the classes.
        """
        points = self._points_of(queries)
        limit = self._limit(threshold)
        self._need_items("identify")
        if unknown in self.classes:
            raise ValueError(f"`unknown` must not be a class of the gallery. Received: unknown={unknown!r}")
        if isinstance(per_class, str):
            if per_class != "centroid":
                raise ValueError(
                    "`per_class` must be 'centroid' or a whole number of nearest items. "
                    f"Received: per_class={per_class!r}"
                )
            squares, winners = search(self._centroids(), points, 1)
            winners, distances = winners[:, 0], to_distance(squares[:, 0], self.distance)
        else:
            winners, distances = self._judge(points, whole("per_class", per_class, 1))
        known = distances <= limit
        return Identified(with_unknown(self._members().names[winners], known, unknown), distances, known)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file, without pickle. An approximate index is built anew after `load`.

        A file that is there stays whole until the new one is complete.
        """
        content = {"embeddings": self._embeddings, "labels": self._labels, "distance": self.distance}
        threshold = np.nan if self.threshold is None else self.threshold
        write(path, {**content, "threshold": threshold, "index": self.index})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Gallery":
        """Read what `save` has written. Nothing in the file is executed.

        Raises:
            FileNotFoundError: If there is no file.
            ValueError: If the file is not a gallery, or only a part of one.
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
        """Drop what was derived from the items."""
        self._space: Space | None = None
        self._graph: Any = None
        self._sorted: Members | None = None
        self._means: Space | None = None

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

    def _need_items(self, method: str) -> None:
        if not len(self):
            raise ValueError(f"`{method}` needs items to compare with. Received: a gallery of 0 items")

    def _limit(self, threshold: Any) -> float:
        limit = self.threshold if threshold is None else threshold_of(threshold)
        if limit is None:
            raise ValueError(
                "`threshold` must say which distance is too far: pass the layer that `calibrate` returns, a distance, "
                "or `threshold=np.inf` to name the nearest class always. Received: threshold=None"
            )
        return limit

    def _open(self) -> Space:
        if self._space is None:
            self._space = open_space(as_points(self._embeddings, self.distance))
        return self._space

    def _members(self) -> Members:
        if self._sorted is None:
            names, codes, counts = np.unique(self._labels, return_inverse=True, return_counts=True)
            codes = codes.reshape(-1)
            groups = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]) if len(codes) else []
            self._sorted = Members(names, codes, groups)
        return self._sorted

    def _nearest(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """`(squared distances, indices)`, each `(q, k)`."""
        if self.index == "exact":
            return search(self._open(), points, k)
        squares, indices = np.empty((len(points), k)), np.empty((len(points), k), np.int64)
        for row, (query, named) in enumerate(zip(points, self._named(points, k), strict=True)):
            named = np.unique(named[named >= 0])
            if len(named) < k:  # a graph can have parts that cannot be reached
                exact, named = (found[0] for found in search(self._open(), query[None], k))
            else:
                exact = squared_distances(self._open().points[named], query)
            order = np.argsort(exact, kind="stable")[:k]
            squares[row], indices[row] = exact[order], named[order]
        return squares, indices

    def _named(self, points: np.ndarray, k: int) -> np.ndarray:
        """Candidates `(q, k)` by the approximate index, which sees centred vectors: an offset would cost digits."""
        space = self._open()
        width = space.points.shape[1]
        if self._graph is None:
            self._graph = build_index(self.index, space.answer[:, :width])
        queries = rough_copy(points, space.centre, space.scale, np.float32)[1][:, :width]
        return search_index(self.index, self._graph, queries, k)

    def _centroids(self) -> Space:
        if self._means is None:
            self._means = open_space(self._mean_points())
        return self._means

    def _mean_points(self) -> np.ndarray:
        points = self._open().points
        means = np.stack([points[group].mean(axis=0, dtype=np.float64) for group in self._members().groups])
        if self.distance == "cosine":
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
            if (lengths < 1e-9).any():
                label = self.classes[int(lengths.argmin())]
                raise ValueError(
                    "`per_class='centroid'` needs classes that have a mean direction. "
                    f"Received: the vectors of class {label!r} cancel out"
                )
            means /= lengths
        return means

    def _judge(self, points: np.ndarray, per_class: int) -> tuple[np.ndarray, np.ndarray]:
        """`(winning class, its distance)` of each query."""
        space, groups = self._open(), self._members().groups
        winners, distances = np.empty(len(points), np.int64), np.empty(len(points))
        for row, candidates in enumerate(self._candidates(points, per_class)):
            found = nearest_class(space, groups, points[row], candidates, per_class, self.distance)
            winners[row], distances[row] = found
        return winners, distances

    def _candidates(self, points: np.ndarray, per_class: int) -> Any:
        """For each query the classes, ascending, that may be the nearest."""
        if self.index == "exact":
            yield from hopeful_classes(self._open(), self._members().groups, points, per_class, self.distance)
            return
        codes = self._members().codes
        k = min(len(self), max(CANDIDATES, 10 * per_class))
        for query, named in zip(points, self._named(points, k), strict=True):
            found = codes[named[named >= 0]]
            yield np.unique(found if len(found) else codes[search(self._open(), query[None], 1)[1][0]])
