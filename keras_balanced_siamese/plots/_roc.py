"""ROC curve: true accept rate over false accept rate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese.evaluation import PairReport, tar_name
from keras_balanced_siamese.plots._reports import draw_tradeoffs, named_reports
from keras_balanced_siamese.plots._style import GREY, axes, ink
from keras_balanced_siamese.plots._text import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_roc(report: PairReport | Mapping[str, PairReport], ax: "Axes | None" = None, *, log: bool = False) -> "Axes":
    """Draw the true accept rate over the false accept rate, and mark the equal error rate.

    A threshold that was given to the report is marked too. For a single report, the intervals of its true accept rates
    are drawn if it has them.

    Args:
        report: Report from `evaluate_pairs`, or a mapping of names to reports to compare.
        ax: Axes to draw on. `None` creates a figure.
        log: Whether the axis of the false accept rate is logarithmic, for uses in which a false accept is costly. The
            line then has steps: at each false accept rate, it gives the true accept rate reached within it. It is
            dotted below the smallest false accept rate that the pairs can measure.

    Returns:
        The axes.

    Raises:
        ImportError: If matplotlib is not installed.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> ax = plot_roc({"first": report, "the same": report}, log=True)
        >>> ax.get_ylabel()
        'true accept rate'
    """
    reports = named_reports(report)
    ax = axes(ax, (6.4, 4.8 + 0.2 * len(reports)) if log else (5.4, 5.6 + 0.2 * len(reports)))
    # a logarithmic axis has no 0: a false accept rate of 0 is drawn at the edge
    left = min(_smallest(reports) / 2, 0.01) if log else -0.02

    def place(far: np.ndarray, frr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.maximum(far, left), 1 - frr

    def on_scale(far: np.ndarray, _frr: np.ndarray) -> np.ndarray:
        return (far > 0) | (not log)

    handles, labels = draw_tradeoffs(ax, reports, place, on_scale, drawstyle="steps-post" if log else "default")
    if "" in reports:
        _draw_intervals(ax, reports[""], handles, labels)
    chance = np.geomspace(min(abs(left), 1e-3), 1, 200)
    handles += ax.plot(chance, chance, color=GREY, linestyle=":", lw=1.5, zorder=0)
    labels.append("chance")
    ax.set(xlabel="false accept rate", ylabel="true accept rate", ylim=(-0.02, 1.03))
    if log:
        ax.set(xscale="log", xlim=(left, 1.15))
    else:
        ax.set_xlim(left, 1.02)
    ax.grid(alpha=0.3)
    heading(ax, "ROC", handles, labels, columns=1 if len(reports) > 1 else 2)
    return ax


def _draw_intervals(ax: "Axes", report: PairReport, handles: list[Any], labels: list[str]) -> None:
    """Draw vertical lines at the false accept rates whose true accept rate has an interval."""
    bounds = report.intervals.get("micro", {})
    known = [(far, *bounds[tar_name(far)]) for far in report.tar_at_far if tar_name(far) in bounds]
    if known:
        far, low, high = zip(*known, strict=True)
        handles.append(ax.vlines(far, low, high, color=ink(), lw=1.5))
        ax.plot([far, far], [low, high], "_", color=ink(), ms=7)
        labels.append(f"{report.confidence:.0%} intervals")


def _smallest(reports: Mapping[str, PairReport]) -> float:
    """Return the smallest false accept rate above 0."""
    return min((far for one in reports.values() for far in one.curve["far"] if far > 0), default=1e-3)
