"""Area under the ROC curve, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, total


def roc_auc(similar: Tensor, different: Tensor) -> Tensor:
    """Return the share of (similar, different) couples in the right order; couples in the same bin count half."""
    closer = ops.cumsum(similar, axis=-1) - similar / 2.0  # (rows, bins) counts, whose sums are exact
    auc = ops.sum(different / total(different) * closer, axis=-1) / total(similar)[:, 0]
    return where_measured(both_kinds(similar, different), auc)


@register
class VerificationAUC(PairHistogram):
    """Area under the ROC curve: the probability that a similar pair is closer than a different one, ties counting half.

    The value is that of all pairs since the last reset, not a mean over batches. Scores are counted in fine bins, and
    scores in the same bin count as tied. The error is at most half the share of couples in the same bin:

    ```
    |value - exact| <= 1/2 * sum over the bins b of p_b * n_b
    ```

    with the shares `p_b` of the similar and `n_b` of the different pairs. `error_bound()` is this bound. The actual
    error is far smaller, since errors within the bins cancel out.

    Args:
        higher_is_similar: `False` for distances, `True` for probabilities and similarities. `None` takes it from the
            model that trains or is evaluated; in a loop of your own it means distances.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, as `BalancedPairSequence.classes`. `y_true` is then `(batch, 3)`: the pair label and the
            codes of the left and the right class, which are positions in `classes` (-1: none of them). `result()` is a
            dict that also holds the value of each class under `"<name>/<class>"`, over the similar pairs of the class
            and the different pairs with the class on either side. In these names all characters other than letters,
            digits, `_`, `-` and spaces become `_`, and `log_names` is the dict from class to name. Labels outside 0
            to 1 and codes beyond the last class make the value NaN.
        resolution: Bins per octave of scores. The default gives 150,016 bins, 1.2 MB of state, and 150 kB more for each
            class, whose bins are eight times as wide. Memory and time grow with it. The bins suit probabilities,
            similarities from -1 to 1, and distances from 0.0002 to 130,000 whose spread is at least 1 % of their size.
            Scores beyond that have an eighth as many bins: scale them, or raise `resolution`. `error_bound()` is large
            if many scores are equal, since equal and different scores in one bin cannot be distinguished.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32, which counts exactly up to 16.7 million pairs in a bin.

    Call arguments:
        - `y_true`: pair labels `(batch,)` or `(batch, 1)`, or with class codes `(batch, 3)`. Soft labels count partly
          as similar and partly as different.
        - `y_pred`: scores `(batch,)` or `(batch, 1)`. NaN makes the value NaN.
        - `sample_weight`: optional `(batch,)`, not negative: a negative weight makes the value NaN. In `compile`, only
          `weighted_metrics=` receive it.

    Returns:
        A scalar from 0 to 1, or the dict. NaN until there are a similar and a different pair.

    Raises:
        ValueError: For an invalid argument or shape.

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
        higher_is_similar: bool | None = None,
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
