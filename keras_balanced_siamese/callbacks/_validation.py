"""Validation pairs, fixed for the whole training, and their distances under a model."""

import copy
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.callbacks._embedding import embed, unit_vectors
from keras_balanced_siamese.sampling import BalancedPairSequence


class ScoredPairs(NamedTuple):
    """The pairs of a sequence and their distances under a model."""

    distances: np.ndarray  # (n,) float64; negated similarities
    similar: np.ndarray  # (n,)
    classes: np.ndarray  # (n, 2) labels
    samples: np.ndarray  # (n, 2) positions in the data


def open_validation(data: Any) -> BalancedPairSequence:
    """Return fixed pairs of both kinds from `(x, y)` or a sequence."""
    if isinstance(data, BalancedPairSequence) and data.positive_fraction in (0, 1):
        raise ValueError(
            "`validation_data` must hold similar and different pairs: construct the sequence with `positive_fraction` "
            f"between 0 and 1. Received: positive_fraction={data.positive_fraction!r}"
        )
    return _fixed(data) if isinstance(data, BalancedPairSequence) else _draw_pairs(data)


def measure(model: Any, pairs: BalancedPairSequence, higher_is_similar: bool) -> ScoredPairs:
    """Score all pairs with the model."""
    scores = np.asarray(model.predict(pairs, verbose=0), np.float64).reshape(-1)
    samples, similar, classes = _truth(pairs)
    return ScoredPairs(-scores if higher_is_similar else scores, similar, classes, samples)


def measure_embedded(encoder: Any, pairs: BalancedPairSequence, distance: str) -> ScoredPairs:
    """Embed each sample of the pairs once; the distances are squared."""
    samples, similar, classes = _truth(pairs)
    embedded, row = np.unique(samples, return_inverse=True)
    points = embed(encoder, pairs, embedded, 256).astype(np.float64)
    points = unit_vectors(points) if distance == "cosine" else points
    left, right = points[row.reshape(samples.shape)].swapaxes(0, 1)
    return ScoredPairs(np.square(left - right).sum(axis=1), similar, classes, samples)


def _truth(pairs: BalancedPairSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the samples of all pairs `(n, 2)`, whether they are similar `(n,)`, and their labels `(n, 2)`."""
    batches = [pairs.indices(i) for i in range(len(pairs))]
    left, right, similar = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    samples = np.stack([left, right], axis=1)
    return samples, similar, np.asarray(pairs.classes, dtype=object)[pairs.labels][samples]


def _fixed(pairs: BalancedPairSequence) -> BalancedPairSequence:
    """Return a copy that stays at epoch 0, so that `predict` scores the pairs whose classes `_truth` returns."""
    pairs = copy.copy(pairs)
    pairs.redraw = False
    pairs.set_epoch(0)
    return pairs


def _draw_pairs(data: Any) -> BalancedPairSequence:
    """Draw balanced pairs from `(x, y)`."""
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(
            f"`validation_data` must be (x, y) with class labels, or a `BalancedPairSequence`. Received: {short(data)}"
        )
    x, y = data
    if y is None or _looks_like_pairs(x, y):
        raise TypeError(
            "`validation_data` must be (x, y), single samples and their class labels, from which pairs are drawn. Pass "
            "existing pairs as a `BalancedPairSequence`. Received: "
            + ("y=None" if y is None else "x of two arrays and y of 0 and 1, as of pairs")
        )
    n_classes = len(np.unique(np.asarray(y)))
    n_pairs = max(len(np.asarray(y)), min(200 * n_classes, 4096), 1)
    batch_size = min(n_pairs, 256)
    steps = -(-n_pairs // batch_size)
    return BalancedPairSequence(x, y, batch_size, steps_per_epoch=steps, max_repeats=None, redraw=False, seed=0)


def _looks_like_pairs(x: Any, y: Any) -> bool:
    """Return whether data has the form of pairs and pair labels for Keras."""
    if not (isinstance(x, (list, tuple)) and len(x) == 2 and np.ndim(x[0]) > 1):
        return False
    labels = np.asarray(y)
    like_pair_labels = labels.dtype.kind in "fb" or labels.ndim == 2
    return like_pair_labels and set(np.unique(labels).tolist()) <= {0, 1}
