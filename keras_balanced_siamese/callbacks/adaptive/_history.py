"""Numbers, of classes or of all, -> entries of the logs of an epoch."""

from itertools import count
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks.adaptive._targets import Weights

LOGGED_CLASSES = 50


def write_entries(logs: dict[str, Any], prefix: str, classes: list[Label], values: np.ndarray) -> None:
    """Add an entry `prefix/class` for each class, or the smallest and the largest of many.

    Where another callback has already written entries with this prefix, it gets a number.
    """
    if len(classes) > LOGGED_CLASSES:
        known = values[np.isfinite(values)]
        classes = ["min", "max"]
        values = np.array([known.min(), known.max()] if len(known) else [np.nan, np.nan])
    prefix = _free(logs, prefix)
    logs.update({f"{prefix}/{label}": value for label, value in zip(classes, values.tolist(), strict=True)})


def write_entry(logs: dict[str, Any], name: str, value: float) -> None:
    """Add one entry, with a number to its name where another callback has already written one."""
    logs[_free(logs, name)] = value


def _free(logs: dict[str, Any], name: str) -> str:
    """The name, with a number if there are entries of it."""
    used = {entry.split("/", 1)[0] for entry in logs}
    return name if name not in used else next(one for k in count(1) if (one := f"{name}_{k}") not in used)


class EpochRow(NamedTuple):
    """An epoch: what was adapted, the errors and values of its classes, `(C,)`, and why they were kept, if so."""

    epoch: int
    adapted: Weights
    errors: np.ndarray
    values: np.ndarray
    skipped: str | None

    def by_class(self) -> dict[str, Any]:
        """The same with dicts by class."""
        return {
            "epoch": self.epoch,
            "errors": self.adapted.by_class(self.errors),
            self.adapted.noun: self.adapted.by_class(self.values),
            "skipped": self.skipped,
        }
