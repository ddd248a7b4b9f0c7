"""A batch of a sequence -> its pairs of images."""

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

DASHED = (0, (4, 3))  # told from a solid line in a small picture too
ADVICE = Advice(
    "A side of a pair must hold numbers: load files by the `transform` of the sequence, or pass `image`, a function "
    "from what a side holds to an image",
    "A side of a pair, or what `image` makes of it, must have the shape (height, width), (height, width, 1) or "
    "(height, width, 3)",
    "`image=lambda sample: sample.reshape(height, width)`",
    "`image=lambda sample: np.moveaxis(sample, 0, -1)`",
    "`image=lambda sample: sample[..., :3]`",
)


def plot_pairs(
    pairs: BalancedPairSequence, index: int = 0, *, n: int = 8, image: Callable[[Any], Any] | None = None
) -> "Figure":
    """Show the first pairs of a batch as the model gets them.

    Worth a look before any training: are the labels right, and do the transforms leave something to see? Above each
    pair stand "similar" or "different", its sample weight, and the classes of the left and of the right side. Similar
    pairs have a solid blue frame, different ones a dashed orange one.

    Args:
        pairs: The sequence. It is left as it is: the picture does not count as a batch of the epoch.
        index: Number of the batch, in the epoch at which the sequence is.
        n: Pairs to show; fewer if the batch has fewer.
        image: Function from what one side of a pair holds (an array, or a tuple or dict of arrays) to an image. `None`
            if that is an image: `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, bytes or floats.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is missing.
        IndexError: If there is no such batch.
        TypeError: If `pairs` is no `BalancedPairSequence`, `image` is no function, or an image is not made of numbers.
        ValueError: If something is not an image, or a side has several inputs and `image` is missing.

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
        raise TypeError(f"`image` must be a function of what one side of a pair holds. Received: image={image!r}")
    n, plt = whole("n", n, 1), pyplot()
    pairs = copy.copy(pairs)  # whose batches nobody counts
    (left, right), labels, weights = pairs[index]
    n = min(n, len(weights))
    images = on_one_scale(
        [_image(side, k, name, image) for k in range(n) for side, name in ((left, "left"), (right, "right"))]
    )
    codes = pairs.labels[np.stack(pairs.indices(index)[:2], axis=1)]
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    figure = plt.figure(figsize=(max(2.4 * columns, 4.8), 0.5 + (2.6 if n == 1 else 1.6) * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)  # frames apart, in a small picture too
    figure.suptitle(f"Epoch {pairs.epoch}, batch {index % len(pairs)}: {n} of {len(weights)} pairs", fontweight="bold")
    for k, ax in enumerate(pair_axes(figure, n, columns)):
        name, colour, line = ("similar", SIMILAR, "-") if labels[k, 0] else ("different", DIFFERENT, DASHED)
        draw_pair(ax, images[2 * k], images[2 * k + 1], colour, line)
        caption(ax, f"{name}, weight {weights[k]:.3g}", tuple(pairs.classes[code] for code in codes[k]))
    return figure


def _image(side: Any, k: int, name: str, image: Callable[[Any], Any] | None) -> np.ndarray:
    """The image of one side of pair `k`."""
    if image is None and isinstance(side, (Mapping, tuple)):
        keys = list(side) if isinstance(side, Mapping) else list(range(len(side)))
        likely = next((key for key in keys if np.ndim(side[key]) > 2), keys[0])
        raise ValueError(
            f"Each side of these pairs has several inputs, {keys}: say which one is the image, as in "
            f"`image=lambda sample: sample[{likely!r}]`. Received: image=None"
        )
    sample = map_parts(lambda part: part[k], side)
    return as_image(sample if image is None else image(sample), f"the {name} side of pair {k}", ADVICE)
