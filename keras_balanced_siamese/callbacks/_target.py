"""Whose weights a callback adapts, and where the errors of its classes come from."""

from typing import Any

import keras

from keras_balanced_siamese._epoch_sequence import EpochSequence
from keras_balanced_siamese.callbacks._validation import losses_of, open_validation, short
from keras_balanced_siamese.losses._live import WeightedLoss
from keras_balanced_siamese.pairs import BalancedPairSequence


def open_source_of_errors(target: Any, data: Any, monitor: str | None) -> BalancedPairSequence | None:
    """Check that there is one source of errors, and that it fits the target; the validation pairs if it is those."""
    if data is not None and monitor is not None:
        raise ValueError("Pass `validation_data` or `monitor`, not both.")
    if not isinstance(target, EpochSequence):
        if data is not None:
            raise ValueError(
                "`validation_data` is for a `BalancedPairSequence` as `target`. A loss is adapted to the training "
                "losses of its classes, or with monitor='val_class_loss' to those on the validation data of `fit`."
            )
        if target is not None and not isinstance(target, WeightedLoss):
            raise TypeError(
                "`target` must be a loss with class weights, a `BalancedPairSequence` or `BalancedBatchSequence`, "
                f"or None. Received: target={target!r}"
            )
        return None
    if data is not None and not isinstance(target, BalancedPairSequence):
        raise ValueError(
            "`validation_data` becomes pairs, but a model that is trained on a `BalancedBatchSequence` takes "
            "single samples: pass `monitor`, the prefix of the entries of `logs` that hold the error of each class."
        )
    if data is None:
        if monitor is None:
            raise ValueError(
                "The error of each class has to be measured: pass validation_data=(x_val, y_val), or `monitor`, "
                "the prefix of the entries of `logs` that hold it."
            )
        return None
    pairs = open_validation(data)
    unknown = sorted(set(pairs.classes) - set(target.classes), key=str)
    if unknown:
        raise ValueError(f"`validation_data` holds classes that the target does not have: {short(unknown)}")
    return pairs


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
