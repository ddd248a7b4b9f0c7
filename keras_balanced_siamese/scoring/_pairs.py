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


def ready_pairs(x: Any, similar: Any, as_given: bool = False) -> ReadyPairs:
    """Check pairs that were made elsewhere: two sides or an array `(n, 2, ...)`, and their labels 0 and 1.

    `as_given` keeps the array for a model that takes it.
    """
    sides, labels = x if as_given else both_sides(x), np.asarray(similar).reshape(-1)
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
    """Return whether data has the form of pairs and pair labels for Keras.

    Whole numbers 0 and 1 can also be the classes of stacked samples, so pairs in one array need labels of another type.
    """
    labels = np.asarray(y)
    if isinstance(x, (list, tuple)):
        shapes = [np.shape(side) for side in x if not isinstance(side, (list, tuple, Mapping))]
        if len(x) != 2 or len(shapes) != 2 or len(shapes[0]) < 2 or shapes[0][1:] != shapes[1][1:]:
            return False
    elif not is_stacked(x) or (labels.dtype.kind not in "fb" and labels.ndim == 1):
        return False
    return labels.dtype.kind in "biuf" and set(np.unique(labels).tolist()) <= {0, 1}


def is_stacked(x: Any) -> bool:
    """Return whether `x` can be pairs in one array `(n, 2, ...)`."""
    return len(getattr(x, "shape", ())) > 2 and x.shape[1] == 2


def both_sides(x: Any) -> Any:
    """Return both sides of pairs, also of one array `(n, 2, ...)`."""
    return (x[:, 0], x[:, 1]) if is_stacked(x) else x


def leaves(inputs: Any) -> list[Any]:
    """Return the arrays of a nested structure."""
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    return [leaf for part in inputs for leaf in leaves(part)] if isinstance(inputs, (list, tuple)) else [inputs]
