"""Numbers, of classes or of all, -> entries of the logs of an epoch."""

from typing import Any

import numpy as np

from keras_balanced_siamese._typing import Label

LOGGED_CLASSES = 50


def write_entries(logs: dict[str, Any], prefix: str, classes: list[Label], values: np.ndarray) -> None:
    """Add an entry `prefix/class` for each class, or the smallest and the largest of many.

    Where another callback has already written such entries, the prefix gets a number.
    """
    if len(classes) > LOGGED_CLASSES:
        known = values[np.isfinite(values)]
        classes = ["min", "max"]
        values = np.array([known.min(), known.max()] if len(known) else [np.nan, np.nan])
    _write(logs, prefix, {f"/{label}": value for label, value in zip(classes, values.tolist(), strict=True)})


def write_entry(logs: dict[str, Any], name: str, value: float) -> None:
    """Add one entry, with a number to its name where another callback has already written one."""
    _write(logs, name, {"": value})


def _write(logs: dict[str, Any], prefix: str, values: dict[str, float]) -> None:
    used, k = prefix, 0
    while any(f"{used}{end}" in logs for end in values):
        used, k = f"{prefix}_{k + 1}", k + 1
    logs.update({f"{used}{end}": value for end, value in values.items()})
