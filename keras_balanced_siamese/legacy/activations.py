"""Activations that have other values in Keras 3 than in Keras 2."""

import keras

from keras_balanced_siamese._backend import PACKAGE, ops
from keras_balanced_siamese._typing import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
def legacy_hard_sigmoid(x: Tensor) -> Tensor:
    """Compute the hard sigmoid of Keras 2, `0.2 x + 0.5` limited to `[0, 1]`; that of Keras 3 has the slope 1/6."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(PACKAGE)
def legacy_gelu(x: Tensor) -> Tensor:
    """Compute the GELU of tensorflow-addons, which is approximate; that of Keras is exact by default."""
    return keras.activations.gelu(x, approximate=True)
