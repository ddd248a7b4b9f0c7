"""Choice of the classes to colour and to name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short_names
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation import thirds
from keras_balanced_siamese.plots.class_weights._history import WeightHistory


class Marked(NamedTuple):
    """Positions of classes in the history, and a note."""

    strong: list[int]  # in colour, the rarest first
    named: list[int]  # with names: the coloured classes, then the others if they are few
    tail: list[int]  # the rarest third, if counts are known
    note: str  # description of the choice under the axes


def mark(history: WeightHistory, counts: Mapping[Label, int], highlight: Any, max_classes: int) -> Marked:
    """Choose the given classes, the rarest third, or the third with the largest last weights."""
    classes = history.classes
    common = [float(counts.get(label, 0)) for label in classes]
    tail = thirds(classes, counts).get("tail", []) if counts else []
    last = np.nan_to_num(history.weights[-1], nan=0.0)
    note = "class (training samples), * rarest third" if tail else "class (training samples)" if counts else ""
    if highlight is not None:
        strong = _positions(highlight, classes)
        max_classes = max(max_classes, len(strong))
    elif tail:
        strong = sorted(tail, key=lambda k: common[k])
        if len(classes) > max_classes:
            note = f"in colour: the {min(len(tail), max_classes):,} rarest of {len(classes):,} classes\n{note}"
    else:
        heavy = thirds(list(range(len(classes))), {k: -float(weight) for k, weight in enumerate(last)})
        strong = sorted(heavy.get("tail", []), key=lambda k: -last[k])
        size = f"{min(len(strong), max_classes):,} " if len(strong) > 1 else ""
        largest = f"in colour: the {size}largest weight{'s' if size else ''} of the last epoch"
        note = "\n".join(filter(None, [largest if strong else "", note]))
    strong = strong[:max_classes]
    all_named = len(classes) <= max_classes
    others = sorted(set(range(len(classes))) - set(strong)) if all_named else []
    return Marked(strong, strong + others, tail, note)


def names_of(classes: Sequence[Label], marked: Marked, counts: Mapping[Label, int]) -> list[str]:
    """Return the names of the named classes, with a star for the rarest third and with counts."""
    tail = set(marked.tail)
    names = short_names(classes[k] for k in marked.named)
    stars = [" *" if k in tail else "" for k in marked.named]
    numbers = [f"  ({counts.get(classes[k], 0):,})" if counts else "" for k in marked.named]
    return [name + star + number for name, star, number in zip(names, stars, numbers, strict=True)]


def _positions(highlight: Any, classes: list[Label]) -> list[int]:
    if isinstance(highlight, (str, bytes, Mapping)) or not hasattr(highlight, "__iter__"):
        raise TypeError(f"`highlight` must be a list of class labels. Received: highlight={highlight!r}")
    place = {label: k for k, label in enumerate(classes)}
    chosen = list(dict.fromkeys(highlight))
    unknown = [label for label in chosen if label not in place]
    if unknown:
        known = ", ".join(repr(label) for label in classes[:5]) + (", ..." if len(classes) > 5 else "")
        raise ValueError(f"`highlight` must hold classes of the history, which are {known}. Received: {unknown[:5]}")
    return [place[label] for label in chosen]
