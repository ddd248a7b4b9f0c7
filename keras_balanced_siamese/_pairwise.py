"""Distances and class masks of all pairs of a batch."""

from collections.abc import Callable
from typing import Any

from keras_balanced_siamese._backend import has_float64, ops, wide_numbers
from keras_balanced_siamese._typing import Tensor

DISTANCES = ("euclidean", "squared", "cosine")
LARGE = 2.0**58  # sums of squares of larger numbers may overflow in float32
SHRINK = 2.0**-74  # exact factor for larger numbers: all have squares in float32, and their vectors are not `SHORT`
NO_LENGTH = 1e-12  # vectors shorter than this have no direction, as in `keras.layers.UnitNormalization`
SHORT = 1e-5  # the gradient of the direction of a shorter vector is that of a vector of this length


class PairMasks:
    """Masks of the positive and negative pairs of a batch of B items.

    An item is an anchor if it has a positive and a negative in the batch. Other items have no pairs of their own. Items
    that were generated from the first ones make no anchors: their classes must have a pair of the first ones.

    Attributes:
        anchor: `(B,)` bool: the item is an anchor.
        same: `(B, B)` bool: both items have the same class, including each item with itself.
        n_positive, n_negative: `(B,)` float: numbers of positives and negatives of each anchor, 0 for other items.
    """

    def __init__(self, labels: Tensor, first: Any = None):
        """Compute the masks from the labels `(B,)`, as floats, and the number of items that were not generated."""
        total = ops.cast(ops.shape(labels)[0], labels.dtype)
        self.same = ops.equal(labels[:, None], labels[None, :])
        class_size = ops.sum(ops.cast(self.same, labels.dtype), axis=1)
        given = class_size if first is None else ops.sum(ops.cast(self.same[:, :first], labels.dtype), axis=1)
        self.anchor = ops.logical_and(given > 1, class_size < total)
        included = ops.cast(self.anchor, labels.dtype)
        self.n_positive, self.n_negative = included * (class_size - 1.0), included * (total - class_size)

    @property
    def positive(self) -> Tensor:
        """`(B, B)` bool: the row is an anchor and the column another item of its class."""
        position = ops.arange(ops.shape(self.anchor)[0])
        other = ops.not_equal(position[:, None], position[None, :])
        return ops.logical_and(ops.logical_and(self.same, self.anchor[:, None]), other)

    @property
    def negative(self) -> Tensor:
        """`(B, B)` bool: the row is an anchor and the column an item of another class."""
        return ops.logical_and(ops.logical_not(self.same), self.anchor[:, None])


def distances(x: Tensor, kind: str) -> Tensor:
    """Compute the distances `(B, B)` of all pairs of embeddings `(B, dim)`: Euclidean, squared, or 1 - cosine.

    Euclidean distances have the precision of differences, also where they are small compared with the embeddings and
    the expansion |a|^2 + |b|^2 - 2ab in float32 loses its digits. The gradient is one matrix product.
    """
    points, zero = _points(x, kind)

    @ops.custom_gradient
    def all_pairs(points: Tensor) -> Any:
        points, scale = _shrink(points, kind)
        scaled = _point_distances(points, zero, kind)

        def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
            slope = _difference_factors(args[0] if upstream is None else upstream, scaled, kind)
            return _point_gradient(slope + ops.transpose(slope), points)

        return scaled if scale is None else scaled / scale, gradient

    return all_pairs(points)


def sums_over_others(x: Tensor, kind: str, weight: Tensor | None, curve: Callable[[Tensor], Any]) -> Tensor:
    """Sum a loss of the distances between each embedding and all others.

    The result equals a sum over a function of `distances`, but needs far fewer operations on `(B, B)` matrices, which
    dominate the cost.

    Args:
        x: Embeddings `(B, dim)`.
        kind: Distance, one of `DISTANCES`.
        weight: Weight `(B,)` of each item in the sums of the others; `None` for 1.
        curve: Function of the distances `(B, B)`. It returns the losses `(B, B)`, a function without arguments that
            returns their derivatives `(B, B)` with respect to the distances, and a column `(B, 1)` to pass through.

    Returns:
        `(B, 2)`: the sums, and the column, which has no gradient.
    """
    points, zero = _points(x, kind)

    @ops.custom_gradient
    def sums(points: Tensor) -> Any:
        points, scale = _shrink(points, kind)
        scaled = _point_distances(points, zero, kind)
        losses, derivative, column = curve(scaled if scale is None else scaled / scale)
        losses = ops.cast(losses, scaled.dtype)  # some operations of Keras convert float64 to float32
        total = ops.sum(losses, axis=1, keepdims=True) if weight is None else losses @ weight[:, None]

        def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
            own = (args[0] if upstream is None else upstream)[:, :1]  # (B, 1)
            other = ops.ones_like(own) if weight is None else weight[:, None]
            return _point_gradient(_difference_factors(derivative(), scaled, kind), points, own, other)

        return ops.concatenate([total, column], axis=1), gradient

    return sums(points)


