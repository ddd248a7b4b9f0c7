"""Average pooling that does not count the padding, where that of Keras does."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._typing import Tensor


@register
class LegacyAveragePooling(keras.layers.Layer):
    """Average pooling with `padding="same"` over the values of the input alone, as in Keras 2, on any backend.

    `load_legacy_model` puts it in the place of `AveragePooling1D`, `2D` and `3D` on PyTorch, where those of Keras
    repeat the edge of the input if the padding differs at both ends.

    Args:
        pool_size: Size of a window along each axis.
        strides: Distance of the windows along each axis.
        data_format: `"channels_last"` or `"channels_first"`.
        kwargs: See `keras.layers.Layer`.
    """

    def __init__(
        self, pool_size: Sequence[int], strides: Sequence[int], data_format: str = "channels_last", **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.pool_size, self.strides, self.data_format = tuple(pool_size), tuple(strides), data_format
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        rank = len(self.pool_size)
        first = self.data_format == "channels_first"
        x = ops.moveaxis(inputs, 1, -1) if first else inputs  # (batch, *sizes, channels)
        pads = [(0, 0), *(self._padding(k, x.shape[1 + k]) for k in range(rank)), (0, 0)]
        x, ones = (ops.pad(one, pads) for one in (x, ops.ones_like(x[:1, ..., :1])))
        total, share = (
            ops.average_pool(one, self.pool_size, self.strides, "valid", "channels_last") for one in (x, ones)
        )
        return ops.moveaxis(total / share, -1, 1) if first else total / share

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        start = 2 if self.data_format == "channels_first" else 1
        shape = list(input_shape)
        for k, stride in enumerate(self.strides):
            size = shape[start + k]
            shape[start + k] = None if size is None else -(-size // stride)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        own = {"pool_size": self.pool_size, "strides": self.strides, "data_format": self.data_format}
        return {**super().get_config(), **own}

    def _padding(self, k: int, size: int) -> tuple[int, int]:
        missing = max((-(-size // self.strides[k]) - 1) * self.strides[k] + self.pool_size[k] - size, 0)
        return missing // 2, missing - missing // 2
