"""Text form of values, class names and tables."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from keras_balanced_siamese._typing import Label

JOINERS = "\u200c\u200d"  # parts of Persian and Indian words and of emoji


def short(value: Any, width: int = 300) -> str:
    """Return the `repr` of a value, shortened to `width` characters."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def escaped(label: Label) -> str:
    """Return the text of a label with line breaks and control characters escaped, as in its `repr`."""
    text = str(label)
    return text if text.isprintable() else "".join(map(_escaped_character, text))


def _escaped_character(character: str) -> str:
    harmless = character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"
    return character if harmless else repr(character)[1:-1]


def short_label(label: Label, width: int = 24) -> str:
    """Return the escaped label in at most `width` characters; long labels lose their middle."""
    text = str(label)
    text = text if len(text) <= 2 * width else text[:width] + text[-width:]  # fewer characters to escape
    text = escaped(text)
    head = width * 3 // 5
    return text if len(text) <= width else f"{text[:head]}…{text[head + 1 - width :]}"


def short_names(labels: Iterable[Label], width: int = 24) -> list[str]:
    """Return short names of the labels, longer than `width` (up to four times) if they are not distinct otherwise."""
    labels = list(labels)
    names = []
    for wider in (width, 2 * width, 4 * width):
        names = [short_label(label, wider) for label in labels]
        if len(set(names)) == len(names):
            break
    return names


def count_and_names(labels: Sequence[Label]) -> str:
    """Return the number of classes and the names of the first ones, such as "2 classes ('a', 'b')"."""
    names = ", ".join(short(label, 60) for label in labels[:5]) + (", ..." if len(labels) > 5 else "")
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
