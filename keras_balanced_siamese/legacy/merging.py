"""Layers that merge several inputs with the masks of Keras 2: a step counts if it counts in all inputs.

Those of Keras 3 keep a step that counts in any input. `load_legacy_model` puts these in their place where a model has
masks.
"""

from collections.abc import Sequence
from typing import Any

import keras

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._typing import Tensor


def mask_of_all(mask: Sequence[Tensor | None] | None) -> Tensor | None:
    """Return the mask of the steps that all masks keep; `None` in the list keeps all."""
    found = [one for one in mask or () if one is not None]
    total = found[0] if found else None
    for one in found[1:]:
        total = ops.logical_and(total, one)
    return total


def _mask_of_merged(_layer: Any, _inputs: Any, mask: Any = None) -> Tensor | None:
    return mask_of_all(mask)


def _merging(name: str) -> Any:
    base: Any = getattr(keras.layers, name)
    doc = f"`keras.layers.{name}` with the mask of Keras 2."
    return register(
        type(f"Legacy{name}", (base,), {"compute_mask": _mask_of_merged, "__doc__": doc, "__module__": __name__})
    )


@register
class LegacyConcatenate(keras.layers.Concatenate):
    """`keras.layers.Concatenate` with the mask of Keras 2."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        if mask is None or all(one is None for one in mask):
            return None
        axis = self.axis % len(inputs[0].shape)
        if axis != 1:  # each has all steps
            return mask_of_all(mask)
        return ops.concatenate([_full(one, own) for one, own in zip(inputs, mask, strict=True)], axis=1)


def _full(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mask of an input, which keeps all steps if there is none."""
    return ops.ones_like(values[:, :, 0], dtype="bool") if mask is None else mask


NAMES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
MERGING = {name: _merging(name) for name in NAMES} | {"Concatenate": LegacyConcatenate}
