"""Reliability diagram of calibrated probabilities."""

from typing import TYPE_CHECKING

import numpy as np

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._reports import one_report
from keras_balanced_siamese.plots._style import BLUE, GREY, RED, axes
from keras_balanced_siamese.plots._text import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(report: PairReport, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of similar pairs over their predicted probability.

    On the diagonal, probabilities are calibrated; below it, they are too high. Each point is one bin of the report. Its
    area is proportional to the weight of the pairs in the bin.

    Args:
        report: Report from `evaluate_pairs` with the layer from `calibrate` as the threshold.
        ax: Axes to draw on. `None` creates a figure.

    Returns:
        The axes.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the report has no calibration.

    Examples:
        >>> layer = calibrate([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> report = evaluate_pairs([0.2, 0.4, 0.5, 0.9], [1, 1, 0, 0], threshold=layer)
        >>> plot_reliability(report).get_xlabel()
        'predicted probability'
    """
    calibration = one_report(report).calibration
    if not calibration:
        raise ValueError(
            "`report` must have a calibration: pass the layer from `calibrate` as `threshold=layer` to "
            f"`evaluate_pairs`. Received: a report with the threshold {report.threshold:.4g}"
        )
    ax = axes(ax, (5.4, 5.4))
    bins = calibration["bins"]
    predicted, observed, weight = (np.array(bins[name]) for name in ("probability", "similar", "weight"))
    diagonal = ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", lw=1.5, zorder=0)
    gap = ax.vlines(predicted, np.minimum(predicted, observed), np.maximum(predicted, observed), color=RED, lw=1.5)
    ax.plot(predicted, observed, color=BLUE, lw=1.5)
    points = ax.scatter(predicted, observed, s=600 * weight, color=BLUE, zorder=3, clip_on=False)
    ax.set(xlabel="predicted probability", ylabel="share of similar pairs", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    ax.grid(alpha=0.3)
    names = ["as predicted", f"{len(weight)} bins of {sum(bins['count']):,} pairs", "gap between them"]
    error, brier = calibration["expected_calibration_error"], calibration["brier"]
    title = f"Calibration error {error:.3f}, Brier\N{NO-BREAK SPACE}{brier:.3f}"
    heading(ax, title, [*diagonal, points, gap], names)
    return ax
