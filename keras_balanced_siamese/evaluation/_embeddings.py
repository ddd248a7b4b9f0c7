"""Evaluation of embeddings: pair verification and retrieval."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from keras_balanced_siamese.neighbours import TIE, as_points, check_index, retrieval_scores, squared_distances

BLOCK = 1 << 23  # coordinates per block of pairs
CHECKED = 500  # queries of an approximate index that are also searched exactly


def evaluate_embeddings(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    distance: str = "euclidean",
    k: Sequence[int] = (1, 5, 10),
    max_pairs: int = 1_000_000,
    index: str = "exact",
    threshold: Any = None,
    class_counts: Mapping[Label, int] | ArrayLike | None = None,
    far: Sequence[float] = FARS,
    costs: Costs = COSTS,
    resample: str | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairReport:
    """Evaluate embeddings: verification of all pairs, and retrieval of samples of the same class.

    If there are more than `max_pairs` pairs, a random sample of at most half that number of similar and of different
    pairs is evaluated. Each class has up to the same number of similar pairs, and pairs are weighted to represent all.

    For retrieval, each sample is a query among all others. The search uses bounded memory, and is exact by default:

    ```
    recall@k    = 1 if one of the k nearest is of the class of the query
    R-precision = share of this class among the R nearest,  R = number of other samples of this class
    MAP@R       = 1/R * sum over i <= R of precision(i) * relevant(i)
    ```

    Of equally distant samples, those of other classes are ranked first, so collapsed embeddings score 0. Under the
    cosine distance, embeddings of the same direction are equal. The only sample of a class is not a query.

    An approximate index does not compare each sample with all others. It may miss near samples, mostly of other
    classes, so its figures can be too high as well as too low. Therefore 500 random queries are also searched exactly,
    and the report shows by how much the figures of these queries differ. All other figures are those of the pairs and
    do not depend on the index.

    Args:
        embeddings: `(n, dim)`, finite.
        labels: `(n,)` class labels.
        distance: `"euclidean"`, or `"cosine"`: 1 - cosine similarity.
        k: Numbers of neighbours for recall.
        max_pairs: Largest number of pairs. Each class keeps at least one similar pair, also beyond this number.
        index: Search for recall, R-precision and MAP@R: `"exact"`, or an approximate index, `"usearch"` or `"faiss"`
            (optional packages, see `Gallery`), for very many samples. With 50,000 samples of 128 dimensions, the exact
            search was three times as fast.
        threshold: See `evaluate_pairs`, also for the arguments below.
        class_counts: Numbers of training samples by class: a mapping, or the training labels.
        far: False accept rates.
        costs: Costs of the detection costs.
        resample: `"classes"` (the default) or `"samples"`. Over samples, recall, R-precision and MAP@R have no
            intervals, because a sample is both a query and an answer to other queries.
        n_resamples: Number of resamples; 0 gives no intervals.
        confidence: Confidence level of the intervals.
        seed: Seed of the resamples and of the sample of pairs.

    Returns:
        A `PairReport` that also has `recall@k`, `r_precision` and `map@r`. In `micro` they are means over samples. With
        an approximate index, `approximate` has the check of them.

    Raises:
        ValueError: If the shapes do not match, an embedding is not finite, there are fewer than two classes, no class
            has two samples, or an argument is out of range.
        ImportError: If the package of the index is not installed.

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
    check_index(index)
    x, encoded = as_points(embeddings, distance), encode_labels(labels)
    _check_labels(encoded, len(x))
    rng = np.random.default_rng(seed)
    sides, weight = choose_pairs(encoded.codes, whole("max_pairs", max_pairs, 2), rng)
    codes = encoded.codes[sides]
    pairs = sorted_pairs(
        _distances(x, sides, distance), codes[:, 0] == codes[:, 1], weight, encoded.classes, codes, sides
    )
    scores = retrieval_scores(x, encoded.codes, ks, distance, index)
    retrieval = {name: _by_class(values, encoded) for name, values in scores.items()}
    if index == "exact":
        return evaluate(pairs, options, retrieval)
    queries = np.flatnonzero(encoded.counts[encoded.codes] > 1)
    checked = np.random.default_rng(seed).choice(queries, min(CHECKED, len(queries)), replace=False)
    exact = retrieval_scores(x, encoded.codes, ks, distance, queries=checked)
    difference = {name: float((scores[name] - exact[name])[checked].mean()) for name in scores}
    approximate = {"index": index, "n_checked": len(checked), "difference": difference}
    return replace(evaluate(pairs, options, retrieval), approximate=approximate)


def _check_labels(labels: Labels, n: int) -> None:
    """Raise unless there is one label per embedding, two classes, and two samples of a class."""
    if len(labels.codes) != n:
        raise ValueError(
            f"`labels` must hold one label per embedding. Received: {len(labels.codes)} labels for {n} embeddings"
        )
    if len(labels.classes) < 2 or labels.counts.max() < 2:
        raise ValueError(
            "At least two classes are needed, one of them with two samples. "
            f"Received: {len(labels.classes)} classes with up to {labels.counts.max()} samples"
        )


def _distances(x: np.ndarray, sides: np.ndarray, distance: str) -> np.ndarray:
    """Distances of the pairs `sides` `(p, 2)` of embeddings, `(p,)`, computed in blocks."""
    step = max(1, BLOCK // x.shape[1])
    parts = [sides[start : start + step] for start in range(0, len(sides), step)]
    squared = np.concatenate([squared_distances(x[part[:, 0]], x[part[:, 1]]) for part in parts])
    if distance == "euclidean":
        return np.sqrt(squared)
    return np.where(squared < TIE**2, 0.0, squared / 2)  # 1 - cosine of unit vectors


def _by_class(values: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the finite values of each class, and their number, `(C,)` each."""
    known = np.isfinite(values)
    n = len(labels.classes)
    return np.bincount(labels.codes[known], values[known], n), np.bincount(labels.codes[known], minlength=n)
