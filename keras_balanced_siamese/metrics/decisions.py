"""Metrics of the decisions at a fixed threshold."""

from collections.abc import Sequence
from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, total


def share_of_bin(histogram: Tensor, k: int) -> Tensor:
    """Return the share `(rows,)` of the pairs in bin `k`; NaN without pairs."""
    return where_measured(ops.sum(histogram, axis=-1) > 0.0, (histogram / total(histogram))[:, k])


def matthews_correlation(similar: Tensor, different: Tensor) -> Tensor:
    """Return the correlation of truth and decision from counts (accepted, rejected); 0 if all decisions are equal."""
    table = ops.concatenate([similar, different], axis=-1)  # (rows, 4)
    table = table / total(table)  # products of counts could overflow
    accepts, rejects, false_accepts, true_rejects = (table[:, k] for k in range(4))
    square = (accepts + false_accepts) * (rejects + true_rejects) * (accepts + rejects) * (false_accepts + true_rejects)
    root = ops.sqrt(ops.where(square > 0.0, square, 1.0))
    return where_measured(both_kinds(similar, different), (accepts * true_rejects - false_accepts * rejects) / root)


@register
class FalseAcceptRate(PairHistogram):
    """Share of the different pairs that are accepted at a threshold.

    ```
    FAR = different pairs accepted / different pairs
    ```

    The value is exact, over all pairs since the last reset. A pair is accepted if its distance is not above the
    threshold, or with `higher_is_similar` if its score is not below it. Both are compared in float32.

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar: `False` for distances, `True` for probabilities and similarities. `None` takes it from the
            model that trains or is evaluated; in a loop of your own it means distances.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, for one value per class: see `VerificationAUC`.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN until there is a different pair.

    Raises:
        ValueError: For an invalid argument or shape.

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
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "false_accept_rate",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return share_of_bin(different, 0)


@register
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
        A scalar from 0 to 1, or with `classes` a dict. NaN until there is a similar pair.

    Raises:
        ValueError: For an invalid argument or shape.

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
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "false_reject_rate",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return share_of_bin(similar, 1)


@register
class BalancedPairAccuracy(PairHistogram):
    """Share of correct decisions at a threshold, with equal weight for similar and different pairs.

    ```
    balanced accuracy = 1 - (FAR + FRR) / 2
    ```

    Chance level is 0.5 for any share of similar pairs. With `classes`, 1 minus the value of a class is its `error` in
    `evaluate_pairs` at the same threshold.

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar, similar_label, classes, name, dtype: See `FalseAcceptRate`.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN until there are a similar and a different pair.

    Raises:
        ValueError: For an invalid argument or shape.

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
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "balanced_pair_accuracy",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return (share_of_bin(similar, 0) + share_of_bin(different, 1)) / 2.0


@register
class MatthewsCorrelation(PairHistogram):
    """Correlation of truth and decision at a threshold, from -1 to 1.

    ```
    MCC = (TA * TR - FA * FR) / sqrt((TA + FA) * (TR + FR) * (TA + FR) * (TR + FA))
    ```

    with the counts of true and false accepts (TA, FA) and rejects (TR, FR). 1 is perfect, and 0 is chance level. The
    value is also 0 if all decisions are equal.

    Args:
        threshold: The threshold, a finite number.
        higher_is_similar, similar_label, classes, name, dtype: See `FalseAcceptRate`.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from -1 to 1, or with `classes` a dict. NaN until there are a similar and a different pair.

    Raises:
        ValueError: For an invalid argument or shape.

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
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        name: str = "matthews_correlation",
        dtype: Any = None,
    ):
        super().__init__(higher_is_similar, similar_label, classes, name, dtype, threshold=threshold)

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return matthews_correlation(similar, different)
