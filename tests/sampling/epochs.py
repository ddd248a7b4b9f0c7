"""Sequences with classes of given sizes, and all that one of their epochs draws."""

import numpy as np

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence

POWERS = {"balanced": 0.0, "natural": 1.0, "sqrt": 0.5}


def labels_of(counts):
    """The labels `class 0`, `class 1` and so on, in random order."""
    return np.random.default_rng(0).permutation(np.repeat([f"class {k}" for k in range(len(counts))], counts))


def build_pairs(counts, **kwargs):
    y = labels_of(counts)
    return BalancedPairSequence(np.arange(len(y)), y, **{"batch_size": 8, "seed": 3, **kwargs})


def build_batches(counts, p=2, k=4, **kwargs):
    y = labels_of(counts)
    return BalancedBatchSequence(np.arange(len(y)), y, p, k, **{"seed": 3, **kwargs})


def pairs_of_epoch(pairs):
    """All pairs of the epoch: left labels, right labels, left, right, similar."""
    left, right, similar = (np.concatenate(part) for part in zip(*map(pairs.indices, range(len(pairs))), strict=True))
    names = np.array(pairs.classes)[pairs.labels]
    return names[left], names[right], left, right, similar


def samples_of_epoch(batches):
    """The samples and the codes of an epoch, each `(steps, P, K)`."""
    shape = (-1, batches.classes_per_batch, batches.samples_per_class)
    index = np.stack([batches.indices(i) for i in range(len(batches))]).reshape(shape)
    return index, batches.labels[index]


def visits_of(batches):
    """The number of batches of an epoch that contain each class."""
    return np.bincount(samples_of_epoch(batches)[1][:, :, 0].reshape(-1), minlength=len(batches.classes))
