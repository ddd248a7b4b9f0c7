"""Split of samples by class, with common and rare classes in both parts."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._labels import Labels, encode_labels
from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import ArrayLike

DRAWS = 50  # at most, for a share of the samples that is close to the share of the classes


def split_by_class(
    labels: ArrayLike, test_size: float = 0.2, *, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split samples into two parts without a class in common, each with common and rare classes.

    Use it to test a model on people, products or species that it was not trained on. `GroupShuffleSplit` of
    scikit-learn keeps classes whole too, but the rare ones of a small part are up to chance.

    - All samples of a class are in one part, and each sample is in one part.
    - The number of test classes is `test_size`: exactly if it is an integer, rounded up if it is a share.
    - Both parts have classes of every size. The classes are sorted by size and divided into as many runs of equal
      length (plus or minus one) as the smaller part has classes. The smaller part gets one class of each run, drawn at
      random, and the larger part gets the others, at least one of each run.
    - The share of the samples is close to that of the classes, if the sizes allow it: classes are drawn again, up to 50
      times, until it is off by a third at most for the smaller part; if it never is, the closest draw is used. A class
      that holds a large part of all samples is therefore in the larger part in most cases.
    - The classes of both parts depend on `seed` and on the text and size of each class only, not on the order of the
      samples, nor on whether the labels are numbers, strings or categories.

    Args:
        labels: `(n,)` class labels: integers, strings, booleans or finite floats.
        test_size: Share of the classes that are test classes, between 0 and 1, or their number.
        seed: Whole number >= 0; `None` takes one from the operating system.

    Returns:
        `(train, test)`: the positions of the samples of each part in `labels`, sorted integers `(n_train,)` and
        `(n_test,)`. They select rows as `x[train]` or, in pandas, `frame.iloc[train]`.

    Raises:
        ValueError: If there are fewer than two classes, `test_size` leaves a part without a class, or labels are
            missing (NaN, None).
        TypeError: If `test_size` is not a number, or labels are neither strings nor numbers.

    Examples:
        >>> y = np.repeat(["ann", "bob", "cem", "dia", "eva", "fay"], [90, 80, 70, 4, 3, 2])
        >>> train, test = split_by_class(y, test_size=2, seed=0)
        >>> np.unique(y[train]).tolist(), np.unique(y[test]).tolist()
        (['bob', 'cem', 'eva', 'fay'], ['ann', 'dia'])

        A second split gives three parts, here of two classes each:

        >>> train, validation = (train[part] for part in split_by_class(y[train], test_size=0.5, seed=0))
        >>> len(train), len(validation), len(test)
        (72, 83, 94)
    """
    if isinstance(test_size, bool) or not isinstance(test_size, Real):
        raise TypeError(
            "`test_size` must be a share of the classes or their number. Labels alone are split, and positions are "
            "returned: `train, test = split_by_class(y)`, then `x[train], y[train]`. "
            f"Received: test_size={short(test_size, 60)}"
        )
    encoded = encode_labels(labels)
    n_test = _number_of_test_classes(test_size, len(encoded.classes))
    rng = np.random.default_rng(None if seed is None else whole("seed", seed, 0))
    in_test = _test_classes(encoded, n_test, rng)[encoded.codes]
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def _number_of_test_classes(test_size: Any, n_classes: int) -> int:
    if n_classes < 2:
        raise ValueError(
            "A split by class needs samples of at least two classes. To split the samples of one class, use "
            f"`sklearn.model_selection.train_test_split`. Received: labels of {n_classes} class"
        )
    if isinstance(test_size, Integral):
        n_test = int(test_size)
    elif 0 < float(test_size) < 1:
        n_test = math.ceil(float(test_size) * n_classes - 1e-9)  # 0.07 * 100 is a little more than 7
    else:
        raise ValueError(
            "`test_size` must be a share between 0 and 1, or a whole number of classes. "
            f"Received: test_size={test_size!r}"
        )
    if not 0 < n_test < n_classes:
        raise ValueError(
            f"`test_size` leaves one part without a class: {n_test} of {n_classes} classes would be test classes. Pass "
            f"a number from 1 to {n_classes - 1}, or a smaller share. Received: test_size={test_size!r}"
        )
    return n_test


def _test_classes(encoded: Labels, n_test: int, rng: np.random.Generator) -> np.ndarray:
    """Return which classes `(C,)` are test classes."""
    counts, n_classes = encoded.counts, len(encoded.classes)
    n_small = min(n_test, n_classes - n_test)
    order = _by_size(encoded, rng)
    edges = np.arange(n_small + 1) * n_classes // n_small
    share, best, least = n_small / n_classes, order[:0], math.inf
    for _ in range(DRAWS):
        drawn = order[rng.integers(edges[:-1], edges[1:])]  # one of each run
        error = abs(counts[drawn].sum() / counts.sum() - share)
        if error < least:
            best, least = drawn, error
        if error <= share / 3:
            break
    in_test = np.full(n_classes, n_test > n_small)
    in_test[best] = n_test == n_small
    return in_test


def _by_size(encoded: Labels, rng: np.random.Generator) -> np.ndarray:
    """Return the classes `(C,)`, the largest first, those of one size in random order."""
    by_text = np.array(sorted(range(len(encoded.classes)), key=lambda k: str(encoded.classes[k])))
    shuffled = rng.permutation(by_text)
    return shuffled[np.argsort(-encoded.counts[shuffled], kind="stable")]
