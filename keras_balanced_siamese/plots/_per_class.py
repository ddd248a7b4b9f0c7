"""Bars of a figure for each class."""

import math
from typing import TYPE_CHECKING

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._text import short_names
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation import PairReport, figure_name
from keras_balanced_siamese.plots._reports import one_report
from keras_balanced_siamese.plots._style import COMMON, RARE, axes, ink
from keras_balanced_siamese.plots._text import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 1.3  # height of a line of text, in font sizes
SMALLEST = 4.0  # font size in points of names in small axes
LOW_IS_GOOD = ("error", "eer", "false_reject_rate", "false_accept_rate")


def plot_per_class(
    report: PairReport, figure: str = "error", ax: "Axes | None" = None, max_classes: int = 30
) -> "Axes":
    """Draw a figure of each class as a bar, with the rare classes marked.

    If the report has `class_counts`, the classes are sorted by their number of training samples, which is given after
    each name, and the tail has another colour, a star and a shaded band. Otherwise the worst class is on top, and the
    number of pairs is given after each name. Whiskers are intervals; for classes, the report has them with
    `evaluate_pairs(..., samples=...)`. The dashed line is the mean over all classes.

    Args:
        report: Report from `evaluate_pairs` with `classes`.
        figure: Name of a figure in `report.per_class`.
        ax: Axes to draw on. `None` creates a figure.
        max_classes: Maximum number of classes. If there are more, the worst are shown, and the title says so: most of
            them are then beyond the mean.

    Returns:
        The axes.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no classes, or `figure` is not one of their figures.

    Examples:
        >>> classes = [["a", "a"], ["a", "a"], ["b", "b"], ["a", "b"], ["b", "a"]]
        >>> report = evaluate_pairs([0.1, 0.3, 0.9, 0.8, 0.7], [1, 1, 1, 0, 0], classes=classes)
        >>> [float(bar.get_width()) for bar in plot_per_class(report, "false_reject_rate").patches]
        [1.0, 0.0]
    """
    shown = _choose(one_report(report), figure, whole("max_classes", max_classes, 1))
    ax = axes(ax, (7.0, max(3.4, 1.6 + 0.27 * len(shown))))
    tail = set(report.groups.get("tail", {}).get("classes", ()))
    values = [report.per_class[label][figure] for label in shown]
    places = range(len(shown))
    for place, label, value in zip(places, shown, values, strict=True):
        if label in tail:
            ax.axhspan(place - 0.5, place + 0.5, color=RARE, alpha=0.12, lw=0, zorder=0)
        if not math.isfinite(value):
            ax.annotate("not measurable", (0, place), (4, 0), textcoords="offset points", va="center", fontsize="small")
    bars = ax.barh(
        places,
        [value if math.isfinite(value) else 0.0 for value in values],
        height=0.72,
        color=[RARE if label in tail else COMMON for label in shown],
    )
    kinds = {"tail: the rarest third": True, "other classes": False} if tail else {}
    keys = {name: [k for k in places if (shown[k] in tail) is rare] for name, rare in kinds.items()}
    handles, labels = [bars[k[0]] for k in keys.values() if k], [name for name, k in keys.items() if k]
    whiskers = _whiskers(report, figure, shown)
    if whiskers:
        rows, lows, highs = zip(*whiskers, strict=True)
        handles.append(ax.hlines(rows, lows, highs, color=ink(), lw=1.2, zorder=3))
        ax.plot([lows, highs], [rows, rows], "|", color=ink(), ms=5, zorder=3)
        labels.append(f"{report.confidence:.0%} intervals")
    mean = report.macro.get(figure, math.nan)
    if math.isfinite(mean):
        handles.append(ax.axvline(mean, color=ink(), linestyle="--", lw=1.2, zorder=2))
        labels.append(f"mean of all {len(report.per_class):,}: {mean:.3f}")
    _name_rows(ax, report, shown, tail)
    ax.set_xlabel(figure_name(figure))
    worst = f"the {len(shown):,} worst" if all(map(math.isfinite, values)) else f"{len(shown):,}"
    choice = f"\n({worst} of {len(report.per_class):,})" if len(shown) < len(report.per_class) else ""
    heading(ax, f"{_capital(figure_name(figure))} by class{choice}", handles, labels)
    ax.margins(x=0.05)
    if min(ax.dataLim.xmin, 0.0) == 0:
        ax.set_xlim(0, ax.get_xlim()[1] if ax.dataLim.xmax > 0 else 0.1)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    return ax


def _choose(report: PairReport, figure: str, max_classes: int) -> list[Label]:
    """Return the classes to show, from top to bottom."""
    if not report.per_class:
        raise ValueError(
            "`report` must have classes: pass `classes`, shape (n, 2), to `evaluate_pairs`. "
            "Received: a report without classes"
        )
    first = next(iter(report.per_class.values()))
    known = [name for name in first if not name.startswith(("n_", "achieved_far_"))]
    if figure not in known:
        raise ValueError(f"`figure` must be one of {known}. Received: figure={figure!r}")
    sign = -1 if figure in LOW_IS_GOOD or figure.startswith("min_dcf_") else 1

    def from_worst(label: Label) -> tuple[bool, float]:
        value = report.per_class[label][figure]
        return not math.isfinite(value), sign * value

    shown = sorted(report.per_class, key=from_worst)[:max_classes]
    if report.class_counts:
        shown.sort(key=lambda label: -report.class_counts[label])
    return shown


def _whiskers(report: PairReport, figure: str, shown: list[Label]) -> list[tuple[int, float, float]]:
    """Return the row, lower and upper end of each known interval."""
    bounds = report.intervals.get("per_class", {})
    known = [(k, *bounds[label][figure]) for k, label in enumerate(shown) if figure in bounds.get(label, {})]
    return [one for one in known if math.isfinite(one[1]) and math.isfinite(one[2])]


def _name_rows(ax: "Axes", report: PairReport, shown: list[Label], tail: set[Label]) -> None:
    """Label the rows with the classes and their counts, the first class on top."""
    if report.class_counts:
        counts, unit = report.class_counts, "training samples"
    else:
        counts = {label: row["n_similar"] + row["n_different"] for label, row in report.per_class.items()}
        unit = "pairs"
    stars = [" *" if label in tail else "" for label in shown]
    names = short_names(shown)
    names = [f"{name}{star}  ({counts[label]:,})" for name, star, label in zip(names, stars, shown, strict=True)]
    ax.set_yticks(range(len(shown)), names, parse_math=False)
    row = 72 * ax.get_window_extent().height / ax.figure.figure.dpi / len(shown)  # height in points
    size = ax.get_yticklabels()[0].get_fontsize()
    ax.tick_params(axis="y", labelsize=min(size, max(row / LINE, SMALLEST)))
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_ylabel(f"class ({unit})")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
