"""Records, logs, or what a model makes of validation pairs -> the error of each class."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks._validation import Measured
from keras_balanced_siamese.evaluation import evaluate_pairs

DEGENERATE = 0.55  # area under the ROC curve below which errors say nothing about classes
REVERSED = 0.45  # below this, scores seem to have been read the wrong way round


class Errors(NamedTuple):
    """The error of each class after an epoch, as far as it could be measured."""

    values: np.ndarray  # (C,), NaN where there is none
    support: np.ndarray | None = None  # (C,) on how many items each rests, if that is known
    problem: str | None = None  # why they say nothing about the classes, if so


def no_errors(classes: list[Label], problem: str) -> Errors:
    """Nothing, and why."""
    return Errors(np.full(len(classes), np.nan), None, problem)


def recorded_errors(record: tuple[np.ndarray, np.ndarray] | None, classes: list[Label]) -> Errors:
    """The mean losses of the classes, from a record of means `(C,)` and counts `(C,)`."""
    if record is None:
        return no_errors(classes, "there was no validation in this epoch, on `validation_data` of `fit`")
    means, counts = record
    if counts.any() and not np.isfinite(means).any():
        return no_errors(classes, "the losses are not finite")
    return Errors(means, counts)


def logged_errors(logs: dict[str, Any], monitor: str, classes: list[Label], tested: bool) -> Errors:
    """What `logs` says of each class under `monitor`; `tested` is whether the epoch has had a validation.

    Raises:
        ValueError: If it says nothing, and a validation would not change that.
    """
    names = [f"{monitor}/{label}" for label in classes]
    if not any(name in logs for name in names):
        problem = f"monitor={monitor!r} needs the entries {short(names)} in `logs`"
        if tested or not monitor.startswith("val_"):
            raise ValueError(f"{problem}. Received: {sorted(logs)}")
        return no_errors(classes, f"{problem}, and there was no validation in this epoch")
    return Errors(np.array([float(logs.get(name, np.nan)) for name in names]))


def validated_errors(found: Measured, classes: list[Label], cure: str = "") -> Errors:
    """The error of each class at the threshold of all, and its similar pairs.

    `cure` is added to the problem of scores that seem to have been read the wrong way round.
    """
    if not np.isfinite(found.distances).all():
        return no_errors(classes, "the model's output for the validation data is not finite")
    report = evaluate_pairs(found.distances, found.similar, classes=found.classes, n_resamples=0)
    rows: list[Mapping[str, Any]] = [report.per_class.get(label, {}) for label in classes]
    problem = None
    if report.roc_auc < DEGENERATE:
        problem = f"the model is degenerate, its area under the ROC curve is {report.roc_auc:.3f}"
        problem += cure if report.roc_auc < REVERSED else ""
    errors, support = (np.array([row.get(name, np.nan) for row in rows]) for name in ("error", "n_similar"))
    return Errors(errors, np.nan_to_num(support), problem)
