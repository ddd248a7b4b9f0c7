"""Reports -> a line each for the trade between false accepts and false rejects, with its points of interest."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._style import colour, ink, line
from keras_balanced_siamese.plots._text import percent, short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = Callable[[np.ndarray, np.ndarray], Any]  # false accept and false reject rates -> x and y


def draw_tradeoffs(
    ax: "Axes", reports: Mapping[str, PairReport], place: Place, drawstyle: str = "default"
) -> tuple[list[Any], list[str]]:
    """Draw each line, its equal error rate and the threshold, if one was given; return handles and labels."""
    handles, labels, thresholds = [], [], []
    for k, (name, report) in enumerate(zip(short_names(reports), reports.values(), strict=True)):
        far, frr = np.array(report.curve["far"]), np.array(report.curve["frr"])
        handles += ax.plot(*place(far, frr), color=colour(k), linestyle=line(k), lw=2, drawstyle=drawstyle)
        area, equal = f"AUC {report.roc_auc:.3f}", f"equal error rate {percent(report.eer)}"
        labels.append(f"{name}: {area}, EER {percent(report.eer)}" if name else area)
        point = _mark(ax, place, report.eer, report.eer, marker="o", color=colour(k))
        if not name:
            handles.append(point)
            labels.append(equal)
        if report.threshold_given:
            far, frr = report.micro["false_accept_rate"], report.micro["false_reject_rate"]
            point = _mark(ax, place, far, frr, marker="D", markerfacecolor="none", markeredgewidth=1.5)
            thresholds = [(point, "threshold" if name else f"threshold {report.threshold:.4g}")]
    return handles + [point for point, _ in thresholds], labels + [text for _, text in thresholds]


def _mark(ax: "Axes", place: Place, far: float, frr: float, **style: Any) -> Any:
    """One point, whole where it lies on the edge."""
    x, y = place(np.array([far]), np.array([frr]))
    return ax.plot(x, y, linestyle="", markersize=8, markeredgecolor=ink(), zorder=3, clip_on=False, **style)[0]
