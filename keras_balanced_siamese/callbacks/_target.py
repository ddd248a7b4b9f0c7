"""Whose weights a callback adapts, and where the errors of its classes come from."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from keras_balanced_siamese._epoch_sequence import EpochSequence
from keras_balanced_siamese.callbacks._validation import losses_of, open_validation, short
from keras_balanced_siamese.losses._batch import WeightedBatchLoss
from keras_balanced_siamese.losses._live import WeightedLoss
from keras_balanced_siamese.pairs import BalancedPairSequence


def open_source_of_errors(target: Any, data: Any, monitor: str | None) -> BalancedPairSequence | None:
    """Check that there is one source of errors, and that it fits the target; the validation pairs if it is those."""
    ours = target is None or isinstance(target, (EpochSequence, WeightedLoss))
    if not ours and not isinstance(getattr(target, "class_weight", None), Mapping):
        raise TypeError(
            "`target` must be a loss with class weights, a `BalancedPairSequence` or `BalancedBatchSequence`, another "
            f"object with a mapping `class_weight`, or None. Received: target={target!r}"
        )
    if data is not None and monitor is not None:
        raise ValueError("Pass `validation_data` or `monitor`, not both.")
    if data is None:
        if not ours and monitor is None:
            raise ValueError(
                "The errors of the classes of this target are not known: pass `monitor`, the prefix of the entries of "
                f"`logs` that hold them. Received: target={target!r}"
            )
        if isinstance(target, EpochSequence) and monitor is None:
            raise ValueError(
                "The error of each class has to be measured: pass validation_data=(x_val, y_val), or `monitor`, "
                "the prefix of the entries of `logs` that hold it."
            )
        return None
    pairs = open_validation(data)
    if target is not None:
        check_validation(target, pairs)
    return pairs


def check_validation(target: Any, pairs: BalancedPairSequence) -> None:
    """Raise if validation pairs cannot tell the errors of the target's classes."""
    if not isinstance(target, (EpochSequence, WeightedLoss)):
        raise ValueError(f"`validation_data` is for losses and sequences: pass `monitor`. Received: target={target!r}")
    if isinstance(target, WeightedLoss) and not isinstance(target, WeightedBatchLoss):
        raise ValueError(
            "`validation_data` tells the errors of the classes of the data, and the classes of this loss are similar "
            "and different pairs: it is adapted to their training losses, or with monitor='val_class_loss' to those on "
            "the validation data of `fit`. For the classes of the data pass the `BalancedPairSequence` as `target`."
        )
    classes, found = list(target.class_weight or {}), set(pairs.classes)
    unknown = sorted(found - set(classes), key=str)
    if unknown:
        raise ValueError(
            f"`validation_data` holds classes that the target does not have: {short(unknown)}. Received: a target with "
            f"the classes {short(classes)}"
        )
    missing = [label for label in classes if label not in found]
    if missing:
        warnings.warn(
            f"`validation_data` has no samples of the classes {short(missing)}: no error is known of them, and they "
            "keep their weights.",
            stacklevel=4,
        )


def check_sampling(target: Any) -> None:
    """Raise if there are no class shares to adapt; warn where adapting them is known to be worth nothing."""
    if not isinstance(target, EpochSequence):
        raise ValueError(
            "adapt='sampling' needs a `BalancedPairSequence` or `BalancedBatchSequence` as `target`, whose "
            f"`class_sampling` it changes. Received: target={target!r}"
        )
    if target.class_sampling == "progressive":
        raise ValueError(
            "Progressive shares move by themselves: adapt='sampling' needs another `class_sampling`. "
            "Received: a sequence with class_sampling='progressive'"
        )
    shares = list(target.class_shares.values())
    if max(shares) < 1.01 * min(shares):
        warnings.warn(
            "From balanced shares, drawing hard classes more often has gained nothing where it was measured: it pays "
            "from class_sampling='natural'. To favour hard classes, adapt the weights.",
            stacklevel=3,
        )


def check_steps(target: Any, steps: int | None) -> None:
    """Raise if an epoch of `fit` is not one of a sequence."""
    if isinstance(target, EpochSequence) and steps is not None and steps != len(target):
        raise ValueError(
            f"An epoch of `fit` must be an epoch of the sequence, or batches that were fetched early keep the weights "
            f"of the epoch before: construct the sequence with steps_per_epoch={steps}, and leave it out of `fit`. "
            f"Received: {steps} steps an epoch, and a sequence of {len(target)}"
        )


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
