"""Text in plots: percentages, legends and titles."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

ROOM = 1.3  # largest width of a legend or title, in widths of the axes before the layout


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
    """Set the title of `ax`, with a legend between the title and the axes.

    On narrow axes, the legend has one column and the title more lines. Both then end at the right edge: on the left,
    the names of the ticks have made room.
    """
    style: dict[str, Any] = {"frameon": False, "columnspacing": 1.2}
    room = ROOM * ax.get_window_extent().width
    box = legend(ax, handles, labels, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1.0), **style)
    narrow = columns > 1 and box.get_window_extent().width > room
    if narrow:
        columns = 1
        box = legend(ax, handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), **style)
    rows = -(-len(labels) // columns)
    size = box.get_texts()[0].get_fontsize() if rows else 0.0
    place: dict[str, Any] = {"x": 1.0, "ha": "right"} if narrow else {}
    written = ax.set_title(title, pad=6 + size * (1.6 * rows + 0.4), **place)
    share = room / written.get_window_extent().width
    if share < 1:
        lines = title.splitlines()
        width = max(int(share * max(map(len, lines))), 1)
        written.set_text("\n".join(textwrap.fill(line, width) for line in lines))
