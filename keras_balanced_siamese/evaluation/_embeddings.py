"""Embeddings and labels -> a report of all their pairs, and of finding each among the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._labels import Labels, encode_labels
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation._all_pairs import choose_pairs
from keras_balanced_siamese.evaluation._evaluate import evaluate
from keras_balanced_siamese.evaluation._figures import COSTS, FARS, Costs
from keras_balanced_siamese.evaluation._options import check_options, several
from keras_balanced_siamese.evaluation._pair_data import sorted_pairs
from keras_balanced_siamese.evaluation._report import PairReport
from keras_balanced_siamese.neighbours import TIE, as_points, retrieval_scores, squared_distances

BLOCK = 1 << 23  # numbers that are compared at once


def evaluate_embeddings(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    distance: str = "euclidean",
    k: Sequence[int] = (1, 5, 10),
    max_pairs: int = 1_000_000,
    threshold: Any = None,
    class_counts: Mapping[Label, int] | ArrayLike | None = None,
    far: Sequence[float] = FARS,
    costs: Costs = COSTS,
    resample: str | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairReport:
    """Judge embeddings: how well their distances tell pairs apart, and how well each one finds its class.

    The pairs are all pairs. If there are more than `max_pairs`, half of that number is kept for similar and half for
    different pairs: they are drawn at random, up to the same number from each class, and weighted to stand for all.

    For retrieval each sample is a query among all others, exactly and in bounded memory:

    ```
    recall@k    = 1 if one of the k nearest is of its class
    R-precision = share of its class among the R nearest,  R = number of others of its class
    MAP@R       = 1/R * sum over i <= R of precision(i) * relevant(i)
    ```

    Of equally distant samples those of other classes come first, so equal embeddings find nothing: under the cosine
    distance all those of one direction. Samples without another one of their class are left out.

    Args:
        embeddings: `(n, dim)`, finite.
        labels: `(n,)` class labels.
        distance: `"euclidean"`, or `"cosine"`: 1 less the cosine similarity.
        k: Numbers of neighbours for recall.
        max_pairs: Most pairs to measure; each class keeps one similar pair even if there are more classes than that.
        threshold: See `evaluate_pairs`, and so all that follow.
        class_counts: Training samples of each class: a mapping, or the training labels, one a sample.
        far: False accept rates.
        costs: Of the detection costs.
        resample: `"classes"` (the default) or `"samples"`. Over samples, recall, R-precision and MAP@R have no
            interval: a sample is a query of its own and an answer to many others.
        n_resamples: Number of resamples; 0 gives no intervals.
        confidence: Of the intervals.
        seed: Of the resamples, and of the pairs if they are drawn.

    Returns:
        A `PairReport` that also has `recall@k`, `r_precision` and `map@r`. Under `micro` they are means over samples.

    Raises:
        ValueError: If the shapes do not fit, an embedding is not finite, there are not two classes, or no class has two
            samples; for arguments out of range.

    Examples:
        >>> x = np.array([[0.0], [0.1], [1.0], [1.2], [1.05]])
        >>> report = evaluate_embeddings(x, ["a", "a", "b", "b", "a"], k=(1,))
        >>> round(report.micro["recall@1"], 2), round(report.macro["recall@1"], 2)
        (0.4, 0.33)

    References:
        Musgrave, Belongie, Lim, "A Metric Learning Reality Check", ECCV 2020 (MAP@R).
    """
    options = check_options(threshold, class_counts, far, costs, resample, n_resamples, confidence, seed)
    ks = [whole("k", one, 1) for one in several("k", k)]
    x, encoded = as_points(embeddings, distance), encode_labels(labels)
    _check_labels(encoded, len(x))
    rng = np.random.default_rng(seed)
    sides, weight = choose_pairs(encoded.codes, whole("max_pairs", max_pairs, 2), rng)
    codes = encoded.codes[sides]
    pairs = sorted_pairs(
        _distances(x, sides, distance), codes[:, 0] == codes[:, 1], weight, encoded.classes, codes, sides
    )
    scores = retrieval_scores(x, encoded.codes, ks, distance)
    retrieval = {name: _by_class(values, encoded) for name, values in scores.items()}
    return evaluate(pairs, options, retrieval)


def _check_labels(labels: Labels, n: int) -> None:
    if len(labels.codes) != n:
        raise ValueError(
            f"`labels` must hold one label per embedding. Received: {len(labels.codes)} labels for {n} embeddings"
        )
    if len(labels.classes) < 2 or labels.counts.max() < 2:
        raise ValueError(
            "At least two classes are needed, and a class with two samples. "
            f"Received: {len(labels.classes)} classes with up to {labels.counts.max()} samples"
        )


def _distances(x: np.ndarray, sides: np.ndarray, distance: str) -> np.ndarray:
    step = max(1, BLOCK // x.shape[1])
    parts = [sides[start : start + step] for start in range(0, len(sides), step)]
    squared = np.concatenate([squared_distances(x[part[:, 0]], x[part[:, 1]]) for part in parts])
    if distance == "euclidean":
        return np.sqrt(squared)
    return np.where(squared < TIE**2, 0.0, squared / 2)  # of unit vectors: 1 - cosine


def _by_class(values: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Sum over the samples of each class that have a value, and their number, `(C,)` each."""
    known = np.isfinite(values)
    n = len(labels.classes)
    return np.bincount(labels.codes[known], values[known], n), np.bincount(labels.codes[known], minlength=n)
