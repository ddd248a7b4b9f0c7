"""Names and numbers as they are written into a picture."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from keras_balanced_siamese._typing import Label


def short_label(label: Label, width: int = 24) -> str:
    """The label on one line of at most `width` characters; both ends stay, as long labels often differ in the last."""
    text = " ".join(str(label).split())
    head = width * 3 // 5
    return text if len(text) <= width else f"{text[:head]}…{text[head + 1 - width :]}"


def short_names(labels: Iterable[Label], width: int = 24) -> list[str]:
    """Short names for labels that stay different from each other if the labels are; longer ones where it takes that."""
    labels = list(labels)
    for wider in (width, 2 * width, 4 * width):
        names = [short_label(label, wider) for label in labels]
        if len(set(names)) == len(names):
            break
    return names


def percent(rate: float) -> str:
    """The rate as a percentage of three digits."""
    return f"{100 * rate:.3g} %" if math.isfinite(rate) else "unknown"


def legend(ax: Any, handles: Sequence[Any], labels: Sequence[str], **kwargs: Any) -> Any:
    """A legend with the labels as they are: `$` starts no formula and a leading `_` hides nothing."""
    made = ax.legend(handles, ["-"] * len(labels), fontsize="small", **kwargs)
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_parse_math(False)
        text.set_text(label)
    return made


def heading(ax: Any, title: str, handles: Sequence[Any], labels: Sequence[str], columns: int = 2) -> None:
    """The title of `ax`, and under it, above the axes, a legend: there it hides nothing."""
    rows = -(-len(labels) // columns)
    made = legend(
        ax,
        handles,
        labels,
        ncols=columns,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        frameon=False,
        columnspacing=1.2,
    )
    size = made.get_texts()[0].get_fontsize() if rows else 0.0
    ax.set_title(title, pad=6 + size * (1.6 * rows + 0.4))
