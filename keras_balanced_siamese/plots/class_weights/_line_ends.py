"""Names at the ends of lines, without overlap."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese.plots._style import ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.16  # height of a name in inches


def name_ends(
    ax: "Axes", lines: Sequence[Any], names: Sequence[str], n_strong: int, height: float, missing: str
) -> None:
    """Write the names right of the axes, as near to the height of the last point of each line as they fit.

    Args:
        ax: Axes with their final limits and scale.
        lines: Lines of the axes.
        names: Names of the lines.
        n_strong: Number of names in bold, from the first.
        height: Height of the axes in inches.
        missing: Text after the name of a line without points.
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


def spread(targets: np.ndarray, gap: float) -> np.ndarray:
    """Return places at least `gap` apart, in the order of the targets and nearest to them in least squares.

    They lie within 0 and 1 if there is room for all.
    """
    order = np.argsort(targets, kind="stable")
    steps = gap * np.arange(len(targets))
    blocks: list[tuple[float, int]] = []  # mean and size of each merged block
    for value in targets[order] - steps:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (mean * size + before * count) / (size + count), size + count
        blocks.append((mean, size))
    means = np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])
    places = np.empty(len(targets))
    places[order] = np.clip(means, 0.0, max(1.0 - gap * (len(targets) - 1), 0.0)) + steps
    return places


def _last_point(line: Any) -> tuple[float, float] | None:
    x, y = (np.asarray(values, dtype=np.float64) for values in line.get_data())
    there = np.flatnonzero(np.isfinite(y))
    return (float(x[there[-1]]), float(y[there[-1]])) if there.size else None
