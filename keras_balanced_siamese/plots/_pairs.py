"""Images of the pairs in a batch."""

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese.loading import map_parts
from keras_balanced_siamese.plots._images import COLUMNS, Advice, as_image, caption, draw_pair, on_one_scale, pair_axes
from keras_balanced_siamese.plots._style import DIFFERENT, SIMILAR, pyplot
from keras_balanced_siamese.sampling import BalancedPairSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHED = (0, (4, 3))  # distinct from a solid line in small pictures too
ADVICE = Advice(
    "A side of a pair must hold numbers: load files by the `transform` of the sequence, or pass `image`, a function "
    "that maps one side of a pair to an image",
    "A side of a pair, or the result of `image`, must have the shape (height, width), (height, width, 1) or "
    "(height, width, 3)",
    "`image=lambda sample: sample.reshape(height, width)`",
    "`image=lambda sample: np.moveaxis(sample, 0, -1)`",
    "`image=lambda sample: sample[..., :3]`",
)


def plot_pairs(
    pairs: BalancedPairSequence, index: int = 0, *, n: int = 8, image: Callable[[Any], Any] | None = None
) -> "Figure":
    """Show the first pairs of a batch as the model receives them.

    Use it before training to check the labels and the transforms. The title of each pair gives "similar" or
    "different", the sample weight, and the classes of the left and the right side. Similar pairs have a solid blue
    frame, different pairs a dashed orange one.

    Args:
        pairs: The sequence. It is not changed: the plot does not count as a batch of the epoch.
        index: Index of the batch in the current epoch of the sequence.
        n: Number of pairs to show; fewer if the batch is smaller.
        image: Function that maps one side of a pair (an array, or a tuple or dict of arrays) to an image. `None` if a
            side is an image: `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, bytes or floats.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        IndexError: If the epoch has no batch `index`.
        TypeError: If `pairs` is not a `BalancedPairSequence`, `image` is not callable, or an image is not numeric.
        ValueError: If an image has a wrong shape, or a side has several inputs and `image` is `None`.

    Examples:
        >>> x = np.zeros((6, 64))  # flat images
        >>> pairs = BalancedPairSequence(x, [0, 0, 0, 1, 1, 1], batch_size=4, seed=0)
        >>> figure = plot_pairs(pairs, n=2, image=lambda sample: sample.reshape(8, 8))
        >>> [ax.get_title().splitlines()[0] for ax in figure.axes]
        ['similar, weight 1', 'different, weight 1']
    """
    if not isinstance(pairs, BalancedPairSequence):
        raise TypeError(f"`pairs` must be a `BalancedPairSequence`. Received: pairs of type {type(pairs).__name__}")
    if image is not None and not callable(image):
        raise TypeError(f"`image` must be a function of one side of a pair, or None. Received: image={image!r}")
    n, plt = whole("n", n, 1), pyplot()
    pairs = copy.copy(pairs)  # reading a batch counts it for the copy only
    (left, right), labels, weights = pairs[index]
    n = min(n, len(weights))
    images = on_one_scale(
        [_image(side, k, name, image) for k in range(n) for side, name in ((left, "left"), (right, "right"))]
    )
    codes = pairs.labels[np.stack(pairs.indices(index)[:2], axis=1)]
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    figure = plt.figure(figsize=(max(2.4 * columns, 4.8), 0.5 + (2.6 if n == 1 else 1.6) * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)  # keeps frames apart in small pictures too
    figure.suptitle(f"Epoch {pairs.epoch}, batch {index % len(pairs)}: {n} of {len(weights)} pairs", fontweight="bold")
    for k, ax in enumerate(pair_axes(figure, n, columns)):
        name, colour, line = ("similar", SIMILAR, "-") if labels[k, 0] else ("different", DIFFERENT, DASHED)
        draw_pair(ax, images[2 * k], images[2 * k + 1], colour, line)
        caption(ax, f"{name}, weight {weights[k]:.3g}", tuple(pairs.classes[code] for code in codes[k]))
    return figure


def _image(side: Any, k: int, name: str, image: Callable[[Any], Any] | None) -> np.ndarray:
    """Return the image of one side of pair `k`."""
    if image is None and isinstance(side, (Mapping, tuple)):
        keys = list(side) if isinstance(side, Mapping) else list(range(len(side)))
        likely = next((key for key in keys if np.ndim(side[key]) > 2), keys[0])
        raise ValueError(
            f"`image` must select the image, as each side of these pairs has several inputs, {keys}: for example "
            f"`image=lambda sample: sample[{likely!r}]`. Received: image=None"
        )
    sample = map_parts(lambda part: part[k], side)
    return as_image(sample if image is None else image(sample), f"the {name} side of pair {k}", ADVICE)
