"""Arrays of weights and errors, read from the history of `AdaptiveClassWeight`."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.sampling import EpochSequence


class WeightHistory(NamedTuple):
    """Values of `C` classes in `T` epochs; NaN where unknown."""

    classes: list[Label]  # in the order of the history
    epochs: np.ndarray  # (T,) from 1 on, as Keras prints them
    begins: list[int]  # first epochs of later calls of `fit`
    noun: str  # "weight" or "share"
    weights: np.ndarray  # (T, C)
    errors: np.ndarray  # (T, C)
    skipped: dict[int, str]  # epochs without an update, and the reasons


def read_history(history: Any) -> WeightHistory:
    """Check and convert a callback or its records, `history_`."""
    records = getattr(history, "history_", history)
    if isinstance(records, Mapping) or not isinstance(records, Sequence) or isinstance(records, (str, bytes)):
        raise TypeError(
            "`history` must be an `AdaptiveClassWeight` after `fit(..., callbacks=[adaptive])`, or its "
            "`adaptive.history_`; the `History` from `fit` is not accepted. "
            f"Received: history of type {type(history).__name__}"
        )
    if not records:
        raise ValueError(
            "`history` must hold at least one epoch: plot it after `fit(..., callbacks=[adaptive])`. "
            "Received: an empty history"
        )
    noun = "share" if isinstance(records[0], Mapping) and "shares" in records[0] else "weight"
    for record in records:
        _check_record(record, f"{noun}s")
    given = [record[f"{noun}s"] for record in records]
    classes = list(dict.fromkeys(label for one in given for label in one))
    epochs, begins = _count_on([record["epoch"] + 1 for record in records])
    reasons = [record.get("skipped") for record in records]
    return WeightHistory(
        classes,
        epochs,
        begins,
        noun,
        _table(given, classes),
        _table([record["errors"] for record in records], classes),
        {epoch: str(reason) for epoch, reason in zip(epochs.tolist(), reasons, strict=True) if reason is not None},
    )


def counts_of_target(history: Any) -> dict[Label, int]:
    """Return the class counts of the sequence that a callback adapts, or an empty dict."""
    target = getattr(history, "target", None)
    if not isinstance(target, EpochSequence):
        return {}
    return dict(zip(target.classes, target.counts_by_code.tolist(), strict=True))


def _check_record(record: Any, name: str) -> None:
    known = record if isinstance(record, Mapping) else {}
    parts = [part for part in (known.get("errors"), known.get(name)) if isinstance(part, Mapping)]
    numbers = all(isinstance(value, Real) for part in parts for value in part.values())
    if len(parts) < 2 or not parts[1] or not numbers or not isinstance(known.get("epoch"), Integral):
        raise TypeError(
            "`history` must hold a dict for each epoch, {'epoch': 0, 'errors': {class: error}, 'weights': {class: "
            f"weight}}}}, as `AdaptiveClassWeight` records them. Received: {str(record)[:200]}"
        )


def _count_on(epochs: Iterable[int]) -> tuple[np.ndarray, list[int]]:
    """Make epochs increase: where another `fit` starts from 0, continue the count. Return also where each starts."""
    counted: list[int] = []
    begins = []
    offset = 0
    for epoch in epochs:
        if counted and epoch + offset <= counted[-1]:
            offset = counted[-1] + 1 - epoch
            begins.append(counted[-1] + 1)
        counted.append(epoch + offset)
    return np.array(counted), begins


def _table(rows: list[Mapping[Label, float]], classes: list[Label]) -> np.ndarray:
    """Return values `(T, C)`, NaN where missing or infinite."""
    values = np.array([[row.get(label, np.nan) for label in classes] for row in rows], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)
