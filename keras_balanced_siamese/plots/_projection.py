"""Projection of embeddings to two dimensions."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from keras_balanced_siamese._typing import ArrayLike


def project(
    x: np.ndarray, method: str | Callable[[np.ndarray], ArrayLike], seed: int
) -> tuple[np.ndarray, tuple[str, str]]:
    """Project `x` `(n, dim)` to `(n, 2)`; return the coordinates and the names of the two axes."""
    if callable(method):
        points = np.asarray(method(x), np.float64)
        if points.shape != (len(x), 2):
            raise ValueError(
                f"`method` must return the shape (n, 2), here ({len(x)}, 2). Received: shape {points.shape}"
            )
        return points, ("dimension 1", "dimension 2")
    if method == "pca":
        points, shares = pca(x)
        first, second = (
            f"principal component {k + 1} ({100 * share:.3g} % of the variance)" for k, share in enumerate(shares)
        )
        return points, (first, second)
    if method == "umap":
        return _umap().UMAP(n_components=2, random_state=seed, n_jobs=1).fit_transform(x), ("UMAP 1", "UMAP 2")
    raise ValueError(f"`method` must be 'pca', 'umap' or a callable. Received: method={method!r}")


def pca(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates `(n, 2)` along the two directions of the largest variance, and their shares of it `(2,)`.

    The entry of each direction with the largest magnitude is positive, so runs do not differ by mirroring.
    """
    centred = x - x.mean(axis=0)
    variances, directions = _principal(centred)
    largest = np.abs(directions).argmax(axis=1, keepdims=True)
    directions = directions * np.where(np.take_along_axis(directions, largest, axis=1) < 0, -1.0, 1.0)
    points, variance = np.zeros((len(x), 2)), np.zeros(2)
    points[:, : len(directions)] = centred @ directions.T
    variance[: len(directions)] = variances[:2]
    return points, variance / max(float(variances.sum()), np.finfo(float).tiny)


def _principal(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared singular values, descending, and the first two directions `(2, dim)`."""
    n, dim = centred.shape
    if n <= dim:
        _, singular, directions = np.linalg.svd(centred, full_matrices=False)
        return singular**2, directions[:2]
    variances, directions = np.linalg.eigh(centred.T @ centred)  # (dim, dim): smaller than the data
    return np.maximum(variances[::-1], 0.0), directions[:, ::-1][:, :2].T


def _umap() -> Any:
    try:
        return import_module("umap")
    except ImportError as error:
        raise ImportError("method='umap' needs umap-learn: pip install umap-learn") from error
