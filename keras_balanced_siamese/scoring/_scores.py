"""Distances of pairs under a model, with their truth."""

from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._backend import predict
from keras_balanced_siamese.sampling import BalancedPairSequence
from keras_balanced_siamese.scoring._embedding import embed, unit_vectors
from keras_balanced_siamese.scoring._pairs import ReadyPairs


class ScoredPairs(NamedTuple):
    """Pairs and their distances under a model."""

    distances: np.ndarray  # (n,) float64; negated similarities
    similar: np.ndarray  # (n,)
    classes: np.ndarray | None = None  # (n, 2) labels, if known
    samples: np.ndarray | None = None  # (n, 2) positions in the data, if known


def measure(model: Any, pairs: BalancedPairSequence | ReadyPairs, higher_is_similar: bool) -> ScoredPairs:
    """Score all pairs with a model of pairs."""
    ready = isinstance(pairs, ReadyPairs)
    scores = np.asarray(predict(model, pairs.inputs if ready else pairs), np.float64).reshape(-1)
    distances = -scores if higher_is_similar else scores
    return ScoredPairs(distances, pairs.similar) if ready else ScoredPairs(distances, *_truth(pairs))


def measure_embedded(encoder: Any, pairs: BalancedPairSequence, distance: str) -> ScoredPairs:
    """Embed each sample of the pairs once."""
    similar, classes, samples = _truth(pairs)
    embedded, row = np.unique(samples, return_inverse=True)
    points = embed(encoder, pairs, embedded, 256)
    left, right = points[row.reshape(samples.shape)].swapaxes(0, 1)
    return ScoredPairs(distances_of(left, right, distance), similar, classes, samples)


def distances_of(left: np.ndarray, right: np.ndarray, distance: str) -> np.ndarray:
    """Return the distances of two rows of embeddings, each `(n, dim)`."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    if distance == "cosine":
        return np.square(unit_vectors(left) - unit_vectors(right)).sum(axis=1) / 2
    return np.sqrt(np.square(left - right).sum(axis=1))


def _truth(pairs: BalancedPairSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether the pairs are similar `(n,)`, their labels and their samples, `(n, 2)` each."""
    batches = [pairs.indices(i) for i in range(len(pairs))]
    left, right, similar = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    samples = np.stack([left, right], axis=1)
    return similar, np.asarray(pairs.classes, dtype=object)[pairs.labels][samples], samples
