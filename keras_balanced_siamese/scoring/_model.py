"""Whether a model scores pairs or returns embeddings, and the distance between them."""

from typing import Any

import keras

from keras_balanced_siamese._model_output import loss_distance, losses_of, output_of
from keras_balanced_siamese.losses import WeightedBatchLoss
from keras_balanced_siamese.sampling import BalancedPairSequence
from keras_balanced_siamese.scoring._pairs import ReadyPairs, leaves


def check_model(model: Any, pairs: BalancedPairSequence | ReadyPairs) -> None:
    """Raise if a functional model cannot take the pairs, or does not return one score for each."""
    inputs, outputs = (getattr(model, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs:  # unknown before the first call
        return
    ready = isinstance(pairs, ReadyPairs)
    n_arrays = len(leaves(pairs.inputs if ready else pairs[0][0]))
    if n_arrays != len(inputs):
        cure = "" if ready else ". Ready pairs are ((left, right), similar), with float labels 0.0 and 1.0"
        raise ValueError(
            f"The model must take both sides of the validation pairs{cure}. "
            f"Received: a model with {len(inputs)} inputs for pairs of {n_arrays} arrays"
        )
    shapes = [tuple(output.shape) for output in outputs]
    if len(shapes) != 1 or shapes[0][1:] not in ((), (1,)):
        raise ValueError(
            "The model must have one output with one score per pair, shape (batch, 1): a distance, a similarity or a "
            f"probability. Received: outputs of shape {', '.join(map(str, shapes))}"
        )


def ends_in_scores(model: Any) -> bool:
    """Return whether a functional model compares two items, and does not embed one."""
    shape = tuple(model.outputs[0].shape)
    return output_of(model) is not None or (shape[1:] in ((), (1,)) and len(model.inputs) > 1)


def ends_in_softmax(model: Any) -> bool:
    """Return whether the last layer of a functional model has a softmax, as that of a classifier."""
    layer = model.layers[-1] if getattr(model, "layers", None) else None
    is_softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return is_softmax or isinstance(layer, keras.layers.Softmax)


def returns_embeddings(model: Any, pairs: BalancedPairSequence | ReadyPairs) -> bool:
    """Return whether a model embeds single samples, according to its inputs and outputs or, if unknown, its loss."""
    if isinstance(pairs, ReadyPairs):
        return False
    if getattr(model, "outputs", None):
        return 2 * len(model.inputs) == len(leaves(pairs[0][0])) and not ends_in_scores(model)
    return any(isinstance(loss, WeightedBatchLoss) for loss in losses_of(model))


def distance_of(model: keras.Model) -> str:
    """Return the distance between the embeddings of a model: "cosine" or "euclidean"."""
    return loss_distance(model) or "euclidean"
