"""The approximate index of a gallery, which follows its changes."""

import threading
import warnings
from typing import Any

import numpy as np

from keras_balanced_siamese.neighbours import (
    Usearch,
    centre_and_scale,
    centred,
    make_index,
    with_vectors,
    without_vectors,
)

FARTHEST = 1e3  # coordinate of a query, beyond which float32 does not tell the items apart
DRIFT = 8.0  # largest change of the centre in units of the scale, and of the scale as a factor


class Graph:
    """Approximate index that all snapshots of a gallery share. It is brought up to date by a search.

    Items are added to the index and removed from it. It is built anew where it cannot remove items, where more than
    half of its nodes are of removed items, and where the items have moved so far that float32 would be too coarse.

    Its `Snapshot`s are counted by `version`. One that is older than a removal finds nothing, so its call searches
    exactly. Items that are newer than a snapshot are not found by it.
    """

    def __init__(self, kind: str):
        self._kind = kind
        self._lock = threading.Lock()
        self._index: Any = None
        self._ids = np.empty(0, np.int64)  # of the items in the index
        self._version, self._oldest = -1, 0  # of the snapshot that it follows, and that it can still serve
        self._frame: tuple[np.ndarray, float] = np.empty(0), 1.0
        self._n_nodes = 0

    def search(self, items: Any, points: np.ndarray, k: int) -> np.ndarray:
        """Positions of approximately the `k` nearest items of a snapshot, `(q, k)`; -1 where fewer are found."""
        with self._lock:
            self._follow(items)
            found = np.full((len(points), k), -1, np.int64)
            if items.version >= self._oldest:
                queries = centred(points, *self._frame)
                near = (np.abs(queries) < FARTHEST).all(axis=1)
                if near.any():
                    found[near] = self._index.search(queries[near], k)
        places = np.minimum(np.searchsorted(items.ids, found), len(items.ids) - 1)
        return np.where(items.ids[places] == found, places, -1)

    def follow(self, items: Any) -> None:
        """Bring the index up to date."""
        with self._lock:
            self._follow(items)

    def content(self, items: Any) -> np.ndarray | None:
        """Return the graph of the newest snapshot for a file, or `None` if usearch writes an unknown format."""
        with self._lock:
            self._follow(items)
            try:
                return without_vectors(self._index.to_bytes(), self._ids)
            except ValueError as error:
                warnings.warn(
                    f"The index is not saved, because this version of usearch writes another format ({error}). "
                    "It is built again at the first search after `load`.",
                    stacklevel=4,
                )
                return None

    def open(self, items: Any, content: np.ndarray) -> None:
        """Take over the graph of a file, for the first snapshot.

        Raises:
            ValueError: If it cannot be the graph of these items.
        """
        frame = centre_and_scale(items.points)
        checked = with_vectors(content, centred(items.points, *frame))
        index = Usearch(items.points.shape[1])
        try:
            index.read(checked)
        except RuntimeError as error:
            warnings.warn(
                f"This version of usearch cannot open the index of the file ({error}). It is built again at the first "
                "search.",
                stacklevel=4,
            )
            return
        self._index, self._frame, self._n_nodes = index, frame, len(items.ids)
        self._ids, self._version = items.ids, items.version

    def _follow(self, items: Any) -> None:
        """Bring the index up to date with a snapshot, unless it is that of a newer one."""
        if self._index is not None and items.version <= self._version:
            return
        gone = np.setdiff1d(self._ids, items.ids, assume_unique=True)
        index, self._index = self._index, None  # built again if this is interrupted
        if index is None or not self._fits(items) or (len(gone) and not index.remove(gone)):
            self._frame, index = centre_and_scale(items.points), make_index(self._kind, items.points.shape[1])
            self._ids, self._n_nodes, self._oldest = np.empty(0, np.int64), 0, items.version
        elif len(gone):
            self._oldest = items.version
        new = items.ids > self._ids.max(initial=-1)
        index.add(items.ids[new], centred(items.points[new], *self._frame))
        self._ids, self._version = items.ids, items.version
        self._n_nodes = max(self._n_nodes, len(items.ids))
        self._index = index

    def _fits(self, items: Any) -> bool:
        """Whether the vectors of the index are precise enough, and at least half of its nodes are of items."""
        centre, scale = centre_and_scale(items.points)
        moved = np.abs(centre - self._frame[0]).max() / scale
        return bool(
            moved <= DRIFT and 1 / DRIFT <= scale / self._frame[1] <= DRIFT and 2 * len(items.ids) >= self._n_nodes
        )
