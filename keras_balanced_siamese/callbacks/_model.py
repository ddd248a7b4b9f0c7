"""The loss of a model whose weights are adapted."""

import keras

from keras_balanced_siamese._model_output import losses_of
from keras_balanced_siamese.losses import WeightedLoss


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
