"""Approximate nearest neighbours by optional packages."""

import importlib
from typing import Any

import numpy as np

INDEXES = ("exact", "usearch", "faiss")
INSTALL = {"usearch": 'pip install "keras-balanced-siamese[gallery]"', "faiss": "pip install faiss-cpu"}
ALONE = 4096  # vectors that usearch adds in one thread: several lose nodes of a small graph, which no link leads to


class Usearch:
    """Index by usearch of float32 vectors with ids, for the Euclidean distance. Not safe for several threads."""

    def __init__(self, dim: int):
        self._index = require_package("usearch").index.Index(ndim=dim, metric="l2sq", dtype="f32")

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors `(n, d)` with new ids `(n,)`."""
        self._index.add(ids, vectors, threads=1 if len(ids) <= ALONE else 0)

    def remove(self, ids: np.ndarray) -> bool:
        """Remove vectors; return whether the index can."""
        self._index.remove(ids)
        return True

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Ids of approximately the `k` nearest vectors, `(q, k)`; -1 where the index finds fewer."""
        self._index.expansion_search = max(64, 2 * k)
        found = np.full((len(queries), k), -1, np.int64)
        matches = self._index.search(queries, k)
        if len(queries) == 1:  # usearch then returns no batch
            found[0, : len(matches)] = matches.keys
        else:
            present = np.arange(k) < np.asarray(matches.counts)[:, None]
            found[present] = matches.keys[present]
        return found

    def to_bytes(self) -> bytes:
        """Return the index in the format of usearch."""
        return self._index.save(None)

    def read(self, content: bytes) -> None:
        """Replace the index by one in the format of usearch. The content must have been checked before."""
        self._index.load(content)


class Faiss:
    """Index by faiss, which cannot remove vectors. See `Usearch`."""

    def __init__(self, dim: int):
        self._index = require_package("faiss").IndexHNSWFlat(dim, 32)
        self._ids = np.empty(0, np.int64)

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        self._index.add(np.ascontiguousarray(vectors))
        self._ids = np.append(self._ids, ids)

    def remove(self, ids: np.ndarray) -> bool:
        return False

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        self._index.hnsw.efSearch = max(64, 2 * k)
        places = self._index.search(np.ascontiguousarray(queries), k)[1]
        return np.where(places < 0, -1, self._ids[places])


def make_index(kind: str, dim: int) -> Usearch | Faiss:
    """Return an empty index for vectors of this length."""
    return Usearch(dim) if kind == "usearch" else Faiss(dim)


def check_index(index: str) -> None:
    """Raise unless the index is known and its package installed."""
    if index not in INDEXES:
        raise ValueError(f"`index` must be one of {INDEXES}. Received: index={index!r}")
    if index != "exact":
        require_package(index)


def require_package(kind: str) -> Any:
    """Import the package of an index.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        if kind == "usearch":
            importlib.import_module("usearch.index")  # not imported by the package itself
        return importlib.import_module(kind)
    except ImportError as error:
        raise ImportError(f"`index={kind!r}` needs a package that is not installed: {INSTALL[kind]}") from error
