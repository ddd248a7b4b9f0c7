"""Evaluation of distances."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation._evaluate import evaluate
from keras_balanced_siamese.evaluation._figures import COSTS, FARS, Costs
from keras_balanced_siamese.evaluation._options import check_options
from keras_balanced_siamese.evaluation._pair_data import check_pairs
from keras_balanced_siamese.evaluation._report import PairReport

REVERSED = 0.45  # area below which the scores or the labels are probably reversed


def evaluate_pairs(
    distances: ArrayLike,
    similar: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    threshold: Any = None,
    class_counts: Mapping[Label, int] | ArrayLike | None = None,
    far: Sequence[float] = FARS,
    costs: Costs = COSTS,
    resample: str | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairReport:
    """Evaluate how well distances separate similar from different pairs, overall and for each class.

    All figures are exact, also with equal distances, which are accepted or rejected together. The error of a class is
    measured at the threshold that all classes share, as in a deployed model:

    ```
    error_c = (false_reject_rate_c + false_accept_rate_c) / 2
    ```

    over the similar pairs of class `c` and the different pairs with `c` on either side. A model that accepts everything
    has an error of 1/2 in each class, not 0.

    Confidence intervals resample classes or samples, not pairs: pairs of the same class are correlated, and intervals
    that ignore this are far too narrow. Intervals over classes describe the figure for other classes of the same kind,
    intervals over samples for other samples of the same classes. With fewer than about 20 classes, intervals over
    classes are wide. A figure that is the same in all resamples has no interval, such as the false accept rate of two
    classes.

    Args:
        distances: `(n,)` or `(n, 1)`, small for similar pairs. Pass probabilities or similarities with a minus sign,
            and then the threshold too.
            From a square matrix, take each pair once, as by `np.triu_indices(len(matrix), 1)`.
        similar: `(n,)` or `(n, 1)`: 1 for pairs of the same class, 0 for the others.
        classes: `(n, 2)` class labels of the left and the right side. Without them there are no figures of classes.
        samples: `(n, 2)` samples of the left and the right side, as positions in the data or names. Figures of classes
            then have intervals too.
        sample_weight: `(n,)` weights of the pairs; pairs of weight 0 are left out.
        threshold: Largest accepted distance, or the layer that `calibrate` returned. `None` means the threshold of the
            equal error rate of these pairs, with which figures at the threshold are slightly optimistic.
        class_counts: Numbers of training samples by class, as a mapping or as the array of the training labels. With
            it the report has groups of classes: the most common third (head), the middle and the rarest third (tail).
            A class without a count has 0 training samples. There are no groups if all counts are equal. Counts become a
            mapping by `labels.value_counts().to_dict()` (pandas) or `dict(enumerate(np.bincount(codes)))`.
        far: False accept rates at which to report the true accept rate. Each needs at least `1 / far` different pairs.
        costs: `(cost of a miss, cost of a false accept, share of similar pairs)` for each detection cost.
        resample: Units of the intervals, `"classes"` or `"samples"`. `None` means classes if they are given, else
            samples if they are given. Over samples, means over classes have intervals at the threshold only.
        n_resamples: Number of resamples; 0 gives no intervals.
        confidence: Confidence level of the intervals.
        seed: Seed of the resamples.

    Returns:
        A `PairReport`. Figures without pairs to measure them on are NaN.

    Raises:
        ValueError: If the shapes differ, a distance is NaN or finite and beyond 1e150, a label is neither 0 nor 1,
            similar or different pairs are missing, `class_counts` has none of the classes, an argument is out of
            range, or the threshold is above 0 and no distance is.
        TypeError: If distances are not numbers, or labels are of mixed types.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> round(report.eer, 4), round(report.roc_auc, 4)
        (0.3333, 0.7778)
        >>> report.tar_at_far[0.1]  # needs 10 different pairs
        nan

    References:
        Fogliato, Patil, Perona, "Confidence Intervals for Error Rates in 1:1 Matching Tasks", IJCV 2024.
        Martin, Doddington et al., "The DET Curve in Assessment of Detection Task Performance", Eurospeech 1997.
    """
    options = check_options(threshold, class_counts, far, costs, resample, n_resamples, confidence, seed)
    pairs = check_pairs(distances, similar, classes, samples, sample_weight)
    if pairs.distance[0] < 0 and pairs.distance[-1] <= 0 < (options.threshold or 0):
        raise ValueError(
            "Scores with a minus sign need a threshold with a minus sign: this one accepts every pair. "
            f"Received: threshold={options.threshold:g} and distances from {pairs.distance[0]:.4g} to "
            f"{pairs.distance[-1]:.4g}"
        )
    report = evaluate(pairs, options)
    _warn_if_reversed(report)
    return report


def _warn_if_reversed(report: PairReport) -> None:
    """Warn if different pairs are closer than similar ones, beyond chance."""
    n, m = report.n_similar, report.n_different
    chance = math.sqrt((n + m + 1) / (12 * n * m))  # standard deviation of the area for scores without information
    if report.roc_auc < REVERSED - 4 * chance:
        warnings.warn(
            f"Different pairs are closer than similar ones (area under the ROC curve {report.roc_auc:.3f}): are these "
            "distances, small for similar pairs, and is 1 the label of similar pairs? Pass probabilities and "
            "similarities with a minus sign, or `higher_is_similar=True` where a model returns them.",
            stacklevel=3,
        )
