"""A report -> the error of common, medium and rare classes."""

import math
from typing import TYPE_CHECKING

from keras_balanced_siamese.evaluation import PairReport
from keras_balanced_siamese.plots._axes import ink
from keras_balanced_siamese.plots._palette import COMMON, RARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_groups(report: PairReport, ax: "Axes") -> None:
    """Bars of the mean error of each group, with its interval where the report has one."""
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
