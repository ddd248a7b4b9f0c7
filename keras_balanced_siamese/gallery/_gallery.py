"""Gallery of known items: search, identification, changes and files."""

import copy
import os
import threading
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.gallery._file import not_a_gallery, read, write
from keras_balanced_siamese.gallery._items import checked_items, joined_labels, threshold_of, with_unknown
from keras_balanced_siamese.gallery._snapshot import Snapshot
from keras_balanced_siamese.neighbours import DISTANCES, as_points, check_index


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


class Gallery:
    """Gallery of known embeddings, for the search and identification of new ones.

    New classes need no training: `add` a few embeddings of them. All distances are computed from differences in
    float64. An approximate index may miss an item, but its distances are exact.

    Threads may share a gallery: one can add items while others identify. Each call works on the items that the gallery
    has when the call begins.

    Args:
        embeddings: `(n, d)` finite numbers: the predictions of the encoder for the known items. float64 is kept, other
            types become float32. `n` may be 0.
        labels: `(n,)` class labels: integers, strings, booleans or finite floats.
        distance: `"euclidean"`, or `"cosine"` (1 - cosine).
        threshold: Largest distance at which `identify` returns a known class: a number, or a `DistanceToProbability`
            layer such as `calibrate` returns, whose threshold is read once. It is at least 0, and under the cosine
            distance at most 2 or infinite.
        index: `"exact"` compares queries with all items. `"usearch"` and `"faiss"` (optional packages) build a graph of
            the items and compare with some of them, for galleries of millions. The graph is built at the first
            search, and follows `add` and `remove` from then on: the next search brings it up to date. With faiss it
            is built again after `remove`.

    Attributes:
        classes: The class labels, sorted.
        counts: Number of items of each class, as a dict.
        threshold: The current threshold, or `None`. Assign a distance or a layer to change it.
        distance: The distance, fixed.
        index: The index, fixed.

    Raises:
        ValueError: If an embedding is NaN, infinite, or of length 0 under the cosine distance, the lengths differ, or
            `distance` or `index` is unknown, or the threshold is outside the range of the distance.
        TypeError: If labels are of mixed types or cannot be saved, or the threshold is neither a number nor a layer
            with a threshold.
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
        check_index(index)
        self._distance, self._index = distance, index
        self.threshold = threshold
        self._snapshot = Snapshot(*checked_items(embeddings, labels, distance), distance, index)
        self._changes = threading.Lock()

    def __len__(self) -> int:
        return len(self._snapshot)

    def __repr__(self) -> str:
        items = self._snapshot
        return (
            f"Gallery({len(items)} items of {len(items.members.names)} classes, dim={items.embeddings.shape[1]}, "
            f"distance={self.distance!r}, threshold={self.threshold!r}, index={self.index!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_changes"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._snapshot = copy.copy(self._snapshot)  # with an index of its own, as the changes of a copy are others
        self._changes = threading.Lock()

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
        self._threshold = None if value is None else threshold_of(value, self.distance)

    @property
    def classes(self) -> list[Label]:
        """The class labels, sorted."""
        return self._snapshot.members.names.tolist()

    @property
    def counts(self) -> dict[Label, int]:
        """Number of items of each class."""
        members = self._snapshot.members
        return {label: len(group) for label, group in zip(members.names.tolist(), members.groups, strict=True)}

    def add(self, embeddings: ArrayLike, labels: ArrayLike) -> None:
        """Append items of known or new classes.

        Args:
            embeddings: `(m, d)`.
            labels: `(m,)`, of the same type as the labels of the gallery.

        Raises:
            ValueError: If the embeddings have another `d`, and as for the constructor.
            TypeError: If the labels are of another type, or one integer type cannot hold all labels.
        """
        added, names = checked_items(embeddings, labels, self.distance)
        with self._changes:
            items = self._snapshot
            _check_width(items, added, "embeddings")
            self._snapshot = items.with_items(added, joined_labels(items.labels, names))

    def remove(self, label: Label) -> None:
        """Remove all items of a class. Later items move up, so `indices` of earlier searches are no longer valid.

        Raises:
            ValueError: If there is no such class.
        """
        with self._changes:
            items = self._snapshot
            classes = items.members.names.tolist()
            if label not in classes:
                raise ValueError(f"`label` must be a class of the gallery. Received: label={label!r}")
            self._snapshot = items.without_items(items.members.codes == classes.index(label))

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
        items = self._snapshot
        points = _points_of(items, queries)
        _check_not_empty(items, "search")
        k = min(5, len(items)) if k is None else whole("k", k, 1)
        if k > len(items):
            raise ValueError(f"`k` must be at most the {len(items)} items of the gallery. Received: k={k}")
        distances, indices = items.nearest_items(points, k)
        return Matches(items.labels[indices], distances, indices)

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
            ValueError: If there is no threshold or one outside the range of the distance, the gallery is empty,
                `per_class` is an unknown string, `unknown` is one of the classes, or a class has no mean direction
                under the cosine distance.
        """
        items = self._snapshot
        points = _points_of(items, queries)
        limit = self._current_threshold(threshold)
        _check_not_empty(items, "identify")
        names = items.members.names
        if unknown in names.tolist():
            raise ValueError(f"`unknown` must not be a class of the gallery. Received: unknown={unknown!r}")
        if isinstance(per_class, str):
            if per_class != "centroid":
                raise ValueError(
                    "`per_class` must be 'centroid' or a whole number of nearest items. "
                    f"Received: per_class={per_class!r}"
                )
            distances, nearest = items.nearest_centroids(points)
        else:
            distances, nearest = items.nearest_classes(points, whole("per_class", per_class, 1))
        known = distances <= limit
        return Identified(with_unknown(names[nearest], known, unknown), distances, known)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the gallery to one `.npz` file, without pickle.

        The graph of `index="usearch"` is saved too, and built for this if need be. It holds nothing of removed items.
        An existing file is replaced only when the new one is complete.
        """
        self._snapshot.build_graph()  # before the lock, so that other threads can add items meanwhile
        with self._changes:
            items, threshold = self._snapshot, self.threshold
            graph = items.graph_content()
        content = {"embeddings": items.embeddings, "labels": items.labels, "distance": self.distance}
        content |= {"threshold": np.nan if threshold is None else threshold, "index": self.index}
        write(path, content if graph is None else {**content, "graph": graph})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Gallery":
        """Read a file that `save` wrote. Nothing in the file is executed, and nothing read beyond its size.

        A graph in the file is used if it is of these items. A file without one is of another index or an older version
        of this package; the graph is then built at the first search.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is not a gallery, is incomplete, was changed, or holds what the constructor refuses,
                or a graph of other items.
            ImportError: If the package of the index is not installed.
        """
        found = read(path)
        try:
            threshold = float(found["threshold"].item())
            gallery = cls(
                found["embeddings"],
                found["labels"],
                distance=found["distance"].item(),
                threshold=None if np.isnan(threshold) else threshold,
                index=found["index"].item(),
            )
            if "graph" in found:
                gallery._snapshot.open_graph(found["graph"])
            return gallery
        except (ValueError, TypeError) as error:
            raise not_a_gallery(path, error) from error

    def _current_threshold(self, threshold: Any) -> float:
        limit = self.threshold if threshold is None else threshold_of(threshold, self.distance)
        if limit is None:
            raise ValueError(
                "`threshold` must be a distance or the layer that `calibrate` returns; pass `threshold=np.inf` to get "
                "the nearest class always. Received: threshold=None"
            )
        return limit


def _check_width(items: Snapshot, array: np.ndarray, name: str) -> None:
    if array.shape[1] != items.embeddings.shape[1]:
        raise ValueError(
            f"`{name}` must have the {items.embeddings.shape[1]} dimensions of the gallery. "
            f"Received: {name} of shape {array.shape}"
        )


def _points_of(items: Snapshot, queries: ArrayLike) -> np.ndarray:
    points = as_points(queries, items.distance, "queries")
    _check_width(items, points, "queries")
    return points


def _check_not_empty(items: Snapshot, method: str) -> None:
    if not len(items):
        raise ValueError(f"`{method}` needs at least one item. Received: a gallery of 0 items")
