"""Whose weights a callback adapts, and where the errors of its classes come from."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks._validation import open_validation
from keras_balanced_siamese.losses import WeightedBatchLoss, WeightedLoss
from keras_balanced_siamese.sampling import BalancedPairSequence, EpochSequence

MIN_ITEMS = 20  # items of a class that say how often it is drawn


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


def check_double_correction(classes: list[Label], items: np.ndarray, weights: np.ndarray) -> None:
    """Warn if weights `(C,)` make the classes count less alike than they do by how many items of each are drawn."""
    known = np.flatnonzero((items >= MIN_ITEMS) & (weights > 0))
    if len(known) < 2:
        return
    counted = (items * weights)[known]
    least, most = known[counted.argmin()], known[counted.argmax()]
    if counted.max() / counted.min() > 2.0 * items[known].max() / items[known].min():
        warnings.warn(
            f"The class weights make the classes count less alike: {classes[most]!r} is drawn "
            f"{items[most] / items[least]:.3g} times as often as {classes[least]!r}, and counts "
            f"{counted.max() / counted.min():.3g} times as much. If the weights are to make up for class frequency, "
            "the batches do so already, and it is corrected twice: give all classes the weight 1. Weights that are to "
            "favour hard classes may stay",
            stacklevel=4,
        )
