"""Arrays -> images as matplotlib shows them."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.plots._text import short_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.06  # between the two images, in heights
COLUMNS = 4  # pairs in a row


class Advice(NamedTuple):
    """What those are told whose images are none."""

    numbers: str  # that they must be numbers
    shape: str  # which shape they must have
    flat: str  # how vectors become images
    channels_first: str  # how channels come last
    transparent: str  # how the fourth channel is left out


def as_image(image: Any, name: str, advice: Advice) -> np.ndarray:
    """Check one image, `(h, w)`, `(h, w, 1)` or `(h, w, 3)` of numbers; drop a single channel."""
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{advice.numbers}. Received: {name} of type {type(image).__name__}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or 0 in array.shape:
        cure = f"Flat vectors become images by {advice.flat}"
        if array.ndim == 3 and array.shape[0] in (1, 3):
            cure = f"Channels must come last: {advice.channels_first}"
        if array.ndim == 3 and array.shape[2] == 4:
            cure = f"Leave out the transparency: {advice.transparent}"
        raise ValueError(f"{advice.shape}. {cure}. Received: {name} of shape {np.shape(image)}")
    return array


def on_one_scale(images: list[np.ndarray]) -> list[np.ndarray]:
    """The images from 0 to 1, on the scale that fits all of them.

    Numbers from 0 to 1 stay as they are, and bytes are divided by 255. Others are stretched from the least to the
    greatest number, one of which may be 0. What is not finite is black.
    """
    finite = np.concatenate([[0.0], *(image[np.isfinite(image)].astype(np.float64) for image in images)])
    least, most = float(finite.min()), float(finite.max())
    if any(image.dtype == np.uint8 for image in images):
        most = max(most, 255.0)
    elif least == 0:
        most = max(most, 1.0)
    return [np.where(np.isfinite(image), (image - least) / (most - least), 0.0) for image in images]


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
    classes = " | ".join(short_label(label, 16) for label in sides)
    ax.set_title(f"{text}\n{classes}" if sides else text, fontsize="small", parse_math=False)
