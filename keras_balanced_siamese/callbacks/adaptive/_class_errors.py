"""Errors of the classes after an epoch: from recorded losses, from `logs`, or measured on validation pairs."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from keras_balanced_siamese._backend import exchange, has_own_variables
from keras_balanced_siamese._text import log_names, short
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation import evaluate_pairs
from keras_balanced_siamese.sampling import BalancedPairSequence
from keras_balanced_siamese.scoring import ScoredPairs, distance_of, measure, measure_embedded

DEGENERATE = 0.55  # area under the ROC curve below which the errors of classes carry no information
REVERSED = 0.45  # area below which `higher_is_similar` is probably wrong

LossRecord: TypeAlias = tuple[np.ndarray, np.ndarray]  # mean loss and number of items of each class, (C,) both


class ClassErrors(NamedTuple):
    """The error of each class after an epoch."""

    values: np.ndarray  # (C,), NaN where unknown
    support: np.ndarray | None = None  # (C,) number of items behind each error, if known
    problem: str | None = None  # reason not to use the errors, if any


def record_of_processes(record: LossRecord | None) -> LossRecord | None:
    """Return the record of the items in all processes; not needed where they share the variables of the model."""
    if record is None or not has_own_variables():
        return record
    means, counts = record
    found = exchange((np.nan_to_num(means) * counts, counts), "AdaptiveClassWeight")
    totals, counts = (np.sum(one, axis=0) for one in zip(*found, strict=True))
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0), counts


def no_errors(classes: list[Label], problem: str) -> ClassErrors:
    """Return NaN for each class, with the reason."""
    return ClassErrors(np.full(len(classes), np.nan), None, problem)


def recorded_errors(record: LossRecord | None, classes: list[Label]) -> ClassErrors:
    """Return the mean losses of the classes; `record` is `None` without a validation in the epoch."""
    if record is None:
        return no_errors(classes, "there was no validation in this epoch, on `validation_data` of `fit`")
    means, counts = record
    if not counts.any():
        return no_errors(classes, "no batch held two items of a class, or the training step did not call this loss")
    if not np.isfinite(means).any():
        return no_errors(classes, "the losses are not finite")
    return ClassErrors(means, counts)


def logged_errors(logs: dict[str, Any], monitor: str, classes: list[Label], validated: bool) -> ClassErrors:
    """Return the entries "monitor/class" of `logs`, see `log_names`; `validated`: whether the epoch had a validation.

    Raises:
        ValueError: If there are none, and a validation would not add them.
    """
    safe = [f"{monitor}/{name}" for name in log_names(classes).values()]
    given = [f"{monitor}/{label}" for label in classes]  # as a callback of the user may write them
    names = [own if own in logs else name for own, name in zip(given, safe, strict=True)]
    if not any(name in logs for name in names):
        problem = f"monitor={monitor!r} needs the entries {short(names)} in `logs`"
        if validated or not monitor.startswith("val_"):
            raise ValueError(f"{problem}. Received: {sorted(logs)}")
        return no_errors(classes, f"{problem}, and there was no validation in this epoch")
    return ClassErrors(np.array([float(logs.get(name, np.nan)) for name in names]))


def measured_errors(
    model: Any, target: Any, pairs: BalancedPairSequence, higher_is_similar: bool, classes: list[Label]
) -> ClassErrors:
    """Measure the errors on validation pairs: scored by the model for a target of pairs, embedded by it otherwise."""
    if isinstance(target, BalancedPairSequence):
        cure = f": does a high output mean similar? Check `higher_is_similar`, which was {higher_is_similar}"
        return validated_errors(measure(model, pairs, higher_is_similar), classes, cure)
    return validated_errors(measure_embedded(model, pairs, distance_of(model)), classes)


def validated_errors(scored: ScoredPairs, classes: list[Label], cure: str = "") -> ClassErrors:
    """Return the error of each class at the common threshold, supported by its number of similar pairs.

    `cure` is added to the problem if the direction of the scores is probably wrong.
    """
    if not np.isfinite(scored.distances).all():
        return no_errors(classes, "the model's output for the validation data is not finite")
    report = evaluate_pairs(scored.distances, scored.similar, classes=scored.classes, n_resamples=0)
    rows: list[Mapping[str, Any]] = [report.per_class.get(label, {}) for label in classes]
    problem = None
    if report.roc_auc < DEGENERATE:
        problem = f"the model is degenerate, its area under the ROC curve is {report.roc_auc:.3f}"
        problem += cure if report.roc_auc < REVERSED else ""
    errors, support = (np.array([row.get(name, np.nan) for row in rows]) for name in ("error", "n_similar"))
    return ClassErrors(errors, np.nan_to_num(support), problem)
