"""Checks of the target, of the source of its errors, and of weights that correct frequency twice."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import parts_by_number
from keras_balanced_siamese._checks import fraction
from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.losses import WeightedBatchLoss, WeightedLoss
from keras_balanced_siamese.sampling import BalancedPairSequence, EpochSequence
from keras_balanced_siamese.scoring import class_pairs

MIN_ITEMS = 20  # items of a class that are enough to estimate its frequency


def check_momentum(momentum: Any) -> float:
    """Return `momentum` as a float if it is from 0 to less than 1."""
    momentum = fraction("momentum", momentum)
    if momentum == 1:
        raise ValueError(f"`momentum` must be less than 1. Received: momentum={momentum!r}")
    return momentum


def check_monitor(monitor: Any) -> str | None:
    """Return `monitor` if it is a string or `None`."""
    if monitor is not None and not isinstance(monitor, str):
        raise TypeError(f"`monitor` must be the prefix of entries of `logs`. Received: monitor={monitor!r}")
    return monitor


def check_sink(sink: Any) -> Any:
    """Return `sink` if it is callable."""
    if not callable(sink):
        raise TypeError(f"`sink` must be a function of a line of text, such as `print`. Received: sink={sink!r}")
    return sink


def open_source_of_errors(target: Any, data: Any, monitor: str | None) -> BalancedPairSequence | None:
    """Check that there is one source of errors that fits the target; return the validation pairs if they are it."""
    built_in = target is None or isinstance(target, (EpochSequence, WeightedLoss))
    if not built_in and not isinstance(getattr(target, "class_weight", None), Mapping):
        raise TypeError(
            "`target` must be a loss with class weights, a `BalancedPairSequence` or `BalancedBatchSequence`, another "
            f"object with a mapping `class_weight`, or None. Received: target={target!r}"
        )
    if data is not None and monitor is not None:
        raise ValueError(
            f"Pass `validation_data` or `monitor`, not both. Received: monitor={monitor!r} and `validation_data`"
        )
    if data is None:
        if not built_in and monitor is None:
            raise ValueError(
                "The errors of the classes of this target are unknown: pass `monitor`, the prefix of the entries of "
                f"`logs` that hold them. Received: target={target!r}"
            )
        if isinstance(target, EpochSequence) and monitor is None:
            raise ValueError(
                "A sequence as `target` needs a source of errors: pass validation_data=(x_val, y_val), or `monitor`, "
                "the prefix of the entries of `logs` that hold them. Received: neither"
            )
        return None
    pairs = class_pairs(data)
    if target is not None:
        check_validation(target, pairs)
    return pairs


def check_validation(target: Any, pairs: BalancedPairSequence) -> None:
    """Raise if the classes of validation pairs are not those of the target; warn if some are missing."""
    if not isinstance(target, (EpochSequence, WeightedLoss)):
        raise ValueError(
            f"`validation_data` is only for losses and sequences: pass `monitor`. Received: target={target!r}"
        )
    if isinstance(target, WeightedLoss) and not isinstance(target, WeightedBatchLoss):
        raise ValueError(
            "`validation_data` gives the errors of the classes of the data, but the classes of this loss are the pair "
            "labels 0 and 1. Leave it out to use the training losses, pass monitor='val_class_loss' to use the losses "
            "on the validation data of `fit`, or pass the `BalancedPairSequence` as `target` to adapt the weights of "
            f"the classes of the data. Received: target={target!r}"
        )
    classes, validated = list(target.class_weight or {}), set(pairs.classes)
    unknown = sorted(validated - set(classes), key=str)
    if unknown:
        has_losses = isinstance(target, WeightedBatchLoss)
        cure = "leave it out, and the training losses of the classes are used, or " if has_losses else ""
        raise ValueError(
            f"`validation_data` holds classes that the target does not have: {short(unknown)}. Weights follow the "
            f"errors of training classes: {cure}pass samples of those alone, `known = np.isin(y_val, y_train)`, held "
            "out of training or, where they are too few, the training samples. To measure new classes in the same "
            "`fit`, pass callbacks=[AdaptiveClassWeight(...), VerificationReport((x_new, y_new))]. Received: a target "
            f"with the classes {short(classes)}"
        )
    missing = [label for label in classes if label not in validated]
    if missing:
        warnings.warn(
            f"`validation_data` has no samples of the classes {short(missing)}: their errors are unknown, so they keep "
            "their weights.",
            stacklevel=4,
        )


def check_sampling(target: Any) -> None:
    """Raise if a target has no class shares to adapt; warn if adapting them brought nothing in the measurements."""
    if not isinstance(target, EpochSequence):
        raise ValueError(
            "adapt='sampling' needs a `BalancedPairSequence` or `BalancedBatchSequence` as `target`, whose "
            f"`class_sampling` it changes. Received: target={target!r}"
        )
    if target.class_sampling == "progressive":
        raise ValueError(
            "adapt='sampling' needs another `class_sampling`, since progressive shares move by themselves. "
            "Received: a sequence with class_sampling='progressive'"
        )
    shares = list(target.class_shares.values())
    if max(shares) < 1.01 * min(shares):
        warnings.warn(
            "Drawing hard classes more often than balanced shares has gained nothing where it was measured. Use "
            "adapt='sampling' with class_sampling='natural', or adapt the weights.",
            stacklevel=3,
        )


def check_steps(target: Any, steps: int | None) -> None:
    """Raise if an epoch of `fit` is not an epoch of the sequence, of which Keras may give each process a part."""
    if isinstance(target, EpochSequence) and steps is not None and steps * parts_by_number() != len(target):
        raise ValueError(
            "An epoch of `fit` must be an epoch of the sequence, or batches that were loaded early keep the weights of "
            f"the epoch before: construct the sequence with steps_per_epoch={steps}, and do not pass it to `fit`. "
            f"Received: {steps} steps per epoch and a sequence of {len(target)}"
        )


def check_double_correction(classes: list[Label], items: np.ndarray, weights: np.ndarray) -> None:
    """Warn if items times weights, `(C,)` each, are less balanced than the items alone."""
    known = np.flatnonzero((items >= MIN_ITEMS) & (weights > 0))
    if len(known) < 2:
        return
    counted = (items * weights)[known]
    least, most = known[counted.argmin()], known[counted.argmax()]
    if counted.max() / counted.min() > 2.0 * items[known].max() / items[known].min():
        warnings.warn(
            f"The class weights make the classes less balanced: {classes[most]!r} is drawn "
            f"{items[most] / items[least]:.3g} times as often as {classes[least]!r}, and counts "
            f"{counted.max() / counted.min():.3g} times as much. If the weights are meant to correct class frequency, "
            "which the batches do already, it is corrected twice: give all classes the weight 1. Weights that are to "
            "favour hard classes can stay.",
            stacklevel=4,
        )
