"""Records of the epochs: history rows, entries of `logs`, printed lines, and the warning that nothing changed."""

import warnings
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import escaped, log_names
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks.adaptive._targets import AdaptedValues

LOGGED_CLASSES = 50  # with more classes, only the smallest and the largest value are logged
LINE_WIDTH = 300
WARM_UP = "warm-up"


class EpochRow(NamedTuple):
    """One epoch of the history."""

    epoch: int
    adapted: AdaptedValues[Any]
    errors: np.ndarray  # (C,)
    values: np.ndarray  # (C,) in use during the epoch
    skipped: str | None  # why there was no update after it, if so

    def by_class(self) -> dict[str, Any]:
        """Return the row with dicts by class."""
        return {
            "epoch": self.epoch,
            "errors": self.adapted.by_class(self.errors),
            self.adapted.noun: self.adapted.by_class(self.values),
            "skipped": self.skipped,
        }

    def line(self, next_values: np.ndarray) -> str:
        """Return a line of text with the values `(C,)` of the next epoch."""
        text = ", ".join(
            f"{escaped(label)}: {value:.3g}" for label, value in self.adapted.by_class(next_values).items()
        )
        text = text if len(text) < LINE_WIDTH else text[: LINE_WIDTH - 3] + "..."
        kept = "" if self.skipped is None else f" (kept: {self.skipped})"
        return f"Epoch {self.epoch + 1}: class {self.adapted.noun} now {text}{kept}"


def write_entries(logs: dict[str, Any], prefix: str, classes: list[Label], values: np.ndarray) -> None:
    """Add an entry "prefix/class", see `log_names`, for each class, or the smallest and the largest of many.

    If another callback has written entries with this prefix, the prefix gets a number.
    """
    if len(classes) > LOGGED_CLASSES:
        known = values[np.isfinite(values)]
        classes = ["min", "max"]
        values = np.array([known.min(), known.max()] if len(known) else [np.nan, np.nan])
    prefix = _unused(logs, prefix)
    names = log_names(classes).values()
    logs.update({f"{prefix}/{name}": value for name, value in zip(names, values.tolist(), strict=True)})


def write_entry(logs: dict[str, Any], name: str, value: float) -> None:
    """Add one entry; if another callback has written one of this name, the name gets a number."""
    logs[_unused(logs, name)] = value


def warn_if_unchanged(rows: Sequence[EpochRow], warmup_epochs: int) -> None:
    """Warn if no epoch of a training was followed by an update."""
    reasons = [row.skipped for row in rows]
    if not reasons or not all(reasons):
        return
    reason = reasons[-1]
    if reason == WARM_UP:
        reason = (
            f"all its epochs are below warmup_epochs={warmup_epochs}. `fit` counts them from `initial_epoch`: pass it "
            "if this training continues an earlier one"
        )
    warnings.warn(f"AdaptiveClassWeight has changed nothing in this training: {reason}", stacklevel=3)


def _unused(logs: dict[str, Any], name: str) -> str:
    """Return the name, with a number if `logs` has entries of that name."""
    used = {entry.split("/", 1)[0] for entry in logs}
    return name if name not in used else next(one for k in count(1) if (one := f"{name}_{k}") not in used)