def _points(x: Tensor, kind: str) -> tuple[Tensor, Tensor | None]:
    """Return the points to compare, and for cosines a mask `(B, 1)` of the zero vectors."""
    return unit(x) if kind == "cosine" else (x, None)


def _shrink(points: Tensor, kind: str) -> tuple[Tensor, Tensor | None]:
    """Scale large points so that their squares do not overflow; return them and the scale, if it matters.

    Squared distances overflow themselves, and the points of cosines have the length 1.
    """
    if kind != "euclidean":
        return points, None
    large = ops.max(ops.abs(points)) > LARGE
    scale = ops.where(large, ops.cast(SHRINK, points.dtype), ops.cast(1.0, points.dtype))
    return points * scale, scale


def _point_distances(points: Tensor, zero: Tensor | None, kind: str) -> Tensor:
    squared = _squared_distances(points)
    if zero is not None:
        # 1 - cosine loses digits where the cosine is near 1; the cosine of a zero vector with any other is 0
        return ops.where(ops.logical_or(zero, ops.transpose(zero)), ops.ones_like(squared), 0.5 * squared)
    return ops.sqrt(squared) if kind == "euclidean" else squared


def _difference_factors(slope: Tensor, d: Tensor, kind: str) -> Tensor:
    """Convert derivatives `(B, B)` with respect to distances to factors of the differences of points.

    For Euclidean distances, the result times the differences is the same at any common scale of both.
    """
    if kind == "euclidean":  # `equal` is false for NaN, so NaN is kept
        return ops.where(ops.equal(d, 0.0), 0.0, slope / d)
    return 2.0 * slope if kind == "squared" else slope


def _point_gradient(slope: Tensor, x: Tensor, own: Tensor | None = None, other: Tensor | None = None) -> Tensor:
    """Sum slope times difference over all partners, `(B, dim)`.

    The slopes `(B, B)` are symmetric. The factors `own` and `other`, each `(B, 1)`, multiply the slope of a pair by
    `own_a * other_b + own_b * other_a`.
    """
    x = x - x[:1]  # exact for close points: a compiler may compute the mean twice with different rounding
    x = x - ops.mean(x, axis=0, keepdims=True)
    columns = ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1)  # the last column gives the sum of the slopes
    if own is None or other is None:
        summed = slope @ columns
    else:
        both = slope @ ops.concatenate([other * columns, own * columns], axis=1)
        width = x.shape[1] + 1
        summed = own * both[:, :width] + other * both[:, width:]
    return x * summed[:, -1:] - summed[:, :-1]


def _squared_distances(x: Tensor) -> Tensor:
    """Compute squared distances `(B, B)` by the expansion in float64, precise enough for float32, or by differences."""
    if not has_float64():
        return ops.map(lambda row: ops.sum(ops.square(x - row), axis=-1), x)
    with wide_numbers():
        wide = ops.cast(x, "float64")
        wide = wide - ops.mean(wide, axis=0, keepdims=True)
        size, one = ops.sum(ops.square(wide), axis=-1, keepdims=True), ops.ones_like(wide[:, :1])  # (B, 1)
        left = ops.concatenate([-2.0 * wide, size, one], axis=1)
        # the operator, as `ops.matmul` converts float64 to float32
        squared = left @ ops.transpose(ops.concatenate([wide, one, size], axis=1))
        noise = 1e-14 * ops.max(size)  # smaller values are rounding errors
        return ops.cast(ops.where(squared < noise, ops.zeros_like(squared), squared), x.dtype)


def similarities(x: Tensor) -> Tensor:
    """Compute the cosines `(B, B)` of all pairs of embeddings `(B, dim)`; 0 for zero vectors."""
    directions, _ = unit(x)
    return directions @ ops.transpose(directions)


def unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Scale vectors `(..., dim)` to length 1; zero vectors stay zero and are marked in the mask `(..., 1)`.

    A vector shorter than `NO_LENGTH` is a zero vector. The gradient of a direction grows as 1 / length, which would
    throw the weights of an encoder far away: for a vector shorter than `SHORT` it is reduced to that of this length.
    """
    x = ops.where(ops.max(ops.abs(x), axis=-1, keepdims=True) > LARGE, SHRINK * x, x)
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)  # (..., 1)
    zero = ops.less(squared, NO_LENGTH**2)  # false for NaN
    # `where` twice, as the gradient of the branch not taken must also be finite
    length = ops.sqrt(ops.where(zero, ops.ones_like(squared), squared))
    directions = x / length
    fixed = ops.stop_gradient(directions)
    directions = fixed + ops.stop_gradient(ops.minimum(length / SHORT, 1.0)) * (directions - fixed)
    return ops.where(zero, ops.zeros_like(x), directions), zero
