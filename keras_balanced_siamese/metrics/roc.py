"""Area under the ROC curve, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, total


def roc_auc(similar: Tensor, different: Tensor) -> Tensor:
    """Share of the (similar, different) couples that are in order; those that share a bin count half."""
    closer = ops.cumsum(similar, axis=-1) - similar / 2.0  # (rows, bins) counts, which add up exactly
    auc = ops.sum(different / total(different) * closer, axis=-1) / total(similar)[:, 0]
    return where_measured(both_kinds(similar, different), auc)


@register(package=PACKAGE)
class VerificationAUC(PairHistogram):
    """Area under the ROC curve: the probability that a similar pair is closer than a different one, ties counting half.

    The value is that of all pairs since the last reset, not a mean over batches. Scores are counted in fine bins, and
    two that share a bin count as tied, so it is off by at most half of the couples that do:

    ```
    |value - exact| <= 1/2 * sum over the bins b of p_b * n_b
    ```

    with the shares `p_b` of the similar and `n_b` of the different pairs. `error_bound()` is that sum; the error itself
    is far smaller, since the orders within the bins even out.

    Args:
        higher_is_similar: `False` for distances, `True` for probabilities and similarities.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, as `BalancedPairSequence.classes`. Then `y_true` is `(batch, 3)`: the pair label and the
            codes of the left and the right class, which are positions in `classes` (-1: none of them). `result()` is a
            dict that holds the value of each class under `"<name>/<class>"` as well, over the similar pairs of the
            class and the different pairs with it on either side. Labels outside 0 to 1 and codes without a class make
            the value NaN.
        resolution: Bins in an octave of scores. The default means 150,016 bins, 1.2 MB of state, and 150 kB more for
            each class, whose bins are eight times as wide.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32, which counts exactly up to 16.7 million pairs in a bin.

    Call arguments:
        - `y_true`: pair labels `(batch,)` or `(batch, 1)`, or with class codes `(batch, 3)`. Soft labels count as
          similar and as different in part.
        - `y_pred`: scores `(batch,)` or `(batch, 1)`. NaN makes the value NaN.
        - `sample_weight`: optional `(batch,)`, not negative: one that is makes the value NaN. In `compile`, only
          `weighted_metrics=` get it.

    Returns:
        A scalar from 0 to 1, or the dict. NaN where there is no similar or no different pair yet.

    Raises:
        ValueError: For an argument or a shape that does not fit.

    Examples:
        >>> metric = VerificationAUC()
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.7778
    """

    def __init__(
        self,
        *,
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        resolution: int = 512,
        name: str = "verification_auc",
        dtype: Any = None,
    ):
        super().__init__(
            higher_is_similar, similar_label, classes, name, dtype, resolution=whole("resolution", resolution, 1)
        )

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return roc_auc(similar, different)

    def _bound(self, similar: np.ndarray, different: np.ndarray, value: float) -> float:
        return float(similar @ different / (2.0 * similar.sum() * different.sum()))
