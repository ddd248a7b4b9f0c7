"""True accept rate at a false accept rate, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._checks import fraction
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, corners, shares, sum_until
from keras_balanced_siamese.metrics._score_bins import ScoreBins

ROUNDING = 1.0 + 1e-6  # of rates in float32: 1 of 1000 is not above 0.001


def true_accept_rate(similar: Tensor, different: Tensor, far: float) -> Tensor:
    """The highest true accept rate at which the false accept rate is not above `far`."""
    level = far * ROUNDING * ops.sum(different, axis=-1, keepdims=True)  # (rows, 1) a count
    return where_measured(both_kinds(similar, different), sum_until(shares(similar), different, level))


@register(package=PACKAGE)
class TrueAcceptRate(PairHistogram):
    """Share of the similar pairs that are accepted at a given false accept rate.

    ```
    TAR(far) = max over the points of the ROC curve with FAR <= far of TAR
    ```

    The ROC curve is straight between two measured scores, and inside a bin. The value is that of all pairs since the
    last reset. The exact one lies between the true accept rates before and after the bin in which `far` is passed;
    `error_bound()` is the distance to the farther one. A rate as low as 0.001 needs thousands of different pairs: with
    fewer, it hangs on a handful of them, and so does the bound.

    Args:
        far: The false accept rate, from 0 to 1.
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
        >>> metric = TrueAcceptRate(far=0.0)
        >>> metric.update_state([1, 1, 1], [0.1, 0.2, 0.9])
        >>> metric.update_state([0, 0, 0], [0.3, 0.8, 1.0])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    def __init__(
        self,
        far: float = 0.01,
        *,
        higher_is_similar: bool = False,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        resolution: int = 512,
        name: str = "true_accept_rate",
        dtype: Any = None,
    ):
        super().__init__(ScoreBins(resolution), higher_is_similar, similar_label, classes, name, dtype)
        self.far = fraction("far", far)
        self.resolution = int(resolution)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "far": self.far, "resolution": self.resolution}

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return true_accept_rate(similar, different, self.far)

    def _bound(self, similar: np.ndarray, different: np.ndarray) -> float:
        tar, far = corners(similar, different)
        level = self.far * ROUNDING
        if level >= 1.0:
            return 0.0
        after = int(np.argmax(far > level))
        share = (far[after] - level) / (far[after] - far[after - 1])
        value = tar[after] - share * (tar[after] - tar[after - 1])
        return max(value - tar[after - 1], tar[after] - value)
