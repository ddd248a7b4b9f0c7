"""Conversion of the two sides of a batch of pairs to one batch of twice the size, and back."""

from typing import Any

import keras

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._typing import Tensor


@register
class StackSides(keras.layers.Layer):
    """Joins two batches into one in which each left item is followed by its right item.

    The two items of a pair stay adjacent, so that no data moves between devices when the batch is distributed. Items
    may have any shape and dtype. `SplitSides` is the inverse.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, ...)`.

    Returns:
        One tensor `(2 * batch, ...)` of the same dtype.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # the encoder casts its own inputs

    def call(self, inputs: list[Tensor]) -> Tensor:
        left, right = inputs
        rest = [ops.shape(left)[k] if size is None else size for k, size in enumerate(left.shape)][1:]
        return ops.reshape(ops.stack([left, right], axis=1), (-1, *rest))  # (batch, 2, ...) -> (2 * batch, ...)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, *rest = input_shape[0]
        return (None if batch is None else 2 * batch, *rest)


@register
class SplitSides(keras.layers.Layer):
    """Separates the two sides that `StackSides` joined.

    Call arguments:
        - `inputs`: embeddings `(2 * batch, dim)`, left and right alternating.

    Returns:
        List of the left and the right embeddings, each `(batch, dim)`.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # the distance layer sets the precision

    def call(self, inputs: Tensor) -> list[Tensor]:
        dim = ops.shape(inputs)[-1] if inputs.shape[-1] is None else inputs.shape[-1]
        pairs = ops.reshape(inputs, (-1, 2, dim))  # (batch, 2, dim)
        return [pairs[:, 0], pairs[:, 1]]

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        both, dim = input_shape
        return [(None if both is None else both // 2, dim)] * 2
