"""Known items of each class -> which of them, or whom, a new embedding is."""

import os
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._approximate import INDEXES, build_index, optional, search_index
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._nearest import (
    DISTANCES,
    Space,
    as_embeddings,
    as_points,
    blur,
    open_space,
    rough_blocks,
    rough_copy,
    search,
    squared_distances,
    to_distance,
)
from keras_balanced_siamese._typing import ArrayLike, Label

FORMAT = 1  # of the saved file
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
        threshold: The one in force, or `None`.

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
        self.distance = distance
        self.threshold = None if threshold is None else _threshold_of(threshold)
        self.index = index
        self._embeddings, self._labels = _checked(embeddings, labels, distance)
        self._forget()

    def __len__(self) -> int:
        return len(self._embeddings)

    def __repr__(self) -> str:
        return (
            f"Gallery({len(self)} items of {len(self.classes)} classes, dim={self._embeddings.shape[1]}, "
            f"distance={self.distance!r}, threshold={self.threshold!r}, index={self.index!r})"
        )

    @property
    def classes(self) -> list[Label]:
        """The class labels, sorted."""
        return list(self.counts)

    @property
    def counts(self) -> dict[Label, int]:
        """Number of items of each class."""
        classes, counts = np.unique(self._labels, return_counts=True)
        return dict(zip(classes.tolist(), counts.tolist(), strict=True))

    def add(self, embeddings: ArrayLike, labels: ArrayLike) -> None:
        """Add items, of known or of new classes, behind those that are there.

        Args:
            embeddings: `(m, d)`.
            labels: `(m,)`, of the type that the gallery's labels have.

        Raises:
            ValueError: If the embeddings have another `d`, or as for the constructor.
            TypeError: If the labels are of another type.
        """
        added, names = _checked(embeddings, labels, self.distance)
        self._check_width(added, "embeddings")
        if len(self) and len(names) and _family(names) != _family(self._labels):
            raise TypeError(
                f"`labels` must be of the type that the gallery has, {_family(self._labels)}. "
                f"Received: {_family(names)}, {names[:3].tolist()}"
            )
        self._embeddings = np.concatenate([self._embeddings, added])
        self._labels = np.concatenate([self._labels, names]) if len(self._labels) else names
        self._forget()

    def remove(self, label: Label) -> None:
        """Remove all items of a class. Those behind them move up: `indices` of earlier searches no longer hold.

        Raises:
            ValueError: If there is no such class.
        """
        if label not in self.counts:
            raise ValueError(f"`label` must be a class of the gallery. Received: label={label!r}")
        keep = np.array([one != label for one in self._labels.tolist()])
        self._embeddings, self._labels = self._embeddings[keep], self._labels[keep]
        self._forget()

    def search(self, queries: ArrayLike, k: int = 5) -> Matches:
        """The `k` nearest items of each query.

        Args:
            queries: `(q, d)`.
            k: How many, at most `len(gallery)`.

        Returns:
            `Matches`: `labels`, `distances` and `indices`, each `(q, k)`; of equal distances the item that was added
            first comes first.

        Raises:
            ValueError: If the queries have another `d` or are not finite, or `k` is larger than the gallery.
        """
        points = self._points_of(queries)
        k = whole("k", k, 1)
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
            ValueError: If there is no threshold, the gallery is empty, or `unknown` is one of its classes.
        """
        points = self._points_of(queries)
        limit = self._limit(threshold)
        if not len(self):
            raise ValueError("`identify` needs items to compare with. Received: a gallery of 0 items")
        if unknown in self.counts:
            raise ValueError(f"`unknown` must not be a class of the gallery. Received: unknown={unknown!r}")
        if isinstance(per_class, str) and per_class == "centroid":
            squares, winners = search(self._centroids(), points, 1)
            winners, distances = winners[:, 0], to_distance(squares[:, 0], self.distance)
        else:
            winners, distances = self._judge(points, whole("per_class", per_class, 1))
        known = distances <= limit
        return Identified(_with_unknown(np.unique(self._labels)[winners], known, unknown), distances, known)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file, without pickle. An approximate index is built anew after `load`."""
        with open(path, "wb") as file:  # a path without the ending keeps its name
            np.savez(
                file,
                format=np.array(FORMAT),
                embeddings=self._embeddings,
                labels=self._labels,
                distance=np.array(self.distance),
                threshold=np.array(np.nan if self.threshold is None else self.threshold),
                index=np.array(self.index),
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Gallery":
        """Read what `save` has written. Nothing in the file is executed.

        Raises:
            ValueError: If the file is not a gallery.
        """
        with np.load(path, allow_pickle=False) as file:
            expected = {"format", "embeddings", "labels", "distance", "threshold", "index"}
            if not expected <= set(file) or int(file["format"]) != FORMAT:
                raise ValueError(f"`path` must be a file that `Gallery.save` wrote. Received: path={os.fspath(path)!r}")
            threshold = float(file["threshold"])
            return cls(
                file["embeddings"],
                file["labels"],
                distance=str(file["distance"]),
                threshold=None if np.isnan(threshold) else threshold,
                index=str(file["index"]),
            )

    def _forget(self) -> None:
        """Drop what was derived from the items."""
        self._space: Space | None = None
        self._graph: Any = None
        self._members: list[np.ndarray] | None = None

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

    def _limit(self, threshold: Any) -> float:
        limit = self.threshold if threshold is None else _threshold_of(threshold)
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

    def _groups(self) -> list[np.ndarray]:
        """The items of each class, in the order of `classes`."""
        if self._members is None:
            codes = encode_labels(self._labels).codes
            self._members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
        return self._members

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
        points, groups = self._open().points, self._groups()
        means = np.stack([points[group].mean(axis=0, dtype=np.float64) for group in groups])
        if self.distance == "cosine":
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
            if (lengths < 1e-9).any():
                label = self.classes[int(lengths.argmin())]
                raise ValueError(
                    "`per_class='centroid'` needs classes that have a mean direction. "
                    f"Received: the vectors of class {label!r} cancel out"
                )
            means /= lengths
        return open_space(means)

    def _judge(self, points: np.ndarray, per_class: int) -> tuple[np.ndarray, np.ndarray]:
        """`(winning class, its distance)` of each query: those that may win are named roughly and measured exactly."""
        winners, distances = np.empty(len(points), np.int64), np.empty(len(points))
        for query, candidates in enumerate(self._candidates(points, per_class)):
            measured = [self._class_distance(points[query], self._groups()[one], per_class) for one in candidates]
            best = int(np.argmin(measured))
            winners[query], distances[query] = candidates[best], measured[best]
        return winners, distances

    def _class_distance(self, query: np.ndarray, members: np.ndarray, per_class: int) -> float:
        squares = squared_distances(self._open().points[members], query)
        squares = np.sort(squares)[:per_class]
        return float(to_distance(squares, self.distance).mean())

    def _candidates(self, points: np.ndarray, per_class: int) -> Any:
        """For each query the classes, ascending, that may be the nearest."""
        if self.index == "exact":
            yield from self._candidates_by_bounds(points, per_class)
            return
        codes = encode_labels(self._labels).codes
        k = min(len(self), max(CANDIDATES, 10 * per_class))
        for query, named in zip(points, self._named(points, k), strict=True):
            found = codes[named[named >= 0]]
            yield np.unique(found if len(found) else codes[search(self._open(), query[None], 1)[1][0]])

    def _candidates_by_bounds(self, points: np.ndarray, per_class: int) -> Any:
        """Classes whose lower bound does not exceed the least upper bound."""
        space, groups = self._open(), self._groups()
        for _, halves, norms in rough_blocks(space, points):
            off = blur(space, norms, halves.max(axis=1))[:, None]
            low, high = np.empty((2, len(halves), len(groups)))
            for one, group in enumerate(groups):
                near = halves[:, group]
                if per_class < len(group):
                    near = np.partition(near, per_class - 1, axis=1)[:, :per_class]
                with np.errstate(invalid="ignore"):  # infinity - infinity, for queries that are too far off for float32
                    low[:, one], high[:, one] = self._mean_of(near - off), self._mean_of(near + off)
            hopeful = ~(low > high.min(axis=1, keepdims=True) * (1 + 1e-9))  # what is not comparable may win
            yield from (np.flatnonzero(row) for row in hopeful)

    def _mean_of(self, halves: np.ndarray) -> np.ndarray:
        """Mean distance of each row, in the units of the rough distances."""
        return to_distance(np.maximum(2 * halves, 0), self.distance).mean(axis=1)


def _threshold_of(value: Any) -> float:
    """A distance as it is, or the threshold that a layer has by now."""
    number = getattr(value, "current_threshold", getattr(value, "threshold", value))
    try:
        number = float(number)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`threshold` must be a distance, or a layer that has one. Received: threshold={value!r}"
        ) from error
    if not number > -np.inf:  # calibration may place it below 0: then nobody is known
        raise ValueError(f"`threshold` must be a distance or infinity. Received: threshold={number!r}")
    return number


