"""Images of pairs: checks, a common scale, axes and captions."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short_label
from keras_balanced_siamese._typing import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.06  # between the two images, as a fraction of their height
COLUMNS = 4  # pairs in a row


class Advice(NamedTuple):
    """Parts of the error messages about invalid images."""

    numbers: str  # the expected type
    shape: str  # the expected shape
    flat: str  # the cure for flat vectors
    channels_first: str  # the cure for channels in front
    transparent: str  # the cure for a fourth channel


def as_image(image: Any, name: str, advice: Advice) -> np.ndarray:
    """Check a numeric image, `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, and drop a single channel."""
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
    """Scale the images to 0 to 1, all by the same minimum and maximum.

    Values from 0 to 1 are unchanged, and bytes are divided by 255. Other values are scaled from `min(0, minimum)` to
    `max(0, maximum)`. Values that are not finite become black.
    """
    finite = np.concatenate([[0.0], *(image[np.isfinite(image)].astype(np.float64) for image in images)])
    least, most = float(finite.min()), float(finite.max())
    if any(image.dtype == np.uint8 for image in images):
        most = max(most, 255.0)
    elif least == 0:
        most = max(most, 1.0)
    return [np.where(np.isfinite(image), (image - least) / (most - least), 0.0) for image in images]


def pair_axes(figure: Any, count: int, columns: int = COLUMNS) -> list["Axes"]:
    """Add axes for `count` pairs to a figure or subfigure, row by row."""
    grid = figure.add_gridspec(max(-(-count // columns), 1), columns)
    return [figure.add_subplot(grid[divmod(k, columns)]) for k in range(count)]


def draw_pair(ax: "Axes", left: np.ndarray, right: np.ndarray, colour: str, line: Any = "-") -> None:
    """Draw two images side by side, of equal height, in a frame."""
    widths = [image.shape[1] / image.shape[0] for image in (left, right)]
    starts = [0.0, widths[0] + GAP]
    for image, start, width in zip((left, right), starts, widths, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(start, start + width, 0.0, 1.0))
    ax.set(xlim=(0.0, starts[1] + widths[1]), ylim=(0.0, 1.0), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=2, linestyle=line)


def caption(ax: "Axes", text: str, sides: tuple[Label, ...] = ()) -> None:
    """Write a text above a pair and, in a second line, the classes of its sides; `$` is not parsed as math."""
    classes = " | ".join(short_label(label, 16) for label in sides)
    ax.set_title(f"{text}\n{classes}" if sides else text, fontsize="small", parse_math=False)
