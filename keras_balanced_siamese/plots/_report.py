"""One-page summary of a report."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._det import plot_det
from keras_balanced_siamese.plots._distances import plot_distances
from keras_balanced_siamese.plots._per_class import plot_per_class
from keras_balanced_siamese.plots._reliability import plot_reliability
from keras_balanced_siamese.plots._report_panels import draw_figures, draw_groups
from keras_balanced_siamese.plots._reports import one_report
from keras_balanced_siamese.plots._roc import plot_roc
from keras_balanced_siamese.plots._style import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panel = tuple[float, Callable[["Axes"], Any]]  # relative width and drawing function

A4 = (11.69, 8.27)  # inches
ROWS = 14  # classes that fit on the page
SIZES = {"font.size": 8, "axes.titlesize": 9.5, "xtick.labelsize": 8, "ytick.labelsize": 8}


def plot_report(report: PairReport, *, title: str | None = None) -> "Figure":
    """Draw a one-page summary (A4 landscape): figures, distances, error trade-off, classes, groups and calibration.

    Classes, groups, intervals and calibration are left out if the report does not have them. With more than 14 classes,
    the worst are shown.

    Args:
        report: Report from `evaluate_pairs`.
        title: Title of the page. `None` gives the numbers of pairs and classes.

    Returns:
        The figure. Save it with `figure.savefig("report.pdf")`.

    Raises:
        ImportError: If matplotlib is not installed.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> [ax.get_title() for ax in plot_report(report).axes]
        ['Figures', 'Distances', 'ROC', 'DET']
    """
    report = one_report(report)
    plt = pyplot()
    with plt.rc_context(SIZES):
        figure = plt.figure(figsize=A4, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        figure.suptitle(title or _title(report), fontsize=13, fontweight="bold", parse_math=False)
        rows = figure.add_gridspec(2, 1, height_ratios=(1, 1.05))
        for place, panels in zip(rows, _panels(report), strict=True):
            grid = place.subgridspec(1, len(panels), width_ratios=[width for width, _ in panels])
            for k, (_, draw) in enumerate(panels):
                draw(figure.add_subplot(grid[k]))
        for ax in figure.axes:
            ax.tick_params(labelsize=SIZES["xtick.labelsize"])  # for ticks that are created while drawing
    return figure


def _panels(report: PairReport) -> tuple[list[Panel], list[Panel]]:
    """Return the panels of the upper and the lower row."""
    roc: Panel = (1.0, lambda ax: plot_roc(report, ax, log=True))
    upper: list[Panel] = [(1.3, lambda ax: draw_figures(ax, report)), (1.0, lambda ax: plot_distances(report, ax))]
    lower: list[Panel] = []
    if report.per_class:
        upper.append(roc)
        lower.append((1.25, lambda ax: plot_per_class(report, ax=ax, max_classes=ROWS)))
    else:
        lower.append(roc)
    if report.groups:
        lower.append((0.9, lambda ax: draw_groups(report, ax)))
    if report.calibration:
        lower.append((1.0, lambda ax: plot_reliability(report, ax)))
    if len(lower) < 3:
        lower.append((1.0, lambda ax: plot_det(report, ax)))
    return upper, lower


def _title(report: PairReport) -> str:
    classes = f" of {len(report.per_class):,} classes" if report.per_class else ""
    return f"{report.n_similar:,} similar and {report.n_different:,} different pairs{classes}"
