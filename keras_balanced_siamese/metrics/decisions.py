"""How often the decision at a fixed threshold is right and wrong."""

from collections.abc import Sequence
from typing import Any

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, total


def share_of_bin(histogram: Tensor, k: int) -> Tensor:
    """Share `(rows,)` of the pairs that lie in bin `k`; NaN without a pair."""
    return where_measured(ops.sum(histogram, axis=-1) > 0.0, (histogram / total(histogram))[:, k])


def matthews_correlation(similar: Tensor, different: Tensor) -> Tensor:
    """Correlation of truth and decision, from counts (accepted, rejected); 0 where all decisions are the same."""
    table = ops.concatenate([similar, different], axis=-1)  # (rows, 4)
    table = table / total(table)  # products of counts could overflow
    accepts, rejects, false_accepts, true_rejects = (table[:, k] for k in range(4))
    square = (accepts + false_accepts) * (rejects + true_rejects) * (accepts + rejects) * (false_accepts + true_rejects)
    root = ops.sqrt(ops.where(square > 0.0, square, 1.0))
    return where_measured(both_kinds(similar, different), (accepts * true_rejects - false_accepts * rejects) / root)


@register(package=PACKAGE)
class FalseAcceptRate(PairHistogram):
    """Share of the different pairs that are accepted at a threshold.

    ```
    FAR = different pairs accepted / different pairs
    ```

    The value is exact, and that of all pairs since the last reset. A score is accepted if it is a distance not above
    the threshold, or with `higher_is_similar` a score not below it, both read as float32.

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar: `False` for distances, `True` for probabilities and similarities.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, for a value of each class: see `VerificationAUC`.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN where there is no different pair yet.

    Raises:
        ValueError: For an argument or a shape that does not fit.

    Examples:
        >>> metric = FalseAcceptRate(threshold=0.5)
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    _direction = "down"

    def __init__(
        self,
        threshold: float,
        *,
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "false_accept_rate",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return share_of_bin(different, 0)


@register(package=PACKAGE)
class FalseRejectRate(PairHistogram):
    """Share of the similar pairs that are rejected at a threshold.

    ```
    FRR = similar pairs rejected / similar pairs
    ```

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar, similar_label, classes, name, dtype: See `FalseAcceptRate`.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN where there is no similar pair yet.

    Raises:
        ValueError: For an argument or a shape that does not fit.

    Examples:
        >>> metric = FalseRejectRate(threshold=0.5)
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    _direction = "down"

    def __init__(
        self,
        threshold: float,
        *,
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "false_reject_rate",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return share_of_bin(similar, 1)


@register(package=PACKAGE)
class BalancedPairAccuracy(PairHistogram):
    """Share of right decisions at a threshold, similar and different pairs counting half each.

    ```
    balanced accuracy = 1 - (FAR + FRR) / 2
    ```

    Chance is 0.5 whatever the share of similar pairs. With `classes`, 1 less the value of a class is its `error` in
    `evaluate_pairs` at the same threshold.

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar, similar_label, classes, name, dtype: See `FalseAcceptRate`.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN where there is no similar or no different pair yet.

    Raises:
        ValueError: For an argument or a shape that does not fit.

    Examples:
        >>> metric = BalancedPairAccuracy(threshold=0.5)
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    def __init__(
        self,
        threshold: float,
        *,
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "balanced_pair_accuracy",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return (share_of_bin(similar, 0) + share_of_bin(different, 1)) / 2.0


@register(package=PACKAGE)
class MatthewsCorrelation(PairHistogram):
    """Correlation of truth and decision at a threshold, from -1 to 1.

    ```
    MCC = (TA * TR - FA * FR) / sqrt((TA + FA) * (TR + FR) * (TA + FR) * (TR + FA))
    ```

    with the counts of true and false accepts and rejects. 1 is perfect, 0 is chance, and also the value where all
    decisions are the same.

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar, similar_label, classes, name, dtype: See `FalseAcceptRate`.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from -1 to 1, or with `classes` a dict. NaN where there is no similar or no different pair yet.

    Raises:
        ValueError: For an argument or a shape that does not fit.

    Examples:
        >>> metric = MatthewsCorrelation(threshold=0.5)
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    def __init__(
        self,
        threshold: float,
        *,
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "matthews_correlation",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return matthews_correlation(similar, different)
