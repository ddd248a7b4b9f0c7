"""Cosine distance of two embeddings."""

import numpy as np

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers._pair_distance import PairDistance

SMALLEST = float(np.finfo(np.float32).tiny)  # 1 over anything smaller may be infinite


def cosine_distance(left: Tensor, right: Tensor) -> Tensor:
    """1 - cosine along the last axis, which is kept; exact 1 with a zero gradient where a vector is zero."""
    left, left_is_zero = _unit(left)
    right, right_is_zero = _unit(right)
    # 1 - left . right, without what it loses where both are nearly parallel
    distance = 0.5 * ops.sum(ops.square(left - right), axis=-1, keepdims=True)  # (..., 1)
    known = ops.logical_not(ops.isnan(distance))  # a NaN has to stay one, beside a zero vector too
    undefined = ops.logical_and(ops.logical_or(left_is_zero, right_is_zero), known)
    return ops.minimum(ops.where(undefined, ops.ones_like(distance), distance), 2.0)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors of length 1 along the last axis, `(..., dim)`, and which are none because they were zero, `(..., 1)`."""
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))  # (..., 1)
    zero = ops.less(largest, SMALLEST)  # false for NaN
    x = x / ops.where(zero, ops.ones_like(largest), largest)  # no square overflows or vanishes then
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)  # (..., 1)
    # finite for a zero vector too, and so is its gradient, which the caller leaves out
    return x / ops.sqrt(ops.where(zero, ops.ones_like(squared), squared)), zero


@register(package=PACKAGE)
class CosineDistance(PairDistance):
    """Cosine distance of two embeddings: their angle counts, their lengths do not.

    ```
    d = 1 - sum over k of left_k * right_k / (|left| * |right|)
    ```

    It is 0 for vectors of the same direction, 1 at a right angle, 2 for opposite ones. It is computed as half the
    squared distance of the two unit vectors, which is the same and keeps its digits for small angles, where 1 - cosine
    has none left. A zero vector has no direction: its distance from all others is 1, with a zero gradient. Vectors may
    be as long or short as float32 can hold. Under a float16 or bfloat16 policy the distance is computed in float32 and
    cast at the end.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, dim)`. More axes, `(batch, time, dim)`, give one
          distance each; their masks are joined: a step counts where both sides have it.

    Returns:
        `(batch, 1)` distances (`(batch, time, 1)` for more axes), from 0 to 2.

    Raises:
        ValueError: If there are not two inputs, their shapes differ, or they have no `dim` axis.

    Examples:
        >>> distance = CosineDistance()([np.array([[3.0, 0.0], [1.0, 2.0]]), np.array([[0.0, 1.0], [2.0, 4.0]])])
        >>> np.asarray(distance).round(6).tolist()
        [[1.0], [0.0]]
    """

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        return cosine_distance(left, right)
