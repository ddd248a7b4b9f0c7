"""Pairs for validation and tests: those of a sequence, drawn from samples with class labels, or ready-made ones."""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.sampling import BalancedPairSequence


class ReadyPairs(NamedTuple):
    """Pairs that were made elsewhere, without classes."""

    inputs: Any  # both sides, as the model takes them
    similar: np.ndarray  # (n,)


class Samples(NamedTuple):
    """Samples, from which pairs are drawn."""

    x: Any
    y: Any  # (n,) class labels


def open_pairs(data: Any) -> BalancedPairSequence | ReadyPairs:
    """Return fixed pairs from a sequence, samples with class labels, or ready pairs `((left, right), similar)`."""
    if isinstance(data, tuple) and len(data) == 2 and looks_like_pairs(*data):
        return ready_pairs(*data)
    return class_pairs(data)


def ready_pairs(x: Any, similar: Any) -> ReadyPairs:
    """Check pairs that were made elsewhere: two sides or an array `(n, 2, ...)`, and their labels 0 and 1."""
    sides, labels = both_sides(x), np.asarray(similar).reshape(-1)
    lengths = [len(array) for array in leaves(sides)]
    if any(length != len(labels) for length in lengths):
        raise ValueError(
            "Ready pairs ((left, right), similar) need one label per pair and as many items on each side. "
            f"Received: arrays of {lengths} items and {len(labels)} labels"
        )
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(
            "Both similar pairs, labelled 1, and different ones, labelled 0, are needed. "
            f"Received: the labels {short(np.unique(labels).tolist())}"
        )
    return ReadyPairs(sides, labels)


def class_pairs(data: Any) -> BalancedPairSequence:
    """Return fixed pairs of both kinds from a sequence or from samples with class labels `(x, y)`."""
    if isinstance(data, BalancedPairSequence):
        if data.positive_fraction in (0, 1):
            raise ValueError(
                "The sequence must hold similar and different pairs: construct it with `positive_fraction` between 0 "
                f"and 1. Received: positive_fraction={data.positive_fraction!r}"
            )
        return fixed(data)
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(
            "Expected (x, y) with class labels, or a `BalancedPairSequence`. "
            f"Received: {type(data).__name__} {short(data)}"
        )
    x, y = data
    if y is None or looks_like_pairs(x, y):
        raise TypeError(
            "Expected (x, y), single samples and their class labels, from which pairs are drawn. Received: "
            + ("y=None" if y is None else "x of two arrays and y of 0 and 1, as of pairs, whose classes are unknown")
        )
    n_classes = len(np.unique(np.asarray(y)))
    n_pairs = max(len(np.asarray(y)), min(200 * n_classes, 4096), 1)
    batch_size = min(n_pairs, 256)
    steps = -(-n_pairs // batch_size)
    return BalancedPairSequence(x, y, batch_size, steps_per_epoch=steps, max_repeats=None, redraw=False, seed=0)


def fixed(pairs: BalancedPairSequence) -> BalancedPairSequence:
    """Return a copy that stays at epoch 0, so that `predict` scores the pairs whose truth is looked up."""
    pairs = copy.copy(pairs)
    pairs.redraw = False
    pairs.set_epoch(0)
    return pairs


def looks_like_pairs(x: Any, y: Any) -> bool:
    """Return whether data has the form of pairs and pair labels for Keras."""
    if isinstance(x, (list, tuple)):
        if len(x) != 2 or np.ndim(x[0]) < 2:
            return False
    elif len(getattr(x, "shape", ())) < 3 or x.shape[1] != 2:
        return False
    labels = np.asarray(y)
    like_pair_labels = labels.dtype.kind in "fb" or labels.ndim == 2
    return like_pair_labels and set(np.unique(labels).tolist()) <= {0, 1}


def both_sides(x: Any) -> Any:
    """Return both sides of pairs, also of one array `(n, 2, ...)`."""
    return x if isinstance(x, (list, tuple, dict)) else (x[:, 0], x[:, 1])


def leaves(inputs: Any) -> list[Any]:
    """Return the arrays of a nested structure."""
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    return [leaf for part in inputs for leaf in leaves(part)] if isinstance(inputs, (list, tuple)) else [inputs]
