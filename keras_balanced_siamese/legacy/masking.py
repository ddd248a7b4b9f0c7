"""Layers with the masks of Keras 2, which drops or makes a mask where Keras 3 does not.

`load_legacy_model` puts them in the place of those of Keras where a model has masks.
"""

from typing import Any

import keras

from keras_balanced_siamese._backend import ops, register, without_mask
from keras_balanced_siamese._typing import Tensor


def _no_mask(_layer: Any, _inputs: Any, _mask: Any = None) -> None:
    return None


def _dropping(name: str) -> Any:
    base: Any = getattr(keras.layers, name)

    def call(self: Any, inputs: Any) -> Any:
        found = base.call(self, inputs)
        return without_mask(found) if found is inputs else found

    members = {"call": call, "compute_mask": _no_mask, "__module__": __name__}
    members["__doc__"] = f"`keras.layers.{name}` without a mask on its output."
    return register(type(f"Legacy{name}", (base,), members))


@register
class LegacyTimeDistributed(keras.layers.TimeDistributed):
    """`keras.layers.TimeDistributed` with the mask of the layer inside.

    That of a layer which returns no steps has a step for each call: it counts if one of its own steps counts.
    """

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Tensor | None:
        inside = None if previous_mask is None else _together(previous_mask)
        found = self.layer.compute_mask(_together(inputs), inside)
        if found is not None:
            return ops.reshape(found, (-1, inputs.shape[1], *found.shape[1:]))
        if previous_mask is None or len(previous_mask.shape) == 2:
            return previous_mask
        return ops.any(previous_mask, axis=tuple(range(2, len(previous_mask.shape))))


def _together(values: Tensor) -> Tensor:
    """Return the steps of all samples as samples."""
    return ops.reshape(values, (-1, *values.shape[2:]))


DROPPING = (
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Flatten",
    "Identity",
    "Normalization",
    "Permute",
    "Rescaling",
    "Reshape",
)
MASKING = {name: _dropping(name) for name in DROPPING} | {"TimeDistributed": LegacyTimeDistributed}
