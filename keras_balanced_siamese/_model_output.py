"""The kind of a model's output (distance, similarity or probability), from its last layer and its losses."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

GROWS = {"distance": False, "probability": True, "similarity": True}  # whether it grows with similarity


class ModelOutput(NamedTuple):
    """The only output of a model."""

    kind: str  # "distance", "probability" or "similarity"
    layer: str  # name of the layer that returns it

    def __str__(self) -> str:
        return f"a model that ends in the layer '{self.layer}', which returns a {self.kind}"


def output_of(model: Any) -> ModelOutput | None:
    """Return the output of a functional model; `None` for other models, several outputs, or an unknown layer."""
    tensors: Any = getattr(model, "outputs", None) or ()
    return _output(tensors[0]) if len(tensors) == 1 else None


def _output(tensor: Any) -> ModelOutput | None:
    layer = _layer_of(tensor)
    while layer is not None and _passes_on(layer):
        tensor = layer.input
        layer = _layer_of(tensor)
    if isinstance(layer, keras.Model):
        return output_of(layer)
    kind = getattr(layer, "output_kind", None)
    if getattr(layer, "activation", None) is keras.activations.sigmoid and tensor.shape[-1] == 1:
        kind = "probability"
    if isinstance(layer, keras.layers.Dot) and layer.normalize:
        kind = "similarity"
    return None if layer is None or kind is None else ModelOutput(kind, layer.name)


def losses_of(model: Any) -> list[Any]:
    """Return the losses a model is compiled with as a flat list."""
    losses = getattr(model, "loss", None)
    if isinstance(losses, Mapping):
        losses = list(losses.values())
    return list(losses) if isinstance(losses, (list, tuple)) else [losses]


def loss_distance(model: Any) -> str | None:
    """Return the distance by which a loss of the model compares embeddings, "cosine" or "euclidean", if one does."""
    for loss in losses_of(model):
        if getattr(loss, "takes", None) == "embedding":
            return "cosine" if getattr(loss, "distance", "cosine") == "cosine" else "euclidean"
    return None


def higher_is_similar(model: Any, similar_label: int = 1) -> bool:
    """Return whether the output of a model grows with similarity, according to its losses and its last layer.

    Args:
        model: A compiled model, or one that ends in a known layer.
        similar_label: The label that means "same class". A cross-entropy of Keras predicts the label 1.

    Raises:
        ValueError: If they do not show it, or contradict each other.
    """
    tensors: Any = getattr(model, "outputs", None) or ()
    losses, outputs = losses_of(model), [_output(tensor) for tensor in tensors]
    known: set[Any] = {None if output is None else GROWS[output.kind] for output in outputs}
    if len(outputs) < 2:  # of several, one cannot tell which loss belongs to which
        of_losses = {loss.higher_is_similar for loss in losses if hasattr(loss, "higher_is_similar")}
        of_losses |= {similar_label == 1 for loss in losses if is_crossentropy(loss)}
        is_probability = any(output is not None and output.kind == "probability" for output in outputs)
        known = of_losses if is_probability and of_losses else (known - {None}) | of_losses
    if len(known) != 1 or None in known:
        found = ", ".join(str(output or "an output of an unknown kind") for output in outputs) or "a model"
        raise ValueError(
            "Does a high output mean similar or different? The loss of the model and its last layer "
            f"{'contradict each other' if len(known) > 1 else 'do not show it'}: pass `higher_is_similar`, True for "
            f"probabilities and similarities, False for distances. Received: {found}, with loss={losses}"
        )
    return known.pop()


def _layer_of(tensor: Any) -> Any:
    return getattr(tensor, "_keras_history", (None,))[0]


def _passes_on(layer: Any) -> bool:
    """Whether a layer returns the values of its input, such as a cast to float32."""
    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.linear
    return isinstance(layer, (keras.layers.Reshape, keras.layers.Flatten))


def is_crossentropy(loss: Any) -> bool:
    """Return whether a loss is a binary cross-entropy of Keras, which brings the output near to the label."""
    known = keras.losses
    classes = (known.BinaryCrossentropy, known.BinaryFocalCrossentropy)
    functions = ("binary_crossentropy", "bce", "BCE", "binary_focal_crossentropy")
    if isinstance(loss, str):
        return loss in (*functions, *(one.__name__ for one in classes))
    return isinstance(loss, classes) or loss in (known.binary_crossentropy, known.binary_focal_crossentropy)
