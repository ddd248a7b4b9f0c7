"""Base class of the distance layers: inputs, precision, shape and mask."""

from typing import Any

import keras

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor


class PairDistance(keras.layers.Layer):
    """Abstract base class of distances along the last axis of two tensors, which is kept with the length 1."""

    output_kind = "distance"

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # the inputs keep their precision until they are subtracted
        self.supports_masking = True

    def call(self, inputs: list[Tensor]) -> Tensor:
        check_two_alike(shapes_of(inputs))
        left, right = inputs
        return ops.cast(self._distance(_widen(left), _widen(right)), self.compute_dtype)

    def compute_mask(self, inputs: list[Tensor], previous_mask: Any = None) -> Tensor:
        masks = [mask for mask in (previous_mask or []) if mask is not None]
        if len(masks) == 2:
            return ops.logical_and(*masks)
        return masks[0] if masks else None

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        check_two_alike(input_shape)  # a model is built from shapes alone
        return (*tuple(input_shape[0])[:-1], 1)

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the distances `(..., 1)` of two tensors `(..., dim)` in float32 or wider."""
        raise NotImplementedError


def _widen(x: Tensor) -> Tensor:
    """Cast to float32, unless the tensor is float64."""
    return x if "float64" in str(x.dtype) else ops.cast(x, "float32")


def shapes_of(inputs: Any) -> Any:
    """Return the shape of a tensor, or the list of the shapes of several."""
    if isinstance(inputs, (list, tuple)):
        return [tuple(getattr(one, "shape", ())) for one in inputs]
    return tuple(inputs.shape) if hasattr(inputs, "shape") else inputs


def check_two_alike(shapes: Any) -> None:
    """Raise unless the input shapes are those of two embeddings of one shape; unknown sizes may be equal."""
    several = isinstance(shapes, (list, tuple)) and not any(one is None or isinstance(one, int) for one in shapes)
    if not several or len(shapes) != 2:
        received = f"{len(shapes)} input(s)" if several or isinstance(shapes, dict) else f"one input of shape {shapes}"
        raise ValueError(f"A distance layer takes a list of two embeddings, [left, right]. Received: {received}")
    left, right = map(tuple, shapes)
    alike = len(left) == len(right) and all(a == b or a is None or b is None for a, b in zip(left, right, strict=True))
    if not alike or len(left) < 2:
        raise ValueError(
            "A distance layer takes two embeddings of the same shape, (batch, dim). To compare one item with many, "
            f"repeat it first. Received: left of shape {left}, right of shape {right}"
        )
