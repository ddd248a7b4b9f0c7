"""Euclidean distance of two embeddings."""

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._pairwise import LARGE, SHRINK
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers._pair_distance import PairDistance


def euclidean_distance(left: Tensor, right: Tensor) -> Tensor:
    """Return the distance along the last axis, which is kept: exactly 0, with a zero gradient, for equal vectors."""
    difference = left - right
    far = ops.max(ops.abs(difference), axis=-1, keepdims=True) > LARGE  # (..., 1), false for NaN, which propagates
    scaled = ops.where(far, SHRINK * difference, difference)
    squared = ops.sum(ops.square(scaled), axis=-1, keepdims=True)
    coincident = ops.equal(squared, 0.0)
    # `where` twice: the gradient of the unused branch must be finite too
    root = ops.sqrt(ops.where(coincident, ops.ones_like(squared), squared))
    near = ops.where(coincident, ops.zeros_like(squared), root)
    direction = ops.stop_gradient(scaled / root)  # is the gradient, without a scale that may overflow in it
    return ops.where(far, ops.sum(direction * difference, axis=-1, keepdims=True), near)


@register
class EuclideanDistance(PairDistance):
    """Euclidean distance of two embeddings.

    ```
    d = sqrt(sum over k of (left_k - right_k) ** 2)
    ```

    Equal embeddings have exactly the distance 0 and a zero gradient. Every other pair has the true gradient, down to
    the smallest distance whose square float32 can represent (about 1e-19), since there is no epsilon under the root,
    and up to the largest number of float32. The distance of an infinite embedding is NaN. Under a float16 or bfloat16
    policy the distance is computed in float32 and cast at the end.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, dim)`. With more axes, `(batch, time, dim)`,
          there is one distance per step, and the masks of both sides are combined with a logical and.

    Returns:
        `(batch, 1)` distances (`(batch, time, 1)` for more axes), not negative.

    Raises:
        ValueError: If there are not two inputs, their shapes differ, or they have no `dim` axis.

    Examples:
        >>> distance = EuclideanDistance()([np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0], [1.0, 2.0]])])
        >>> np.asarray(distance).tolist()
        [[5.0], [0.0]]
    """

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        return euclidean_distance(left, right)
