"""Text form of values, class names and tables."""

from collections.abc import Sequence
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


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return the rows as lines of text, each column right-aligned and as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
