"""Facts about a compiled model: its losses, its outputs, and the direction and distance of its scores."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_balanced_siamese.losses import WeightedBatchLoss, WeightedLoss
from keras_balanced_siamese.sampling import BalancedPairSequence


def check_model(model: Any, pairs: BalancedPairSequence) -> None:
    """Raise if a functional model cannot take the pairs, or does not give one score for each."""
    inputs, outputs = (getattr(model, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs:  # not known before the first call
        return
    n_arrays = len(_leaves(pairs[0][0]))
    if n_arrays != len(inputs):
        raise ValueError(
            "The model must take the two sides of the validation pairs; (x, y) holds single samples, not pairs. "
            f"Received: a model with {len(inputs)} inputs for pairs of {n_arrays} arrays"
        )
    shapes = [tuple(one.shape) for one in outputs]
    if len(shapes) != 1 or shapes[0][1:] not in ((), (1,)):
        raise ValueError(
            "The model must have one output with one score per pair, shape (batch, 1): a distance, a similarity or a "
            f"probability. Received: outputs of shape {', '.join(map(str, shapes))}"
        )


def _leaves(inputs: Any) -> list[Any]:
    """The arrays of a nested structure."""
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    return [leaf for one in inputs for leaf in _leaves(one)] if isinstance(inputs, (list, tuple)) else [inputs]


def losses_of(model: keras.Model) -> list[Any]:
    """The losses a model is compiled with, one by one."""
    given = getattr(model, "loss", None)
    if isinstance(given, Mapping):
        given = list(given.values())
    return list(given) if isinstance(given, (list, tuple)) else [given]


def higher_is_similar(model: keras.Model) -> bool:
    """Whether the model's output grows with similarity, as its losses tell."""
    known = {loss.higher_is_similar for loss in losses_of(model) if hasattr(loss, "higher_is_similar")}
    if len(known) != 1:
        raise ValueError(
            "Whether a high output means similar or different cannot be told from the model's loss: pass "
            "`higher_is_similar` (True for probabilities and similarities, False for distances)."
        )
    return known.pop()


def distance_of(model: keras.Model) -> str:
    """What the model's embeddings are compared by: "cosine" or "euclidean"."""
    for loss in losses_of(model):
        if isinstance(loss, WeightedBatchLoss):
            return "cosine" if getattr(loss, "distance", "cosine") == "cosine" else "euclidean"
    return "euclidean"


def weighted_loss_of(model: keras.Model) -> WeightedLoss:
    """The one loss of a model that has class weights."""
    losses = losses_of(model)
    weighted = [loss for loss in losses if getattr(loss, "live_weights", None) is not None]
    if len(weighted) != 1:
        raise ValueError(
            "`AdaptiveClassWeight` without `target` needs a model compiled with exactly one loss that has class "
            "weights: `model.compile(loss=WeightedContrastiveLoss())`, or a loss on class labels that was made with "
            "`class_weight`, such as `WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0})`; or name a loss or a "
            f"`BalancedPairSequence` as `target`. Received: a model with loss={losses}"
        )
    return weighted[0]
