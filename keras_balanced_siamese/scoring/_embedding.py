"""Embeddings of the samples of a sequence."""

from typing import Any

import numpy as np

from keras_balanced_siamese._backend import PyDataset, predict
from keras_balanced_siamese.sampling import BalancedPairSequence

EXPECTED = "The encoder must return one embedding per sample, shape (batch, dim). "


def check_encoder(encoder: Any) -> None:
    """Raise if a functional model does not return embeddings."""
    shapes = [tuple(output.shape) for output in getattr(encoder, "outputs", None) or []]
    if shapes and [len(shape) for shape in shapes] != [2]:
        raise ValueError(f"{EXPECTED}Received: outputs of shape {', '.join(map(str, shapes))}")


def embed(encoder: Any, pairs: BalancedPairSequence, samples: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the embeddings `(n, dim)` of the `samples` of a sequence, float32."""
    points = predict(encoder, _Samples(pairs, samples, batch_size))
    shape = getattr(points, "shape", None)
    if shape is None or len(shape) != 2:
        raise ValueError(f"{EXPECTED}Received: {type(points).__name__} of shape {shape}")
    return np.asarray(points).astype(np.float32)


def unit_vectors(points: np.ndarray) -> np.ndarray:
    """Scale points `(n, dim)` to the length 1; a point at 0 stays there."""
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), np.finfo(np.float32).tiny)


class _Samples(PyDataset):
    """Single samples of a sequence, for `predict`."""

    def __init__(self, pairs: BalancedPairSequence, samples: np.ndarray, batch_size: int):
        super().__init__()
        self.pairs = pairs
        self.samples = samples
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch_size)

    def __getitem__(self, k: int) -> tuple[Any]:
        return (self.pairs.load(self.samples[k * self.batch_size : (k + 1) * self.batch_size]),)
