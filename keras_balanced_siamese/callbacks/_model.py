"""Facts about a compiled model: its losses, its outputs, and the direction and distance of its scores."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_balanced_siamese.losses import WeightedBatchLoss, WeightedLoss
from keras_balanced_siamese.sampling import BalancedPairSequence


def check_model(model: Any, pairs: BalancedPairSequence) -> None:
    """Raise if a functional model cannot take the pairs, or does not return one score for each."""
    inputs, outputs = (getattr(model, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs:  # unknown before the first call
        return
    n_arrays = len(_leaves(pairs[0][0]))
    if n_arrays != len(inputs):
        raise ValueError(
            "The model must take both sides of the validation pairs; (x, y) holds single samples, not pairs. "
            f"Received: a model with {len(inputs)} inputs for pairs of {n_arrays} arrays"
        )
    shapes = [tuple(output.shape) for output in outputs]
    if len(shapes) != 1 or shapes[0][1:] not in ((), (1,)):
        raise ValueError(
            "The model must have one output with one score per pair, shape (batch, 1): a distance, a similarity or a "
            f"probability. Received: outputs of shape {', '.join(map(str, shapes))}"
        )


def _leaves(inputs: Any) -> list[Any]:
    """Return the arrays of a nested structure."""
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    return [leaf for part in inputs for leaf in _leaves(part)] if isinstance(inputs, (list, tuple)) else [inputs]


def losses_of(model: keras.Model) -> list[Any]:
    """Return the losses a model is compiled with as a flat list."""
    losses = getattr(model, "loss", None)
    if isinstance(losses, Mapping):
        losses = list(losses.values())
    return list(losses) if isinstance(losses, (list, tuple)) else [losses]


def higher_is_similar(model: keras.Model) -> bool:
    """Return whether the model's output grows with similarity, according to its losses."""
    known = {loss.higher_is_similar for loss in losses_of(model) if hasattr(loss, "higher_is_similar")}
    if len(known) != 1:
        raise ValueError(
            "The loss of the model must define whether a high output means similar or different; otherwise pass "
            "`higher_is_similar`, True for probabilities and similarities, False for distances. Received: a model "
            f"with loss={losses_of(model)}"
        )
    return known.pop()


def distance_of(model: keras.Model) -> str:
    """Return the distance between the embeddings of a model: "cosine" or "euclidean"."""
    for loss in losses_of(model):
        if isinstance(loss, WeightedBatchLoss):
            return "cosine" if getattr(loss, "distance", "cosine") == "cosine" else "euclidean"
    return "euclidean"


def weighted_loss_of(model: keras.Model) -> WeightedLoss:
    """Return the only loss of a model that has class weights."""
    losses = losses_of(model)
    weighted = [loss for loss in losses if getattr(loss, "live_weights", None) is not None]
    if len(weighted) != 1:
        raise ValueError(
            "`AdaptiveClassWeight` without `target` needs a model compiled with exactly one loss that has class "
            "weights: `model.compile(loss=WeightedContrastiveLoss())`, or a loss on class labels constructed with "
            "`class_weight`, such as `WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0})`. Otherwise pass a loss or a "
            f"`BalancedPairSequence` as `target`. Received: a model with loss={losses}"
        )
    return weighted[0]
