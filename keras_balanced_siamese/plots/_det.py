"""Detection error trade-off: false rejects over false accepts on normal deviate axes."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._reports import draw_tradeoffs, named_reports
from keras_balanced_siamese.plots._style import GREY, axes
from keras_balanced_siamese.plots._text import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# candidate tick rates, the most important first
TICKS = (
    0.01,
    0.1,
    0.001,
    0.4,
    0.0001,
    0.00001,
    0.000001,
    0.9,
    0.6,
    0.99,
    0.2,
    0.05,
    0.02,
    0.005,
    0.002,
    0.8,
    0.95,
    0.98,
)
TOP = 0.99  # larger rates are clipped to this one
MARGIN = 0.08  # standard deviations around the curve


def plot_det(report: PairReport | Mapping[str, PairReport], ax: "Axes | None" = None) -> "Axes":
    """Draw the false reject rate over the false accept rate: the detection error trade-off.

    Both axes are normal deviates (probits). Normally distributed distances give a straight line, and small rates are
    spread out. On the diagonal both rates are equal. A rate of 0, whose probit is infinite, is drawn at the edge: the
    line is dotted from there to the smallest rate that the pairs can measure.

    Args:
        report: Report from `evaluate_pairs`, or a mapping of names to reports to compare.
        ax: Axes to draw on. `None` creates a figure.

    Returns:
        The axes. Their coordinates are `statistics.NormalDist().inv_cdf(rate)`.

    Raises:
        ImportError: If matplotlib is not installed.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> [tick.get_text() for tick in plot_det(report).get_xticklabels()]
        ['1', '10', '40', '90', '99']

    References:
        Martin, Doddington et al., "The DET Curve in Assessment of Detection Task Performance", Eurospeech 1997.
    """
    reports = named_reports(report)
    ax = axes(ax, (5.4, 5.4 + 0.2 * len(reports)))
    high = 0.6 if max(map(_highest_mark, reports.values())) <= 0.5 else TOP
    lows = [_low_end(reports, *names, high) for names in (("far", "frr"), ("frr", "far"))]

    def place(far: np.ndarray, frr: np.ndarray) -> list[np.ndarray]:
        return [probit(np.clip(rates, low, TOP)) for rates, low in zip((far, frr), lows, strict=True)]

    def on_scale(far: np.ndarray, frr: np.ndarray) -> np.ndarray:
        return (far > 0) & (frr > 0)

    handles, labels = draw_tradeoffs(ax, reports, place, on_scale)
    ends = probit(np.array([min(lows), high]))
    ax.plot(ends, ends, color=GREY, linestyle=":", lw=1.5, zorder=0)
    for axis, low in zip((ax.xaxis, ax.yaxis), lows, strict=True):
        ticks = _spread_ticks(low, high)
        axis.set_ticks(probit(ticks), [f"{100 * tick:g}" for tick in ticks])
    ends = probit(np.array([*lows, high])) + MARGIN * np.array([-1, -1, 1])
    ax.set_xlim(float(ends[0]), float(ends[2]))
    ax.set_ylim(float(ends[1]), float(ends[2]))
    ax.set(xlabel="false accept rate (%)", ylabel="false reject rate (%)")
    ax.set_aspect("equal")  # the diagonal is at 45 degrees
    ax.grid(alpha=0.3)
    heading(ax, "DET", handles, labels, columns=1 if len(reports) > 1 else 2)
    return ax


def probit(rate: np.ndarray | float) -> np.ndarray:
    """Return the normal deviate of rates strictly between 0 and 1."""
    return np.vectorize(NormalDist().inv_cdf, otypes=[float])(rate)


def _highest_mark(report: PairReport) -> float:
    """Return the largest rate to show: twice the equal error rate, or the larger rate at a given threshold."""
    at_threshold = max(report.micro["false_accept_rate"], report.micro["false_reject_rate"])
    return max(2 * report.eer, at_threshold if report.threshold_given else 0.0)


def _low_end(reports: Mapping[str, PairReport], name: str, other: str, high: float) -> float:
    """Return the largest tick below all positive rates at which the other rate is at most `high`."""
    curves = (one.curve for one in reports.values())
    rates = [rate for c in curves for rate, rival in zip(c[name], c[other], strict=True) if rate > 0 and rival <= high]
    bound = max(min(rates, default=1.0), 2e-6)
    return max(tick for tick in TICKS if tick < bound and tick <= (0.2 if high < TOP else 1 - TOP + 1e-9))


def _spread_ticks(low: float, high: float) -> np.ndarray:
    """Return ticks from `low` to `high`, far enough apart for their labels."""
    chosen = [low, high]
    room = (probit(high) - probit(low)) / 9
    for tick in TICKS:
        if low < tick < high and all(abs(probit(tick) - probit(other)) >= room for other in chosen):
            chosen.append(tick)
    return np.array(sorted(chosen))