def _checked(embeddings: ArrayLike, labels: ArrayLike, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """The gallery's own copies of embeddings and labels."""
    array = np.array(as_embeddings(embeddings))
    as_points(array, distance)  # complains of vectors without a direction
    if len(array) == 0 and np.size(labels) == 0:
        return array, np.empty(0, np.int64)
    encoded = encode_labels(labels)
    if len(encoded.codes) != len(array):
        raise ValueError(
            f"`labels` must have one label per embedding. "
            f"Received: {len(encoded.codes)} labels, {len(array)} embeddings"
        )
    names = np.array(encoded.classes)
    if names.dtype.kind not in "iubfU" or len({type(label) for label in encoded.classes}) > 1:
        kinds = sorted({type(label).__name__ for label in encoded.classes})
        raise TypeError(
            "`labels` must be all strings, all integers, all floats or all booleans, so that they can be saved. "
            f"Received: labels of the types {kinds}"
        )
    return array, names[encoded.codes]


def _family(labels: np.ndarray) -> str:
    return {"U": "strings", "b": "booleans", "f": "floats"}.get(labels.dtype.kind, "integers")


def _with_unknown(labels: np.ndarray, known: np.ndarray, unknown: Label) -> np.ndarray:
    """The labels with `unknown` in its places, in a dtype that holds both without changing either."""
    other = np.array([unknown])
    same = _family(other) == _family(labels) and other.dtype.kind != "O"
    joined = labels.astype(np.result_type(labels, other) if same else object)
    joined[~known] = unknown
    return joined
