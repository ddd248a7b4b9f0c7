"""Reports to draw: checks of the argument, and a trade-off line for each of several."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese._text import short_names
from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._style import colour, ink, line
from keras_balanced_siamese.plots._text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OnScale = Callable[[np.ndarray, np.ndarray], np.ndarray]  # whether the axes can show these rates
DOTS = (0, (1, 1.5))
Place = Callable[[np.ndarray, np.ndarray], Any]  # false accept and false reject rates to x and y


def one_report(report: Any) -> PairReport:
    """Check and return a single report."""
    if not isinstance(report, PairReport):
        raise TypeError(f"`report` must be a `PairReport` from `evaluate_pairs`. Received: {type(report).__name__}")
    return report


def named_reports(report: Any) -> dict[str, PairReport]:
    """Check and return reports by name; a single report has the name ""."""
    if isinstance(report, PairReport):
        return {"": report}
    if isinstance(report, Mapping) and report and all(isinstance(one, PairReport) for one in report.values()):
        return {str(name): one for name, one in report.items()}
    received = f"a mapping to {[type(v).__name__ for v in report.values()]}" if isinstance(report, Mapping) else ""
    raise TypeError(
        "`report` must be a `PairReport` from `evaluate_pairs`, or a mapping of names to reports. "
        f"Received: {received or type(report).__name__}"
    )


def draw_tradeoffs(
    ax: "Axes", reports: Mapping[str, PairReport], place: Place, on_scale: OnScale, drawstyle: str = "default"
) -> tuple[list[Any], list[str]]:
    """Draw each line, its equal error rate and its threshold, if given; return the handles and labels of a legend.

    Lines are thin and dotted where they lead to a rate that the scale cannot show.
    """
    handles, labels, marks = [], [], {}
    for k, (name, report) in enumerate(zip(short_names(reports), reports.values(), strict=True)):
        far, frr = np.array(report.curve["far"]), np.array(report.curve["frr"])
        x, y = place(far, frr)
        known = on_scale(far, frr)
        style: dict[str, Any] = {"color": colour(k), "drawstyle": drawstyle}
        handles += ax.plot(np.where(known, x, np.nan), np.where(known, y, np.nan), linestyle=line(k), lw=2, **style)
        if not known.all():
            marks["rate of 0, off the scale"] = ax.plot(x, y, linestyle=DOTS, lw=1.3, zorder=1.5, **style)[0]
        area, equal = f"AUC {report.roc_auc:.3f}", f"equal error rate {percent(report.eer)}"
        labels.append(f"{name}: {area}, EER {percent(report.eer)}" if name else area)
        point = _mark(ax, place, report.eer, report.eer, marker="o", color=colour(k))
        if not name:
            handles.append(point)
            labels.append(equal)
        if report.threshold_given:
            far, frr = report.micro["false_accept_rate"], report.micro["false_reject_rate"]
            point = _mark(ax, place, far, frr, marker="D", markerfacecolor="none", markeredgewidth=1.5)
            marks["threshold" if name else f"threshold {report.threshold:.4g}"] = point
    return handles + list(marks.values()), labels + list(marks)


def _mark(ax: "Axes", place: Place, far: float, frr: float, **style: Any) -> Any:
    """Draw one point, not clipped at the edge."""
    x, y = place(np.array([far]), np.array([frr]))
    return ax.plot(x, y, linestyle="", markersize=8, markeredgecolor=ink(), zorder=3, clip_on=False, **style)[0]
