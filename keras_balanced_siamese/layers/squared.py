"""Squared Euclidean distance of two embeddings."""

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers._pair_distance import PairDistance


@register
class SquaredDistance(PairDistance):
    """Squared Euclidean distance of two embeddings, which `load_legacy_model` puts in the place of a `Lambda` layer.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, dim)`.

    Returns:
        `(batch, 1)` squared distances.
    """

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        return ops.sum(ops.square(left - right), axis=-1, keepdims=True)
