"""Lines of classes over the epochs, and bands of many classes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese.plots._style import GREY, LINES, colour, ink, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_EPOCHS = 30  # up to this number, each epoch has a marker
FEW_LINES = 6  # up to this number, coloured lines are thick
MOST_LINES = 40  # lines of unnamed classes; more become bands


def draw_marked(ax: "Axes", epochs: np.ndarray, values: np.ndarray) -> list[Any]:
    """Draw coloured lines of the values `(T, C)`, thick if there are few."""
    n = values.shape[1]
    lines = []
    for k in range(n):
        style: dict[str, Any] = {"color": colour(k - 1), "ls": LINES[k // 6 % len(LINES)], "marker": marker(k)}
        few = n <= FEW_LINES
        marks = _marks(values[:, k], FEW_EPOCHS if few else 1)
        style.update({"lw": 2.0 if few else 1.3, "markersize": 4.5, "markevery": marks, "zorder": 4})
        lines += ax.plot(epochs, values[:, k], **style)
    return lines


def draw_grey(ax: "Axes", epochs: np.ndarray, values: np.ndarray) -> list[Any]:
    """Draw thin grey lines of the values `(T, C)`."""
    style: dict[str, Any] = {"color": GREY, "lw": 1.0, "marker": ".", "markersize": 4, "zorder": 2}
    return [ax.plot(epochs, one, markevery=_marks(one, FEW_EPOCHS), **style)[0] for one in values.T]


def draw_others(ax: "Axes", epochs: np.ndarray, values: np.ndarray) -> tuple[list[Any], list[str]]:
    """Draw the unnamed classes `(T, C)`: thin lines, or for many classes bands of 90 % and 50 % and their median."""
    n = values.shape[1]
    if n <= MOST_LINES:
        return draw_grey(ax, epochs, values)[:1], [f"{n:,} other class{'' if n == 1 else 'es'}"] if n else []
    lowest, low, middle, high, highest = quantiles(values, (0.05, 0.25, 0.5, 0.75, 0.95))
    wide = np.repeat(epochs.astype(np.float64), 2 if len(epochs) == 1 else 1)
    if len(epochs) == 1:  # gives the band a width
        wide += [-0.2, 0.2]
    handles: list[Any] = []
    for bottom, top, alpha in ((lowest, highest, 0.25), (low, high, 0.45)):
        handles.append(ax.fill_between(wide, bottom, top, color=GREY, alpha=alpha, lw=0, zorder=1))
    handles += draw_grey(ax, epochs, middle[:, None])
    return handles, [f"9 of 10 of the {n:,} other classes", "half of them", "their median"]


def draw_median(ax: "Axes", epochs: np.ndarray, values: np.ndarray) -> Any:
    """Draw a dashed line of the median over a group of classes `(T, C)`."""
    middle = quantiles(values, (0.5,))[0]
    style: dict[str, Any] = {"color": ink(), "ls": "--", "lw": 2.0, "marker": ".", "zorder": 5}
    return ax.plot(epochs, middle, markevery=_marks(middle, 1), **style)[0]


def quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Return quantiles `(len(shares), T)` over the known values of the classes `(T, C)`; NaN if none is known."""
    found = np.full((len(shares), len(values)), np.nan)
    for epoch, row in enumerate(values):
        known = row[np.isfinite(row)]
        if known.size:
            found[:, epoch] = np.quantile(known, shares)
    return found


def _marks(values: np.ndarray, few: int) -> list[int]:
    """Return the points to mark: all if they are few, otherwise those without a known neighbour."""
    known = np.isfinite(values)
    if len(known) <= few:
        return np.flatnonzero(known).tolist()
    beside = np.pad(known, 1)
    return np.flatnonzero(known & ~beside[:-2] & ~beside[2:]).tolist()
