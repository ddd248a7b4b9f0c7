"""All pairs of a batch: their distances, and which of them are of one class."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import has_float64, ops
from keras_balanced_siamese._typing import Tensor

DISTANCES = ("euclidean", "squared", "cosine")
FLOAT32_TINY = float(np.finfo(np.float32).tiny)  # 1 over anything smaller may be infinite


class PairMasks:
    """Who is whose partner in a batch of B items; only anchors that have a positive and a negative take part.

    Attributes:
        anchor: `(B,)` bool: has a positive and a negative.
        same: `(B, B)` bool: the two are of one class, or one item.
        n_positive, n_negative: `(B,)` float: how many partners of the two kinds each anchor has.
    """

    def __init__(self, labels: Tensor):
        """The pairs of a batch with the labels `(B,)`, as floats."""
        total = ops.cast(ops.shape(labels)[0], labels.dtype)
        self.same = ops.equal(labels[:, None], labels[None, :])
        alike = ops.sum(ops.cast(self.same, labels.dtype), axis=1)
        self.anchor = ops.logical_and(alike > 1, alike < total)
        counted = ops.cast(self.anchor, labels.dtype)
        self.n_positive, self.n_negative = counted * (alike - 1.0), counted * (total - alike)

    @property
    def positive(self) -> Tensor:
        """`(B, B)` bool: the column is another item of the class of the anchor in this row."""
        position = ops.arange(ops.shape(self.anchor)[0])
        other = ops.not_equal(position[:, None], position[None, :])
        return ops.logical_and(ops.logical_and(self.same, self.anchor[:, None]), other)

    @property
    def negative(self) -> Tensor:
        """`(B, B)` bool: the column is of another class than the anchor in this row."""
        return ops.logical_and(ops.logical_not(self.same), self.anchor[:, None])


def distances(x: Tensor, kind: str) -> Tensor:
    """Distances `(B, B)` of all pairs of embeddings `(B, dim)`: Euclidean, their squares, or 1 - cosine.

    Euclidean distances have the digits of a difference: |a|^2 + |b|^2 - 2ab, which is one product of matrices, loses
    those of a distance that is small beside the embeddings. Their gradient is such a product.
    """
    points, apart = _placed(x, kind)

    @ops.custom_gradient
    def all_pairs(points: Tensor) -> Any:
        d = _between(points, apart, kind)

        def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
            slope = _per_difference(args[0] if upstream is None else upstream, d, kind)
            return _pull(slope + ops.transpose(slope), points)

        return d, gradient

    return all_pairs(points)


def sums_over_others(x: Tensor, kind: str, weight: Tensor | None, curve: Callable[[Tensor], Any]) -> Tensor:
    """For each of the embeddings `(B, dim)`, a loss of its distance to each other one, summed up: `(B, 2)`.

    The same as summing a function of `distances`, in far fewer operations on matrices of all pairs, which is what such
    a sum costs.

    Args:
        x: The embeddings.
        kind: Which distance.
        weight: What each item counts in the sums of the others, `(B,)`; `None` for 1.
        curve: Takes the distances `(B, B)`, and returns the losses `(B, B)`, a function without arguments that gives
            the derivative of each by its distance, and a column `(B, 1)` that is passed on as it is.

    Returns:
        The sums, and the column, which has no gradient.
    """
    points, apart = _placed(x, kind)

    @ops.custom_gradient
    def sums(points: Tensor) -> Any:
        d = _between(points, apart, kind)
        losses, derivative, column = curve(d)
        losses = ops.cast(losses, d.dtype)  # some operations of Keras make float32 of float64
        total = ops.sum(losses, axis=1, keepdims=True) if weight is None else losses @ weight[:, None]

        def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
            own = (args[0] if upstream is None else upstream)[:, :1]  # (B, 1)
            other = ops.ones_like(own) if weight is None else weight[:, None]
            return _pull(_per_difference(derivative(), d, kind), points, own, other)

        return ops.concatenate([total, column], axis=1), gradient

    return sums(points)


def _placed(x: Tensor, kind: str) -> tuple[Tensor, Tensor | None]:
    """Points whose distances are looked for, and for cosines which have no direction, `(B, 1)`."""
    if kind != "cosine":
        return x, None
    directions, zero = unit(x)
    return directions, ops.cast(zero, x.dtype)


def _between(points: Tensor, apart: Tensor | None, kind: str) -> Tensor:
    squared = _exact(points)
    if (
        apart is not None
    ):  # 1 - cos loses its digits where the cosine is near 1; a zero vector has the cosine 0 with all
        return 0.5 * (squared + apart + ops.transpose(apart))
    return ops.sqrt(squared) if kind == "euclidean" else squared


def _per_difference(slope: Tensor, d: Tensor, kind: str) -> Tensor:
    """What to multiply the difference of two points by, from the derivatives `(B, B)` by their distances."""
    if kind == "euclidean":  # `equal` is false for NaN, which has to stay NaN
        return ops.where(ops.equal(d, 0.0), 0.0, slope / d)
    return 2.0 * slope if kind == "squared" else slope


def _pull(slope: Tensor, x: Tensor, own: Tensor | None = None, other: Tensor | None = None) -> Tensor:
    """The sum `(B, dim)` of slope times difference over all partners.

    The slopes `(B, B)` are symmetric. With the factors `own` and `other` `(B, 1)` each pair counts from both sides,
    `own_a * other_b + own_b * other_a` times.
    """
    x = x - x[:1]  # exact for points that lie close: a compiler may compute the mean twice, and round it differently
    x = x - ops.mean(x, axis=0, keepdims=True)
    ends = ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1)  # the last column: the sum of the slopes
    if own is None or other is None:
        pulled = slope @ ends
    else:
        both = slope @ ops.concatenate([other * ends, own * ends], axis=1)
        width = x.shape[1] + 1
        pulled = own * both[:, :width] + other * both[:, width:]
    return x * pulled[:, -1:] - pulled[:, :-1]


def _exact(x: Tensor) -> Tensor:
    """Squared distances `(B, B)` by differences, or in float64, where the expansion has digits enough for float32."""
    if not has_float64():
        return ops.map(lambda row: ops.sum(ops.square(x - row), axis=-1), x)
    wide = ops.cast(x, "float64")
    wide = wide - ops.mean(wide, axis=0, keepdims=True)
    size, one = ops.sum(ops.square(wide), axis=-1, keepdims=True), ops.ones_like(wide[:, :1])  # (B, 1)
    left = ops.concatenate([-2.0 * wide, size, one], axis=1)
    # the operator, as `ops.matmul` makes float32 of float64
    squared = ops.cast(left @ ops.transpose(ops.concatenate([wide, one, size], axis=1)), x.dtype)
    noise = ops.cast(1e-14 * ops.max(size), x.dtype)  # below its rounding a distance is none
    return ops.where(squared < noise, 0.0, squared)


def similarities(x: Tensor) -> Tensor:
    """Cosines `(B, B)` of all pairs of embeddings `(B, dim)`; those with a zero vector are 0."""
    directions, _ = unit(x)
    return directions @ ops.transpose(directions)


def unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors of length 1 along the last axis, `(..., dim)`, and which were zero, `(..., 1)`, and still are."""
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))  # (..., 1)
    zero = ops.less(largest, FLOAT32_TINY)  # false for NaN
    x = x / ops.where(zero, ops.ones_like(largest), largest)  # no square overflows or vanishes then
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)  # (..., 1)
    # `where` twice: the gradient of the branch that is not taken must be finite too
    directions = x / ops.sqrt(ops.where(zero, ops.ones_like(squared), squared))
    return ops.where(zero, ops.zeros_like(x), directions), zero
