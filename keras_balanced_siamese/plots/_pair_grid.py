"""Two images side by side, and many such pairs in a grid."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.plots._text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4  # pairs in a row
GAP = 0.06  # between the two images, in heights


def pair_axes(figure: Any, count: int, columns: int = COLUMNS) -> list["Axes"]:
    """Axes for `count` pairs in a figure or subfigure, row after row."""
    grid = figure.add_gridspec(max(-(-count // columns), 1), columns)
    return [figure.add_subplot(grid[divmod(k, columns)]) for k in range(count)]


def draw_pair(ax: "Axes", left: np.ndarray, right: np.ndarray, colour: str, line: Any = "-") -> None:
    """Two images side by side, equally high, in a frame."""
    widths = [image.shape[1] / image.shape[0] for image in (left, right)]
    starts = [0.0, widths[0] + GAP]
    for image, start, width in zip((left, right), starts, widths, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(start, start + width, 0.0, 1.0))
    ax.set(xlim=(0.0, starts[1] + widths[1]), ylim=(0.0, 1.0), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=2, linestyle=line)


def caption(ax: "Axes", text: str, sides: tuple[Label, ...] = ()) -> None:
    """What is known of a pair, above it, and in a second line the classes of its sides, as they are written."""
    classes = " | ".join(short(label, 16) for label in sides)
    ax.set_title(f"{text}\n{classes}" if sides else text, fontsize="small", parse_math=False)
