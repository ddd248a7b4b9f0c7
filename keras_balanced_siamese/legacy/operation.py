"""A layer for an operation of TensorFlow in the graph of an old model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_balanced_siamese._backend import register, without_mask
from keras_balanced_siamese._checks import one_of
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.legacy._ops import OPERATIONS

KEEPING = ("cast", "convert_to_tensor", "math.add_n")  # return the tensor itself with its mask, if nothing is to do
TENSOR = "tensor"  # key of a dict in the place of a tensor, whose value is the position in the list of tensors


@register
class LegacyOperation(keras.layers.Layer):
    """An operation of TensorFlow that Keras 2 kept in the graph of a model, on any backend.

    `load_legacy_model` puts it in the place of a `TFOpLambda` or `SlicingOpLambda` layer. It is called on a list of
    tensors.

    Args:
        function: Name of the operation in the file, such as `"math.subtract"`.
        first: First argument of the operation: a constant, `{"tensor": k}` for the tensor `k` of the list, or a list.
        arguments: The other arguments by name, in the same form.
        kwargs: See `keras.layers.Layer`.

    Raises:
        ValueError: If the operation is unknown.
    """

    def __init__(self, function: str, first: Any, arguments: Mapping[str, Any], **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.function = one_of("function", function, tuple(OPERATIONS))
        self.template = json.dumps([first, dict(arguments)])  # Keras 2 would wrap lists and dicts
        self.built = True

    def call(self, inputs: Any) -> Any:
        tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]  # Keras 2 unpacks a list of one
        first, arguments = filled(json.loads(self.template), tensors)
        found = OPERATIONS[self.function](first, **arguments)
        same = any(found is one for one in tensors) and self.function not in KEEPING
        return without_mask(found) if same else found

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Drop a mask, without the warning of Keras 3."""

    def get_config(self) -> dict[str, Any]:
        first, arguments = json.loads(self.template)
        return {**super().get_config(), "function": self.function, "first": first, "arguments": arguments}


def emptied(value: Any, tensors: list[Tensor]) -> Any:
    """Replace the tensors in a structure by dicts, and append them to the list."""
    if isinstance(value, Mapping):
        return {key: emptied(one, tensors) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [emptied(one, tensors) for one in value]
    if not hasattr(value, "dtype"):
        return value
    tensors.append(value)
    return {TENSOR: len(tensors) - 1}


def filled(value: Any, tensors: Sequence[Tensor]) -> Any:
    """Put the tensors of a list in the places that `emptied` left."""
    if isinstance(value, Mapping):
        if set(value) == {TENSOR}:
            return tensors[value[TENSOR]]
        return {key: filled(one, tensors) for key, one in value.items()}
    return [filled(one, tensors) for one in value] if isinstance(value, (list, tuple)) else value
