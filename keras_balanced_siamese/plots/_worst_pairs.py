"""Images of the pairs with the most wrong distances."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation import check_distances, check_similar, check_threshold
from keras_balanced_siamese.plots._images import COLUMNS, Advice, as_image, caption, draw_pair, on_one_scale, pair_axes
from keras_balanced_siamese.plots._style import GREY, RED, pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ADVICE = Advice(
    "`images` must hold arrays of numbers; load files first",
    "`images` must have the shape (n, height, width), (n, height, width, 1) or (n, height, width, 3)",
    "`reshape(-1, height, width)`",
    "`np.moveaxis(images, 1, -1)`",
    "`images[..., :3]`",
)


class CheckedPairs(NamedTuple):
    """Checked arrays with a row for each of `m` pairs."""

    sides: np.ndarray  # (m, 2) positions in the images
    distance: np.ndarray  # (m,)
    similar: np.ndarray  # (m,) bool
    classes: np.ndarray | None  # (m, 2)


def plot_worst_pairs(
    images: Sequence[Any] | ArrayLike,
    pairs: ArrayLike,
    distances: ArrayLike,
    similar: ArrayLike,
    *,
    n: int = 8,
    threshold: Any = None,
    classes: ArrayLike | None = None,
) -> "Figure":
    """Show the similar pairs with the largest and the different pairs with the smallest distances.

    Use it before tuning: such pairs often have wrong labels, broken images or classes that cannot be distinguished.

    Args:
        images: Sequence or array of images: `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, bytes or floats. Only the images that
            are shown are read, by integer index.
        pairs: `(m, 2)` positions in `images` of the left and the right side.
        distances: `(m,)` or `(m, 1)`.
        similar: `(m,)` or `(m, 1)`: 1 for pairs of one class, 0 for the others.
        n: Number of pairs of each kind.
        threshold: Distance up to which a pair is accepted, or the layer from `calibrate`. Wrong decisions are marked if
            it is given.
        classes: `(m, 2)` class labels for the titles of the pairs.

    Returns:
        The figure.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If an image is not an array of numbers.
        ValueError: If the shapes do not match, or an image has a wrong shape.

    Examples:
        >>> images = np.zeros((4, 8, 8))
        >>> figure = plot_worst_pairs(images, [[0, 1], [2, 3], [0, 2]], [0.9, 0.2, 0.4], [1, 1, 0], threshold=0.5)
        >>> [ax.get_title() for ax in figure.axes]
        ['0.9 (wrong)', '0.2', '0.4 (wrong)']
    """
    n, limit = whole("n", n, 1), check_threshold(threshold)[0]
    checked = _check(images, pairs, distances, similar, classes)
    largest = np.argsort(-checked.distance, kind="stable")
    smallest = np.argsort(checked.distance, kind="stable")
    blocks = {
        "Similar pairs with the largest distances": largest[checked.similar[largest]][:n],
        "Different pairs with the smallest distances": smallest[~checked.similar[smallest]][:n],
    }
    used = np.unique(checked.sides[np.concatenate([*blocks.values()])]).tolist()
    scaled = on_one_scale([as_image(images[position], f"images[{position}]", ADVICE) for position in used])
    shown = dict(zip(used, scaled, strict=True))
    rows = [-(-len(chosen) // COLUMNS) for chosen in blocks.values()]
    figure = pyplot().figure(figsize=(9.6, 1.0 + 1.6 * sum(rows)), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[0.35 + count for count in rows])
    for part, title, chosen in zip(parts, blocks, blocks.values(), strict=True):
        part.suptitle(title if len(chosen) else f"{title}: there are none", fontweight="bold")
        for ax, pair in zip(pair_axes(part, len(chosen)), chosen, strict=True):
            wrong = limit is not None and (checked.distance[pair] <= limit) != checked.similar[pair]
            draw_pair(ax, *(shown[side] for side in checked.sides[pair].tolist()), colour=RED if wrong else GREY)
            text = f"{checked.distance[pair]:.3g}{' (wrong)' if wrong else ''}"
            caption(ax, text, _names(checked, pair))
    return figure


def _names(pairs: CheckedPairs, pair: int) -> tuple[Label, ...]:
    """Return the classes of a pair: one for similar pairs, otherwise two."""
    if pairs.classes is None:
        return ()
    return tuple(pairs.classes[pair][: 1 if pairs.similar[pair] else 2])


def _check(images: Any, pairs: Any, distances: Any, similar: Any, classes: Any) -> CheckedPairs:
    sides = np.asarray(pairs)
    if sides.ndim != 2 or sides.shape[1] != 2 or sides.dtype.kind not in "iu" or not len(sides):
        raise ValueError(
            "`pairs` must hold the positions of the left and the right image, whole numbers of shape (m, 2). "
            f"Received: pairs of shape {sides.shape} and type {sides.dtype}"
        )
    if sides.min() < 0 or sides.max() >= len(images):
        raise ValueError(
            f"`pairs` must hold positions from 0 to {len(images) - 1}, as there are {len(images)} images. "
            f"Received: {int(sides.min())} to {int(sides.max())}"
        )
    distance = check_distances(distances)
    truth = check_similar(similar, len(distance))
    if len(distance) != len(sides):
        raise ValueError(
            "`pairs` and `distances` must have the same length. "
            f"Received: {len(sides)} pairs and {len(distance)} distances"
        )
    names = None if classes is None else np.asarray(classes)
    if names is not None and names.shape != sides.shape:
        raise ValueError(
            "`classes` must hold the class on each side of each pair, shape (m, 2): `labels[pairs]`. "
            f"Received: shape {names.shape} for {len(sides)} pairs"
        )
    return CheckedPairs(sides, distance, truth, names)
