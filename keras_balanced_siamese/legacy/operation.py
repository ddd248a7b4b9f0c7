"""A layer for an operation of TensorFlow in the graph of an old model."""

from typing import Any

import keras

from keras_balanced_siamese._backend import register
from keras_balanced_siamese._checks import one_of
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.legacy._ops import OPERATIONS


@register
class LegacyOperation(keras.layers.Layer):
    """An operation of TensorFlow that Keras 2 kept in the graph of a model, on any backend.

    `load_legacy_model` puts it in the place of a `TFOpLambda` or `SlicingOpLambda` layer.

    Args:
        function: Name of the operation in the file, such as `"math.subtract"`.
        kwargs: See `keras.layers.Layer`.

    Raises:
        ValueError: If the operation is unknown.
    """

    def __init__(self, function: str, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.function = one_of("function", function, tuple(OPERATIONS))
        self.built = True

    def call(self, first: Tensor, **arguments: Any) -> Tensor:
        return OPERATIONS[self.function](first, **arguments)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}
