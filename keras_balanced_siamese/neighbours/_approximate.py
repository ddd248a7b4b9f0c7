"""Approximate nearest neighbours by optional packages."""

import importlib
from typing import Any

import numpy as np

INDEXES = ("exact", "usearch", "faiss")
INSTALL = {"usearch": 'pip install "keras-balanced-siamese[gallery]"', "faiss": "pip install faiss-cpu"}


def build_index(kind: str, vectors: np.ndarray) -> Any:
    """Return an index of float32 vectors `(n, d)` for the Euclidean distance."""
    package = require_package(kind)
    if kind == "faiss":
        index = package.IndexHNSWFlat(vectors.shape[1], 32)
        index.add(np.ascontiguousarray(vectors))
        return index
    index = package.index.Index(ndim=vectors.shape[1], metric="l2sq", dtype="f32")
    index.add(np.arange(len(vectors)), vectors)
    return index


def search_index(kind: str, index: Any, queries: np.ndarray, k: int) -> np.ndarray:
    """Positions of approximately the `k` nearest vectors, `(q, k)`; -1 where the index finds fewer."""
    if kind == "faiss":
        index.hnsw.efSearch = max(64, 2 * k)
        return index.search(np.ascontiguousarray(queries), k)[1]
    index.expansion_search = max(64, 2 * k)
    found = np.full((len(queries), k), -1, np.int64)
    for row, query in enumerate(queries):
        keys = np.asarray(index.search(query, k).keys, np.int64)
        found[row, : len(keys)] = keys
    return found


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
