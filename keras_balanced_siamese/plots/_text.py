"""Text in plots: percentages, legends and titles."""

import math
from collections.abc import Sequence
from typing import Any


def percent(rate: float) -> str:
    """Return the rate as a percentage with three significant digits."""
    return f"{100 * rate:.3g} %" if math.isfinite(rate) else "unknown"


def legend(ax: Any, handles: Sequence[Any], labels: Sequence[str], **kwargs: Any) -> Any:
    """Add a legend with literal labels: `$` is not parsed as math, and labels with a leading `_` are shown."""
    box = ax.legend(handles, ["-"] * len(labels), fontsize="small", **kwargs)
    for text, label in zip(box.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
    return box


def heading(ax: Any, title: str, handles: Sequence[Any], labels: Sequence[str], columns: int = 2) -> None:
    """Set the title of `ax`, with a legend between the title and the axes."""
    rows = -(-len(labels) // columns)
    box = legend(
        ax,
        handles,
        labels,
        ncols=columns,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
        columnspacing=1.2,
    )
    size = box.get_texts()[0].get_fontsize() if rows else 0.0
    ax.set_title(title, pad=6 + size * (1.6 * rows + 0.4))
