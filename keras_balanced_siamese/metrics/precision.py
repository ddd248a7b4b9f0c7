"""Average precision, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, tied, total


def average_precision(similar: Tensor, different: Tensor) -> Tensor:
    """Return the mean over similar pairs of the precision in the middle of their bin, or after it if it is tied."""
    part = ops.where(tied(similar, different), 0.0, 0.5)  # of the bin that is not yet counted
    found = ops.cumsum(similar, axis=-1) - part * similar  # (rows, bins)
    others = ops.cumsum(different, axis=-1) - part * different
    precision = found / ops.where(found > 0.0, found + others, 1.0)
    return where_measured(both_kinds(similar, different), ops.sum(similar / total(similar) * precision, axis=-1))


@register
class VerificationPRAUC(PairHistogram):
    """Average precision of similar pairs: the area under the stepwise precision-recall curve.

    ```
    AP = sum over the thresholds t of (recall(t) - recall(before t)) * precision(t)
    ```

    as in scikit-learn's `average_precision_score`. Chance level is the share of similar pairs. The value is that of all
    pairs since the last reset. In a fine bin with `p` similar and `n` different pairs, and with `P` and `N` pairs in
    the bins before it, the precision of each similar pair lies between two limits. The value between them is used:

    ```
    P / (P + N + n) <= (P + p/2) / (P + p/2 + N + n/2) <= (P + p) / (P + p + N)
    ```

    A bin that holds more pairs than both its neighbours together is taken as a single score of many pairs, whose
    precision is `(P + p) / (P + p + N + n)`. `error_bound()` holds in both cases.

    Args:
        higher_is_similar: `False` for distances, `True` for probabilities and similarities. `None` takes it from the
            model that trains or is evaluated; in a loop of your own it means distances.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, for one value per class: see `VerificationAUC`.
        resolution: Bins per octave of scores: see `VerificationAUC`.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN until there are a similar and a different pair.

    Raises:
        ValueError: For an invalid argument or shape.

    Examples:
        >>> metric = VerificationPRAUC()
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.8667
    """

    def __init__(
        self,
        *,
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        resolution: int = 512,
        name: str = "verification_pr_auc",
        dtype: Any = None,
    ):
        super().__init__(
            higher_is_similar, similar_label, classes, name, dtype, resolution=whole("resolution", resolution, 1)
        )

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return average_precision(similar, different)

    def _bound(self, similar: np.ndarray, different: np.ndarray, value: float) -> float:
        found, others = np.cumsum(similar), np.cumsum(different)
        hit = similar > 0
        p, n, found, others = similar[hit], different[hit], found[hit], others[hit]
        before = found - p
        low = np.divide(before, before + others, out=np.ones_like(p), where=before + others > 0)
        high = found / (found + others - n)
        return max(value - p @ low / p.sum(), p @ high / p.sum() - value)
