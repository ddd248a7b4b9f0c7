"""Siamese model: two inputs, a shared encoder and a distance."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import keras

from keras_balanced_siamese._backend import set_name
from keras_balanced_siamese._checks import flag
from keras_balanced_siamese._model_output import loss_distance, losses_of
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers.euclidean import EuclideanDistance
from keras_balanced_siamese.layers.probability import DistanceToProbability
from keras_balanced_siamese.layers.sides import SplitSides, StackSides


def siamese_model(
    encoder: keras.Model,
    distance: Callable[[list[Tensor]], Tensor] | None = None,
    *,
    probability: bool | keras.layers.Layer = False,
    one_pass: bool = False,
    name: str = "siamese",
) -> keras.Model:
    """Build a functional model with two inputs, a shared encoder and a distance.

    Args:
        encoder: A model from one item to its embedding `(batch, dim)`, with known inputs: a functional model, or a
            `Sequential` that starts with `keras.Input`. Encoders with several inputs (a tuple, list or dict) work too.
        distance: A layer called on `[left_embedding, right_embedding]`; `None` means `EuclideanDistance()`.
        probability: If true, a trainable `DistanceToProbability` is appended, and the output is the probability that
            both items are of one class, for `WeightedBinaryCrossentropy`. If false, the output is the distance, for
            `WeightedContrastiveLoss`. A layer is appended as it is, such as the one that `calibrate` returns for a
            trained encoder.
        one_pass: If true, the encoder is called once, on both sides as one batch of twice the size. If false, it is
            called on each side in turn. The results differ only for encoders that use statistics of their batch: batch
            normalization then takes its statistics from both sides together, and updates them once per step.
        name: Name of the model.

    Returns:
        A model with the inputs `left` and `right` and an output `(batch, 1)`. For an encoder with several inputs, each
        side is a tuple or dict like the encoder's own, with names `left_...` and `right_...`. The encoder is a layer of
        the model and shares its weights.

        `model.get_layer` finds the parts by the names `"encoder"`, `"distance"` and `"probability"`. Layers that you
        have named keep their names; those with an automatic one, such as `"sequential_3"`, are renamed. So name two
        encoders that are to be layers of one model. In the addons lane, a layer that another model uses already keeps
        an automatic name, too.

    Raises:
        TypeError: If `encoder` is not a model, or another argument has the wrong type.
        ValueError: If the encoder's inputs are unknown, or its output is not one tensor `(batch, dim)`, or that of
            `distance` not one tensor with a value for each pair.

    Examples:
        >>> encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
        >>> model = siamese_model(encoder)
        >>> model.compile("adam", WeightedContrastiveLoss())
        >>> [i.name for i in model.inputs], model.count_params()
        (['left', 'right'], 260)
        >>> model.get_layer("encoder") is encoder
        True
    """
    if not isinstance(encoder, keras.Model):
        raise TypeError(
            "`encoder` must be a `keras.Model`. Wrap a single layer: `keras.Sequential([keras.Input(shape), layer])`. "
            f"Received: encoder={encoder!r}"
        )
    if not getattr(encoder, "inputs", None):
        raise ValueError(
            "The encoder's input shape must be known: start it with `keras.Input(shape)`, or wrap it as "
            f"`keras.Sequential([keras.Input(shape), encoder])`. Received: encoder={encoder!r}"
        )
    if isinstance(distance, type) or not (distance is None or callable(distance)):
        raise TypeError(
            "`distance` must be a layer that takes [left, right], such as `CosineDistance()`. "
            f"Received: distance={distance!r}"
        )
    if isinstance(distance, DistanceToProbability):
        raise TypeError(
            "`distance` must be a layer that takes [left, right]. A `DistanceToProbability`, as from `calibrate`, "
            f"takes the distance: `siamese_model(encoder, probability=layer)`. Received: distance={distance!r}"
        )
    if isinstance(probability, type):
        raise TypeError(
            f"`probability` must be a layer instance, not a layer class. Received: probability={probability!r}"
        )
    if not isinstance(probability, keras.layers.Layer):
        probability = flag("probability", probability)
    template = encoder.inputs[0] if isinstance(encoder, keras.Sequential) else encoder.input
    if isinstance(template, (list, tuple)) and len(template) == 1:
        template = template[0]
    left, right = _like(template, "left"), _like(template, "right")
    encoder = _named(encoder, "encoder")
    if flag("one_pass", one_pass):
        embeddings = SplitSides(name="split_sides")(_encode(encoder, _stack(left, right, "stack_sides")))
    else:
        embeddings = [_encode(encoder, left), _encode(encoder, right)]
    if distance is None and loss_distance(encoder) == "cosine":
        warnings.warn(
            "The encoder is compiled with a loss on cosines, and this model compares by the Euclidean distance: pass "
            "`CosineDistance()`, or `EuclideanDistance()` if it is meant. Received: distance=None and an encoder with "
            f"the losses {[type(one).__name__ for one in losses_of(encoder)]}",
            stacklevel=2,
        )
    output = _named(distance or EuclideanDistance(), "distance")(embeddings)
    shape = getattr(output, "shape", None)
    if shape is None or len(shape) < 1 or shape[0] is not None:  # such as a layer that stacks the two sides
        received = type(output).__name__ if shape is None else f"shape {tuple(shape)}"
        raise ValueError(
            "`distance` must return one tensor with a distance for each pair, shape (batch, 1). "
            f"Received: an output of {received} from distance={distance!r}"
        )
    if isinstance(probability, keras.layers.Layer):
        output = _named(probability, "probability")(output)
    elif probability:
        output = DistanceToProbability(name="probability")(output)
    return keras.Model((left, right), output, name=name)


def _named(layer: Any, name: str) -> Any:
    """Return a layer under this name, unless the user has given it another one."""
    if isinstance(layer, keras.layers.Layer):
        kind = type(layer).__name__.lower()
        stem = re.sub(r"_\d+$", "", layer.name).replace("_", "")
        if stem in (kind, "model" if kind == "functional" else kind):  # Keras generations differ
            set_name(layer, name)
    return layer


def _encode(encoder: keras.Model, item: Any) -> Tensor:
    embedding = encoder(item)
    if isinstance(embedding, (list, tuple)) and len(embedding) == 1:
        embedding = embedding[0]
    shape = getattr(embedding, "shape", None)
    if shape is None or len(shape) != 2:
        if shape is None:
            raise ValueError(
                "The encoder must return one embedding per item, shape (batch, dim). Choose one of its outputs: "
                f"`keras.Model(encoder.inputs, encoder.outputs[0])`. Received: an encoder with {len(embedding)} outputs"
            )
        raise ValueError(
            "The encoder must return one embedding per item, shape (batch, dim): end it with "
            f"`GlobalAveragePooling2D()` or `Flatten()` and `Dense(dim)`. Received: an output of shape {tuple(shape)}"
        )
    return embedding


def _stack(left: Any, right: Any, name: str) -> Any:
    """Stack both sides, in the structure of one of them."""
    if isinstance(left, dict):
        return {key: _stack(one, right[key], f"{name}_{key}") for key, one in left.items()}
    if isinstance(left, tuple):
        return tuple(_stack(*both, f"{name}_{k}") for k, both in enumerate(zip(left, right, strict=True)))
    return StackSides(name=name)([left, right])


def _like(template: Any, name: str) -> Any:
    """Create inputs with the structure, shapes and dtypes of the template."""
    if isinstance(template, dict):
        return {key: _like(one, f"{name}_{key}") for key, one in template.items()}
    if isinstance(template, (list, tuple)):
        return tuple(_like(one, f"{name}_{k}") for k, one in enumerate(template))
    return keras.Input(shape=template.shape[1:], dtype=template.dtype, name=name)
