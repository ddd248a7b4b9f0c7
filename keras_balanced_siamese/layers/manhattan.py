"""Manhattan distance of two embeddings."""

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers._pair_distance import PairDistance


def manhattan_distance(left: Tensor, right: Tensor) -> Tensor:
    """Return the sum of the absolute differences along the last axis, which is kept."""
    difference = left - right
    # not `abs`, whose gradient at 0 is 1 on some backends
    return ops.sum(difference * ops.stop_gradient(ops.sign(difference)), axis=-1, keepdims=True)  # (..., 1)


@register
class ManhattanDistance(PairDistance):
    """Manhattan distance of two embeddings, also called city-block or L1 distance.

    ```
    d = sum over k of |left_k - right_k|
    ```

    The gradient of a coordinate does not depend on the size of its difference, so a single outlier has less influence
    than in the Euclidean distance. Equal coordinates have a zero gradient. The distance grows with the number of
    coordinates, and the margin of a loss must grow with it. Under a float16 or bfloat16 policy the distance is computed
    in float32 and cast at the end.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, dim)`. With more axes, `(batch, time, dim)`,
          there is one distance per step, and the masks of both sides are combined with a logical and.

    Returns:
        `(batch, 1)` distances (`(batch, time, 1)` for more axes), not negative.

    Raises:
        ValueError: If there are not two inputs, their shapes differ, or they have no `dim` axis.

    Examples:
        >>> distance = ManhattanDistance()([np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0], [1.0, 2.0]])])
        >>> np.asarray(distance).tolist()
        [[7.0], [0.0]]
    """

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        return manhattan_distance(left, right)
