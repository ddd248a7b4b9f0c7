"""Numbers of classes -> entries of the logs of an epoch."""

import math
from typing import Any

from keras_balanced_siamese._typing import Label

LOGGED_CLASSES = 50


def write_entries(logs: dict[str, Any], prefix: str, by_class: dict[Label, float]) -> None:
    """Add an entry `prefix/class` for each class, or the smallest and the largest of many.

    Where another callback has already written such entries, the prefix gets a number.
    """
    if len(by_class) > LOGGED_CLASSES:
        known = [value for value in by_class.values() if math.isfinite(value)]
        by_class = {"min": min(known, default=math.nan), "max": max(known, default=math.nan)}
    used, k = prefix, 0
    while any(f"{used}/{label}" in logs for label in by_class):
        used, k = f"{prefix}_{k + 1}", k + 1
    logs.update({f"{used}/{label}": float(value) for label, value in by_class.items()})
