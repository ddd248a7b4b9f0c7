"""Weights and errors of each class over the epochs, in one figure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._text import short_label
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation import check_class_counts, check_counted
from keras_balanced_siamese.plots._style import GREY, ink, pyplot
from keras_balanced_siamese.plots._text import heading
from keras_balanced_siamese.plots.class_weights._axes import scale_epochs, scale_errors, scale_weights
from keras_balanced_siamese.plots.class_weights._history import counts_of_target, read_history
from keras_balanced_siamese.plots.class_weights._line_ends import ROW, name_ends
from keras_balanced_siamese.plots.class_weights._lines import draw_grey, draw_marked, draw_median, draw_others
from keras_balanced_siamese.plots.class_weights._marked import Marked, mark, names_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_class_weights(
    history: Any,
    *,
    class_counts: Mapping[Label, int] | ArrayLike | None = None,
    highlight: Sequence[Label] | None = None,
    max_classes: int = 10,
) -> "Figure":
    """Draw the weights (or shares) and errors of each class over the epochs of an `AdaptiveClassWeight`.

    The upper axes show the weights used in each epoch (the shares, with `adapt="sampling"`) on a logarithmic scale. The
    lower axes show the errors measured at its end. The rarest third of the classes is coloured, the others are grey. Up
    to `max_classes` classes are named at the ends of their lines. With more classes, only the rarest are coloured and
    named, and a dashed line shows the median of the whole rarest third. More than 40 unnamed classes are drawn as
    bands.

    If the counts of the classes are unknown or all equal, the third with the largest weights in the last epoch is
    coloured instead.

    Unknown errors and weights of 0 leave gaps. A cross marks each epoch without an update for which the callback
    recorded a reason. A dotted vertical line marks the start of another `fit`; its epochs continue the count.

    Args:
        history: The callback after training, or its `history_`.
        class_counts: Number of training samples of each class, as a mapping or as the training labels. `None` uses the
            counts of the adapted sequence, if `history` is a callback with such a target.
        highlight: Labels of the classes to colour instead of the rarest ones.
        max_classes: Maximum number of named classes, unless `highlight` has more.

    Returns:
        The figure, with the axes of the weights and the axes of the errors.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `history` is neither, such as the `History` from `fit`.
        ValueError: If `history` is empty, or `class_counts` or `highlight` do not match its classes.

    Examples:
        >>> history = [
        ...     {"epoch": 0, "errors": {"cat": 0.1, "lynx": 0.4}, "weights": {"cat": 1.0, "lynx": 1.0}},
        ...     {"epoch": 1, "errors": {"cat": 0.1, "lynx": 0.3}, "weights": {"cat": 0.8, "lynx": 1.5}},
        ... ]
        >>> figure = plot_class_weights(history, class_counts={"cat": 900, "lynx": 40})
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['lynx *  (40)', 'cat  (900)']
    """
    plt, read = pyplot(), read_history(history)
    counts = check_class_counts(class_counts) or counts_of_target(history)
    check_counted(counts, read.classes)
    marked = mark(read, counts, highlight, whole("max_classes", max_classes, 1))
    names = names_of(read.classes, marked, counts)
    weights = np.where(read.weights > 0, read.weights, np.nan)  # a logarithmic axis has no 0
    start, text = _reference(read.noun, weights[0])
    height = max(2.2, ROW * len(names) + 0.2)
    figure, (upper, lower) = plt.subplots(2, sharex=True, figsize=(7.6, 2 * height + 1.9), layout="constrained")
    handles, labels = [upper.axhline(start, color=ink(), ls=":", lw=1.2, zorder=1)], [text]
    scale_epochs(lower, read.epochs)
    panels = (
        (upper, weights, partial(scale_weights, noun=read.noun), f"{read.noun} 0"),
        (lower, read.errors, scale_errors, "not measured"),
    )
    for ax, values, scale, missing in panels:
        for epoch in read.begins:
            ax.axvline(epoch - 0.5, color=GREY, ls=":", lw=1.2, zorder=0)
        lines, others, descriptions = _draw_classes(ax, read.epochs, values, marked)
        scale(ax)
        name_ends(ax, lines, names, len(marked.strong), height, missing)
        if ax is upper:
            handles, labels = handles + others, labels + descriptions
    if read.skipped:
        handles.append(_draw_skipped(upper, list(read.skipped)))
        labels.append(_reason(list(read.skipped.values())))
    heading(upper, f"Class {read.noun}s", handles, labels, columns=2 if len(labels) > 2 else 1)
    lower.set_title("Errors")
    lower.set_xlabel("\n".join(filter(None, ["epoch", marked.note])))
    return figure


def _draw_classes(
    ax: "Axes", epochs: np.ndarray, values: np.ndarray, marked: Marked
) -> tuple[list[Any], list[Any], list[str]]:
    """Draw all classes; return the lines of the named ones, and handles and labels of the others."""
    unnamed = np.ones(values.shape[1], dtype=bool)
    unnamed[marked.named] = False
    handles, labels = draw_others(ax, epochs, values[:, unnamed])
    if not set(marked.tail) <= set(marked.named):
        handles.append(draw_median(ax, epochs, values[:, marked.tail]))
        labels.append(f"median of the rarest third, {len(marked.tail):,} classes")
    grey = marked.named[len(marked.strong) :]
    lines = draw_marked(ax, epochs, values[:, marked.strong]) + draw_grey(ax, epochs, values[:, grey])
    return lines, handles, labels


def _draw_skipped(ax: "Axes", epochs: list[int]) -> Any:
    """Draw a cross at the lower edge for each epoch."""
    style: dict[str, Any] = {"color": ink(), "ls": "", "marker": "x", "markersize": 5, "zorder": 6}
    return ax.plot(epochs, [0.04] * len(epochs), transform=ax.get_xaxis_transform(), **style)[0]


def _reference(noun: str, first: np.ndarray) -> tuple[float, str]:
    """Return height and label of the reference line: the common starting weight or 1, or the equal share."""
    if noun == "share":
        return 1 / len(first), f"balanced, {1 / len(first):.3g}"
    known = first[np.isfinite(first)]
    if known.size and np.ptp(known) <= 1e-6 * known.max():
        return float(known[0]), f"starting weight {known[0]:.3g}"
    return 1.0, "weight 1"


def _reason(reasons: list[str]) -> str:
    """Return the label of the crosses: the most frequent reason and the number of others."""
    counted = Counter(reasons).most_common()
    more = "" if len(counted) == 1 else f" (and {len(counted) - 1} more)"
    return f"no update: {short_label(counted[0][0], 36)}{more}"
