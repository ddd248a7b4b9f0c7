"""Equal error rate, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import register
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, corners, crossing, total


def equal_error_rate(similar: Tensor, different: Tensor) -> Tensor:
    """Return the false accept rate where it equals the false reject rate, that is, where FAR + TAR = 1."""
    weights = [1.0 / total(one) for one in (similar, different)]  # from counts to rates
    found = crossing(similar, different, weights, 1.0)
    rate = (found.before[1] + found.part * found.held[1]) * weights[1]
    return where_measured(both_kinds(similar, different), rate[:, 0])


@register
class EqualErrorRate(PairHistogram):
    """Equal error rate: the error at the threshold where false accepts and false rejects have the same rate.

    ```
    EER = FAR(t) = FRR(t)
    ```

    0 is perfect, 0.5 is chance level, and 1 means that all decisions are wrong. The value is that of all pairs since
    the last reset. Scores are counted in fine bins. Inside a bin the ROC curve is taken as linear, as `evaluate_pairs`
    does between two measured distances. The exact value lies in the same bin, between the rates before and after it:

    ```
    max(FAR before, FRR after) <= exact <= min(FAR after, FRR before)
    ```

    `error_bound()` is the distance from the value to the farther limit.

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
        >>> metric = EqualErrorRate()
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    _direction = "down"

    def __init__(
        self,
        *,
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        resolution: int = 512,
        name: str = "equal_error_rate",
        dtype: Any = None,
    ):
        super().__init__(
            higher_is_similar, similar_label, classes, name, dtype, resolution=whole("resolution", resolution, 1)
        )

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return equal_error_rate(similar, different)

    def _bound(self, similar: np.ndarray, different: np.ndarray, value: float) -> float:
        tar, far = corners(similar, different)
        after = int(np.argmax(far + tar > 1.0))
        low = max(far[after - 1], 1.0 - tar[after])
        high = min(far[after], 1.0 - tar[after - 1])
        return max(value - low, high - value)
