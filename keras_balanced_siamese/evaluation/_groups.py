"""Head, medium and tail classes by their numbers of training samples."""

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._typing import Label


def check_class_counts(class_counts: Any) -> dict[Label, int]:
    """Numbers of training samples by class, from a mapping or from the training labels; empty for `None`."""
    if class_counts is None:
        return {}
    if not isinstance(class_counts, Mapping):  # training labels
        labels = encode_labels(class_counts, "class_counts")
        return dict(zip(labels.classes, labels.counts.tolist(), strict=True))
    wrong = {
        label: n for label, n in class_counts.items() if not (isinstance(n, Real) and 0 <= float(n) < float("inf"))
    }
    if wrong or not class_counts:
        raise ValueError(
            "`class_counts` must be the training labels, or a mapping of class to its number of training samples. "
            f"Received: {str(wrong or class_counts)[:200]}"
        )
    return {label: int(n) for label, n in class_counts.items()}


def check_counted(counts: dict[Label, int], classes: list[Label]) -> None:
    """Raise if none of the classes has a count, as when an array of counts was passed for the labels."""
    if counts and not any(label in counts for label in classes):
        raise ValueError(
            "`class_counts` must be the training labels, or a mapping of class to its number of training samples. "
            "Convert counts without names to a mapping with `labels.value_counts().to_dict()` (pandas) or "
            f"`dict(enumerate(np.bincount(y)))`. Received: counts of {_some(counts)}; the classes are {_some(classes)}"
        )


def _some(labels: Iterable[Label]) -> str:
    names = list(labels)
    return ", ".join(repr(label) for label in names[:3]) + (", ..." if len(names) > 3 else "")


def thirds(classes: list[Label], counts: Mapping[Label, float]) -> dict[str, list[int]]:
    """Positions in `classes` of the most common, middle and rarest third; empty if all counts are equal."""
    known = [counts.get(label, 0) for label in classes]
    if len(set(known)) < 2:
        return {}
    order = sorted(range(len(classes)), key=lambda k: -known[k])
    n_tail, n_head = -(-len(order) // 3), max(1, len(order) // 3)
    groups = {"head": order[:n_head], "medium": order[n_head:-n_tail], "tail": order[-n_tail:]}
    return {name: sorted(places) for name, places in groups.items() if places}
