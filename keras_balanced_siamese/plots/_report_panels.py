"""Panels of the report page: the table of figures and the bars of groups."""

import math
from typing import TYPE_CHECKING, Any

from keras_balanced_siamese.evaluation import PairReport, accepted, figure_name, unmeasurable
from keras_balanced_siamese.plots._style import COMMON, GREY, RARE, ink, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HIDDEN = ("error", "achieved_far_", "min_dcf_")
ROOM = 16  # rows that fit at the font size of the page
GAP = 0.4  # rows between header, figures and notes


def draw_figures(ax: "Axes", report: PairReport) -> None:
    """Draw a table with a row for each figure, a column for all pairs and one for the mean over classes, and notes."""
    ax.set_axis_off()
    ax.set_title("Figures")
    columns = [("all pairs", report.micro, report.intervals.get("micro", {}))]
    if report.macro:
        columns.append(("mean over classes", report.macro, report.intervals.get("macro", {})))
    ends = (0.655, 1.0) if len(columns) == 2 else (0.75,)
    names = [name for name in report.micro if not name.startswith(HIDDEN)]
    notes = _notes(report)
    n_rows = 1 + GAP + len(names) + GAP + len(notes)
    style: Any = {"va": "center", "fontsize": pyplot().rcParams["font.size"] * min(0.95, ROOM / n_rows)}

    def write(row: float, cells: list[str], **kwargs: Any) -> None:
        ax.text(0, 1 - (row + 0.5) / n_rows, cells[0], **style)
        for end, cell in zip(reversed(ends), reversed(cells[1:]), strict=False):  # a single cell is rightmost
            ax.text(end, 1 - (row + 0.5) / n_rows, cell, ha="right", **style, **kwargs)

    write(0, ["", *(name for name, _, _ in columns)], fontweight="bold")
    for row, name in enumerate(names):
        cells = [_cell(values, name, bounds) for _, values, bounds in columns]
        if unmeasurable(name, report.micro[name]):
            cells = [f"not measurable with {report.n_different:,} different pairs"]
        write(1 + GAP + row, [figure_name(name), *cells])
    for row, note in enumerate(notes):
        write(n_rows - len(notes) + row, [note])
    for text in ax.texts:
        text.set_in_layout(False)  # the layout does not make room for the table
    ax.axhline(1 - (1 + GAP / 2) / n_rows, color=GREY, lw=0.8)
    ax.set(xlim=(0, 1), ylim=(0, 1))


def _notes(report: PairReport) -> list[str]:
    notes = [f"{accepted(report)}{' (given)' if report.threshold_given else ','}"]
    notes += [] if report.threshold_given else ["where the error rates of these pairs are equal"]
    if report.resampled:
        notes.append(f"[{report.confidence:.0%} intervals]: other {report.resampled} of the same kind")
    return notes


def _cell(values: dict[str, float], name: str, bounds: dict[str, tuple[float, float]]) -> str:
    value, (low, high) = values.get(name, math.nan), bounds.get(name, (math.nan, math.nan))
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")


def draw_groups(report: PairReport, ax: "Axes") -> None:
    """Draw the mean error of each group as a bar, with its interval if the report has one."""
    bounds = report.intervals.get("groups", {})
    names = list(report.groups)
    errors = [report.groups[name]["error"] for name in names]
    ax.bar(range(len(names)), errors, width=0.62, color=[RARE if name == "tail" else COMMON for name in names])
    for k, name in enumerate(names):
        low, high = bounds.get(name, {}).get("error", (math.nan, math.nan))
        ax.vlines(k, low, high, color=ink(), lw=1.2)
        ax.plot([k, k], [low, high], "_", color=ink(), ms=8)
    texts = [
        f"{name}{' *' if name == 'tail' else ''}\n{f'{error:.3f}' if math.isfinite(error) else '-'}"
        for name, error in zip(names, errors, strict=True)
    ]
    sizes = [len(report.groups[name]["classes"]) for name in names]
    labels = [f"{text}\n{n:,} class{'' if n == 1 else 'es'}" for text, n in zip(texts, sizes, strict=True)]
    ax.set_xticks(range(len(names)), labels)
    ax.set(title="Error of common and rare classes", ylabel="mean error")
    ax.set_ylim(bottom=0)
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
