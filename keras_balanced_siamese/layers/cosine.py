"""Cosine distance of two embeddings."""

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._pairwise import unit
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers._pair_distance import PairDistance


def cosine_distance(left: Tensor, right: Tensor) -> Tensor:
    """Return 1 - cosine along the last axis, which is kept: exactly 1, with a zero gradient, if a vector is zero."""
    left, left_is_zero = unit(left)
    right, right_is_zero = unit(right)
    # equal to 1 - left . right, without its cancellation for nearly parallel vectors
    distance = 0.5 * ops.sum(ops.square(left - right), axis=-1, keepdims=True)  # (..., 1)
    known = ops.logical_not(ops.isnan(distance))  # NaN propagates, also next to a zero vector
    undefined = ops.logical_and(ops.logical_or(left_is_zero, right_is_zero), known)
    return ops.minimum(ops.where(undefined, ops.ones_like(distance), distance), 2.0)


@register
class CosineDistance(PairDistance):
    """Cosine distance of two embeddings, which depends on their angle and not on their lengths.

    ```
    d = 1 - sum over k of left_k * right_k / (|left| * |right|)
    ```

    It is 0 for vectors of the same direction, 1 for orthogonal and 2 for opposite vectors. It is computed as half the
    squared distance of the two unit vectors. Both formulas are equal, but this one keeps its precision for small
    angles. The distance of a zero vector from every other vector is 1, with a zero gradient; a vector shorter than
    1e-12 is taken as zero. Vectors may be as long as float32 can represent. The gradient grows as 1 / length, down to a
    length of 1e-5. For shorter vectors it is that of this length, so that a nearly zero embedding does not make the
    weights explode. Under a float16 or bfloat16 policy the distance is computed in float32 and cast at the end.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, dim)`. With more axes, `(batch, time, dim)`,
          there is one distance per step, and the masks of both sides are combined with a logical and.

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
