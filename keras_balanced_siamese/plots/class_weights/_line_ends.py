"""Lines -> their names beside their last points, none on top of another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese.plots._style import ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.16  # inches that a name takes


def name_ends(
    ax: "Axes", lines: Sequence[Any], names: Sequence[str], n_strong: int, height: float, missing: str
) -> None:
    """Write the names to the right of the axes, at the height of the last point of each line, as near as they fit.

    Args:
        ax: Axes with their final limits and scale.
        lines: Lines of the axes; of one without any point the name says so.
        names: Their names.
        n_strong: How many, from the first on, are written in bold.
        height: Inches that the axes are high.
        missing: What is said of a line without any point.
    """
    ends = [_last_point(line) for line in lines]
    to_axes = ax.transData - ax.transAxes
    places = np.array([to_axes.transform(end)[1] if end else 0.0 for end in ends])
    for k, place in enumerate(spread(places, ROW / height)):
        text = names[k] if ends[k] is not None else f"{names[k]}: {missing}"
        leader: dict[str, Any] = {
            "arrowstyle": "-",
            "color": lines[k].get_color(),
            "lw": 0.8,
            "relpos": (0.0, 0.5),
            "shrinkA": 1,
            "shrinkB": 2,
        }
        ax.annotate(
            text,
            ends[k] or (1.0, place),
            xycoords="data" if ends[k] else "axes fraction",
            xytext=(1.06, place),
            textcoords="axes fraction",
            va="center",
            fontsize="small",
            fontweight="bold" if k < n_strong else "normal",
            color=ink(),
            alpha=1.0 if k < n_strong else 0.65,
            arrowprops=leader if ends[k] else None,
            annotation_clip=False,
            parse_math=False,
        )


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """Places at least `gap` apart, in the order of the wanted ones and as near to them as the least squares allow.

    They stay within 0 and 1 as long as there is room for all.
    """
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    blocks: list[tuple[float, int]] = []  # mean and size of what is pushed together
    for value in wanted[order] - steps:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (mean * size + before * count) / (size + count), size + count
        blocks.append((mean, size))
    means = np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])
    places = np.empty(len(wanted))
    places[order] = np.clip(means, 0.0, max(1.0 - gap * (len(wanted) - 1), 0.0)) + steps
    return places


def _last_point(line: Any) -> tuple[float, float] | None:
    x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data())
    there = np.flatnonzero(np.isfinite(y))
    return (float(x[there[-1]]), float(y[there[-1]])) if there.size else None
