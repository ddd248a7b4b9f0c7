"""Validation data and a model -> distances and truth, the same pairs every time."""

import copy
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.callbacks._embedding import embed, unit_vectors
from keras_balanced_siamese.sampling import BalancedPairSequence


class Measured(NamedTuple):
    """The pairs of a sequence and what a model makes of them."""

    distances: np.ndarray  # (n,) float64; similarities with a minus sign
    similar: np.ndarray  # (n,)
    classes: np.ndarray  # (n, 2) labels
    samples: np.ndarray  # (n, 2) positions in the data


def open_validation(data: Any) -> BalancedPairSequence:
    """Pairs that stay the same, from `(x, y)` or a sequence, of both kinds."""
    if isinstance(data, BalancedPairSequence) and data.positive_fraction in (0, 1):
        raise ValueError(
            "`validation_data` must hold similar and different pairs: give the sequence a `positive_fraction` between "
            f"0 and 1. Received: positive_fraction={data.positive_fraction!r}"
        )
    return _fixed(data) if isinstance(data, BalancedPairSequence) else _validation_pairs(data)


def measure(model: Any, pairs: BalancedPairSequence, higher_is_similar: bool) -> Measured:
    """Let the model predict all pairs."""
    scores = np.asarray(model.predict(pairs, verbose=0), np.float64).reshape(-1)
    samples, similar, classes = _truth(pairs)
    return Measured(-scores if higher_is_similar else scores, similar, classes, samples)


def measure_embedded(encoder: Any, pairs: BalancedPairSequence, distance: str) -> Measured:
    """Let an encoder embed each sample of the pairs once; the distances are squared."""
    samples, similar, classes = _truth(pairs)
    used, place = np.unique(samples, return_inverse=True)
    points = embed(encoder, pairs, used, 256).astype(np.float64)
    points = unit_vectors(points) if distance == "cosine" else points
    left, right = points[place.reshape(samples.shape)].swapaxes(0, 1)
    return Measured(np.square(left - right).sum(axis=1), similar, classes, samples)


def _truth(pairs: BalancedPairSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The samples of all pairs `(n, 2)`, whether they are similar `(n,)`, and their labels `(n, 2)`."""
    batches = [pairs.indices(i) for i in range(len(pairs))]
    left, right, similar = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    samples = np.stack([left, right], axis=1)
    return samples, similar, np.asarray(pairs.classes, dtype=object)[pairs.labels][samples]


def _fixed(pairs: BalancedPairSequence) -> BalancedPairSequence:
    """The same pairs for every epoch: `predict` must not move on to others than those whose classes are looked up."""
    pairs = copy.copy(pairs)
    pairs.redraw = False
    pairs.set_epoch(0)
    return pairs


def _validation_pairs(data: Any) -> BalancedPairSequence:
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(
            f"`validation_data` must be (x, y) with class labels, or a `BalancedPairSequence`. Received: {short(data)}"
        )
    x, y = data
    if y is None or _says_similar(x, y):
        raise TypeError(
            "`validation_data` must be (x, y): single samples and their class labels, of which pairs are drawn. Pass "
            "ready pairs as a `BalancedPairSequence`. Received: "
            + ("y=None" if y is None else "x of two arrays and y of 0 and 1, as of pairs")
        )
    n_classes = len(np.unique(np.asarray(y)))
    n_pairs = max(len(np.asarray(y)), min(200 * n_classes, 4096), 1)
    batch_size = min(n_pairs, 256)
    steps = -(-n_pairs // batch_size)
    return BalancedPairSequence(x, y, batch_size, steps_per_epoch=steps, max_repeats=None, redraw=False, seed=0)


def _says_similar(x: Any, y: Any) -> bool:
    """Whether data looks like pairs and their truth, as Keras takes it."""
    if not (isinstance(x, (list, tuple)) and len(x) == 2 and np.ndim(x[0]) > 1):
        return False
    labels = np.asarray(y)
    like_truth = labels.dtype.kind in "fb" or labels.ndim == 2
    return like_truth and set(np.unique(labels).tolist()) <= {0, 1}
