"""Histograms of the distances of similar and different pairs."""

import math
from typing import TYPE_CHECKING

import numpy as np

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._reports import one_report
from keras_balanced_siamese.plots._style import DIFFERENT, SIMILAR, axes, ink
from keras_balanced_siamese.plots._text import heading, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_distances(report: PairReport, ax: "Axes | None" = None) -> "Axes":
    """Draw histograms of the distances of similar and different pairs, the threshold and the errors.

    Each histogram shows shares of its own kind of pairs, so a rare kind remains visible. Similar pairs above the
    threshold (false rejects) and different pairs below it (false accepts) are hatched. Infinite distances, and
    distances far from all others, are left out. The label of the axis gives their shares on each side.

    Args:
        report: Report from `evaluate_pairs`.
        ax: Axes to draw on. `None` creates a figure.

    Returns:
        The axes.

    Raises:
        ImportError: If matplotlib is not installed.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> plot_distances(report).get_xlabel()
        'distance'
    """
    report = one_report(report)
    ax = axes(ax)
    handles, labels = [], []
    kinds = (
        ("similar", report.n_similar, SIMILAR, "false rejects", "false_reject_rate"),
        ("different", report.n_different, DIFFERENT, "false accepts", "false_accept_rate"),
    )
    for name, n, colour, error, rate in kinds:
        if report.histogram:
            edges, share = np.array(report.histogram["edges"]), np.array(report.histogram[name])
            handles.append(ax.stairs(share, edges, fill=True, facecolor=colour, alpha=0.45))
            ax.stairs(share, edges, color=colour, linewidth=1.5)
            labels.append(f"{name}: {n:,} pairs")
            edges, share = _wrong_side(edges, share, report.threshold, above=name == "similar")
            handles.append(ax.stairs(share, edges, fill=True, facecolor="none", edgecolor=colour, hatch="/////", lw=0))
            labels.append(f"{error}: {percent(report.micro[rate])}")
    if math.isfinite(report.threshold):
        handles.append(ax.axvline(report.threshold, color=ink(), linestyle="--", linewidth=1.5))
        labels.append(f"threshold {report.threshold:.4g}" + ("" if report.threshold_given else " (equal error rate)"))
    if not report.histogram:
        ax.text(0.5, 0.5, "no finite distance", transform=ax.transAxes, ha="center", va="center")
    ax.set(xlabel=_x_label(report), ylabel="share of the pairs of its kind")
    ax.set_ylim(bottom=0)
    order = [0, 2, 4, 1, 3] if len(handles) == 5 else range(len(handles))  # by columns of the legend
    heading(ax, "Distances", [handles[k] for k in order], [labels[k] for k in order])
    return ax


def _wrong_side(
    edges: np.ndarray, share: np.ndarray, threshold: float, *, above: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges and shares of the bins, cut to the part above or below the threshold."""
    threshold = np.clip(threshold, edges[0], edges[-1])
    cut = np.maximum(edges, threshold) if above else np.minimum(edges, threshold)
    return cut, np.where(np.diff(cut) > 0, share, 0.0)


def _x_label(report: PairReport) -> str:
    """Return the axis label, with the shares of pairs outside the histogram."""
    lines = ["distance"]
    for side, place in (("below", "farther left"), ("above", "farther right")):
        shares = report.histogram.get(side, {})
        parts = [f"{percent(share)} of the {name}" for name, share in shares.items() if share > 0]
        if parts:
            lines.append(f"{place}: " + ",\n".join(parts) + " pairs")
    return "\n".join(lines)
