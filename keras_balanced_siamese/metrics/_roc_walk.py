"""Walking along the ROC curve of two histograms, straight inside each bin."""

import numpy as np

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor


def shares(histogram: Tensor) -> Tensor:
    """What each bin holds of the whole; `(rows, bins)` to the same shape, 0 in a row without pairs."""
    total = ops.sum(histogram, axis=-1, keepdims=True)
    return histogram / ops.where(total > 0.0, total, 1.0)


def both_kinds(similar: Tensor, different: Tensor) -> Tensor:
    """Whether there are similar and different pairs, `(rows,)`."""
    return (ops.sum(similar, axis=-1) > 0.0) & (ops.sum(different, axis=-1) > 0.0)


def sum_until(steps: Tensor, rises: Tensor, level: Tensor) -> Tensor:
    """The sum `(rows,)` of the steps up to the last place where the sum of the rises is not above `level` `(rows, 1)`.

    Both are given for each bin, `(rows, bins)`. A bin that passes the level counts in part.
    """
    passed = ops.cast(ops.cumsum(rises, axis=-1) <= level, "float32")  # 1 as far as whole bins count, then 0
    at = ops.cast(ops.sum(passed, axis=-1, keepdims=True), "int32")
    at = ops.clip(at, 0, steps.shape[-1] - 1)
    rise, step = (ops.take_along_axis(one * (1.0 - passed), at, axis=-1) for one in (rises, steps))  # each (rows, 1)
    lacking = level - ops.sum(rises * passed, axis=-1, keepdims=True)
    part = ops.clip(lacking / ops.where(rise > 0.0, rise, 1.0), 0.0, 1.0)
    return (ops.sum(steps * passed, axis=-1, keepdims=True) + part * step)[:, 0]


def corners(similar: np.ndarray, different: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false accept rates `(1 + bins,)` before the first and after each bin, exact."""
    tar, far = (np.append(0.0, np.cumsum(one)) for one in (similar, different))
    return tar / tar[-1], far / far[-1]
