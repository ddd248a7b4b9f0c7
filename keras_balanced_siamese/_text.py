"""Text form of values, class names and tables."""

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from keras_balanced_siamese._typing import Label


def short(value: Any, width: int = 300) -> str:
    """Return the `repr` of a value, shortened to `width` characters."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def count_and_names(labels: Sequence[Label]) -> str:
    """Return the number of classes and the names of the first ones, such as "2 classes ('a', 'b')"."""
    names = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
    return f"{len(labels)} class{'es' if len(labels) > 1 else ''} ({names})"


def log_name(name: Any) -> str:
    """Return a name for `logs` that format strings, as of `ModelCheckpoint`, and experiment trackers accept.

    All characters other than letters, digits, `_`, `-` and spaces become `_`.
    """
    return re.sub(r"[^\w -]", "_", str(name)).strip(" ") or "_"


def log_names(labels: Sequence[Label]) -> dict[Label, str]:
    """Return the part of each class in the names of entries of `logs`, see `log_name`.

    Labels that are safe keep their names. Where two would get the same name, a number is appended. The names do not
    depend on the order of the labels.
    """
    names: dict[Label, str] = {}
    used: set[str] = set()
    for label in sorted(labels, key=lambda label: (log_name(label) != str(label), str(label))):  # safe ones first
        name = log_name(label)
        names[label] = name if name not in used else next(one for k in count(2) if (one := f"{name}_{k}") not in used)
        used.add(names[label])
    return {label: names[label] for label in labels}


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return the rows as lines of text, each column right-aligned and as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
