"""Average precision, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, shares
from keras_balanced_siamese.metrics._score_bins import ScoreBins


def average_precision(similar: Tensor, different: Tensor) -> Tensor:
    """Precision after each bin, averaged with the bin's share of the similar pairs."""
    found = ops.cumsum(similar, axis=-1)  # (rows, bins)
    accepted = ops.cumsum(similar + different, axis=-1)
    precision = found / ops.where(accepted > 0.0, accepted, 1.0)
    return where_measured(both_kinds(similar, different), ops.sum(shares(similar) * precision, axis=-1))


@register(package=PACKAGE)
class VerificationPRAUC(PairHistogram):
    """Average precision of "similar": the area under the precision-recall curve, in steps.

    ```
    AP = sum over the thresholds t of (recall(t) - recall(before t)) * precision(t)
    ```

    as scikit-learn's `average_precision_score` has it, with the ends of fine bins as thresholds. Chance is the share of
    the similar pairs. The value is that of all pairs since the last reset. In a bin with `p` similar and `n` different
    pairs, after `P` and `N` in the bins before, the precision of each similar pair lies between two limits:

    ```
    P / (P + N + n) <= precision <= (P + p) / (P + p + N)
    ```

    `error_bound()` sums the larger distance from them, with the weights of the value. The steps make the value a little
    low where the curve is smooth and a little better than that where scores are tied, since ties are a step in truth.

    Args:
        higher_is_similar: `False` for distances, `True` for probabilities and similarities.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, for a value of each class: see `VerificationAUC`.
        resolution: Bins in an octave of scores: see `VerificationAUC`.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN where there is no similar or no different pair yet.

    Raises:
        ValueError: For an argument or a shape that does not fit.

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
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        resolution: int = 512,
        name: str = "verification_pr_auc",
        dtype: Any = None,
    ):
        super().__init__(ScoreBins(resolution), higher_is_similar, similar_label, classes, name, dtype)
        self.resolution = int(resolution)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "resolution": self.resolution}

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return average_precision(similar, different)

    def _bound(self, similar: np.ndarray, different: np.ndarray) -> float:
        found, others = np.cumsum(similar), np.cumsum(different)
        hit = similar > 0
        p, n, found, others = similar[hit], different[hit], found[hit], others[hit]
        value = found / (found + others)
        before = found - p
        low = np.divide(before, before + others, out=np.ones_like(p), where=before + others > 0)
        high = found / (found + others - n)
        return max(p @ (value - low), p @ (high - value)) / similar.sum()
