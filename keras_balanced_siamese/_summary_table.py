"""Figures of each class as text."""

from collections.abc import Sequence

from keras_balanced_siamese._typing import Label


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """The rows under one another, each column as wide as it must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def named(labels: Sequence[Label]) -> str:
    """How many classes, and the names of the first ones."""
    names = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
    return f"{len(labels)} class{'es' if len(labels) > 1 else ''} ({names})"
