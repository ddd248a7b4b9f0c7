"""Distances and truth -> a report."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation._evaluate import evaluate
from keras_balanced_siamese.evaluation._figures import COSTS, FARS, Costs
from keras_balanced_siamese.evaluation._options import check_options
from keras_balanced_siamese.evaluation._pair_data import check_pairs
from keras_balanced_siamese.evaluation._report import PairReport


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
    """Judge how well distances tell similar from different pairs, overall and for each class.

    Every figure is exact: equal distances are accepted or rejected together. The error of a class is taken at the
    threshold that all classes share, as a deployed model has it:

    ```
    error_c = (false_reject_rate_c + false_accept_rate_c) / 2
    ```

    over the similar pairs of class `c`, and over the different pairs with `c` on either side. A model that accepts
    everything has the error 1/2 in each class, not 0.

    Intervals come from drawing classes (or samples) again, not pairs: pairs of one class resemble each other, and
    intervals that take them for independent are far too narrow. Those over classes answer "how would the figure be with
    other classes of this kind", those over samples "with other samples of these classes". Fewer than about 20 classes
    say little about other classes: their intervals are wide, and rightly so. A figure that stays the same whichever
    classes are drawn has no interval: the false accept rate of two classes, say.

    Args:
        distances: `(n,)` or `(n, 1)`: small for similar pairs. Pass probabilities or similarities with a minus sign.
        similar: `(n,)` or `(n, 1)`: 1 for pairs of one class, 0 for the others.
        classes: `(n, 2)` class labels of the left and the right side; `None` leaves out all that is per class.
        samples: `(n, 2)` which sample the left and the right side are: their positions in the data, or names. Each
            class then gets an interval.
        sample_weight: `(n,)` how much each pair counts; those of weight 0 are left out.
        threshold: Distance up to which a pair is accepted, or the layer that `calibrate` returned. `None` takes that of
            the equal error rate of these pairs, which flatters the figures at the threshold a little.
        class_counts: Training samples of each class, as a mapping or as the array of the training labels, one a sample:
            the report then shows the most common third of the classes (head), the middle one and the rarest (tail). A
            class that it lacks counts as never seen in training. No groups if all are as common.
        far: False accept rates at which to give the true accept rate. It takes at least `1 / far` different pairs.
        costs: For each detection cost `(cost of a miss, cost of a false accept, share of similar pairs)`.
        resample: `"classes"` or `"samples"`, what the intervals draw again. `None` means classes if they are given,
            else samples if they are given. Over samples, means over classes have intervals at the threshold only.
        n_resamples: How often; 0 gives no intervals.
        confidence: Share of the intervals that are to hold the true figure.
        seed: Of the resamples.

    Returns:
        A `PairReport`. A figure without a pair to measure it on is NaN.

    Raises:
        ValueError: If the shapes differ, a distance is NaN or beyond 1e150 without being infinite, a label is neither 0
            nor 1, similar or different pairs are missing altogether, `class_counts` counts none of the classes, or an
            argument is out of range.
        TypeError: If distances are not numbers, or labels are of mixed types.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> round(report.eer, 4), round(report.roc_auc, 4)
        (0.3333, 0.7778)
        >>> report.tar_at_far[0.1]  # three different pairs cannot tell
        nan

    References:
        Fogliato, Patil, Perona, "Confidence Intervals for Error Rates in 1:1 Matching Tasks", IJCV 2024.
        Martin, Doddington et al., "The DET Curve in Assessment of Detection Task Performance", Eurospeech 1997.
    """
    options = check_options(threshold, class_counts, far, costs, resample, n_resamples, confidence, seed)
    return evaluate(check_pairs(distances, similar, classes, samples, sample_weight), options)
