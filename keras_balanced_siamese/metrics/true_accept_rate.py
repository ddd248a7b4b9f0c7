"""True accept rate at a false accept rate, from histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import fraction, whole
from keras_balanced_siamese._text import log_name
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._pair_histogram import PairHistogram, where_measured
from keras_balanced_siamese.metrics._roc_walk import both_kinds, corners, crossing, tied_at, total

RATE_SLACK = 1.0 + 1e-6  # tolerance of rates in float32, so that 1 of 1000 is not above 0.001


def true_accept_rate(similar: Tensor, different: Tensor, far: float) -> Tensor:
    """Return the highest true accept rate at which the false accept rate is not above `far`."""
    found = crossing(similar, different, (0.0, 1.0), far * RATE_SLACK * total(different))
    part = ops.where(tied_at(similar, different, found.bin), 0.0, found.part)
    rate = (found.before[0] + part * found.held[0]) / total(similar)
    return where_measured(both_kinds(similar, different), rate[:, 0])


@register
class TrueAcceptRate(PairHistogram):
    """Share of the similar pairs that are accepted at a given false accept rate.

    ```
    TAR(far) = max over the points of the ROC curve with FAR <= far of TAR
    ```

    This is the last measured point within `far`, as in `evaluate_pairs`: equal scores are accepted together or not at
    all, so constant scores have the value 0. The value is that of all pairs since the last reset. In the bin in which
    `far` is passed, the curve is taken as linear, unless the bin holds more pairs than both its neighbours together: it
    is then taken as a single score, which is rejected. The exact value lies between the rates before and after the bin,
    and `error_bound()` is the distance to the farther one. A rate as low as 0.001 needs thousands of different pairs:
    with fewer, the value and the bound depend on a handful of them.

    Args:
        far: The false accept rate, from 0 to 1.
        higher_is_similar: `False` for distances, `True` for probabilities and similarities. `None` takes it from the
            model that trains or is evaluated; in a loop of your own it means distances.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Class labels, for one value per class: see `VerificationAUC`.
        resolution: Bins per octave of scores: see `VerificationAUC`.
        name: Name of the metric; `None` gives a name with the rate, such as `"tar_at_far_0_01"`. There is no point in
            it, so that `ModelCheckpoint("{epoch}-{tar_at_far_0_01:.2f}.keras")` can use it.
        dtype: Type of the value; the state is always float32.

    Call arguments:
        - `y_true`, `y_pred`, `sample_weight`: see `VerificationAUC`.

    Returns:
        A scalar from 0 to 1, or with `classes` a dict. NaN until there are a similar and a different pair.

    Raises:
        ValueError: For an invalid argument or shape.

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
        higher_is_similar: bool | None = None,
        similar_label: int = 1,
        classes: Sequence[Label] | None = None,
        resolution: int = 512,
        name: str | None = None,
        dtype: Any = None,
    ):
        far = fraction("far", far)
        name = name or log_name(f"tar_at_far_{far:g}")
        super().__init__(
            higher_is_similar, similar_label, classes, name, dtype, resolution=whole("resolution", resolution, 1)
        )
        self.far = far

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "far": self.far}

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        return true_accept_rate(similar, different, self.far)

    def _bound(self, similar: np.ndarray, different: np.ndarray, value: float) -> float:
        tar, far = corners(similar, different)
        level = self.far * RATE_SLACK
        if level >= 1.0:
            return 0.0
        after = int(np.argmax(far > level))
        return max(value - tar[after - 1], tar[after] - value)
