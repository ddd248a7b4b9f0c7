"""All pairs of a batch: their distances, and which of them are of one class."""

from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._backend import has_float64, ops
from keras_balanced_siamese._typing import Tensor

DISTANCES = ("euclidean", "squared", "cosine")
SMALLEST = float(np.finfo(np.float32).tiny)  # 1 over anything smaller may be infinite


class Pairs(NamedTuple):
    """Who is whose partner in a batch of B items; only anchors that have a positive and a negative take part."""

    anchor: Tensor  # (B,) bool: has a positive and a negative
    positive: Tensor  # (B, B) bool: the column is another item of the class of the anchor in this row
    negative: Tensor  # (B, B) bool: the column is of another class
    n_positive: Tensor  # (B,) float
    n_negative: Tensor  # (B,) float


def pairs_of(labels: Tensor) -> Pairs:
    """The pairs of a batch with the labels `(B,)`, as floats."""
    position = ops.arange(ops.shape(labels)[0])
    same = ops.equal(labels[:, None], labels[None, :])
    alike = ops.sum(ops.cast(same, labels.dtype), axis=1)
    anchor = ops.logical_and(alike > 1, alike < ops.cast(ops.shape(labels)[0], labels.dtype))
    here = anchor[:, None]
    positive = ops.logical_and(ops.logical_and(same, here), ops.not_equal(position[:, None], position[None, :]))
    negative = ops.logical_and(ops.logical_not(same), here)
    counted = ops.cast(anchor, labels.dtype)
    total = ops.cast(ops.shape(labels)[0], labels.dtype)
    return Pairs(anchor, positive, negative, counted * (alike - 1.0), counted * (total - alike))


def distances(x: Tensor, kind: str) -> Tensor:
    """Distances `(B, B)` of all pairs of embeddings `(B, dim)`: Euclidean, their squares, or 1 - cosine.

    Euclidean distances have the digits of a difference: |a|^2 + |b|^2 - 2ab, which is one product of matrices, loses
    those of a distance that is small beside the embeddings. Their gradient is such a product.
    """
    if kind == "cosine":  # 1 - cos loses its digits where the cosine is near 1
        directions, zero = unit(x)
        undefined = ops.cast(zero, x.dtype)  # (B, 1): a zero vector has the cosine 0 with all
        return 0.5 * (_squared(directions) + undefined + ops.transpose(undefined))
    return _squared(x) if kind == "squared" else _euclidean(x)


@ops.custom_gradient
def _squared(x: Tensor) -> Any:
    def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
        return 2.0 * _pull(args[0] if upstream is None else upstream, x)

    return _exact(x), gradient


@ops.custom_gradient
def _euclidean(x: Tensor) -> Any:
    distance = ops.sqrt(_exact(x))

    def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
        upstream = args[0] if upstream is None else upstream
        coincident = ops.equal(distance, 0.0)  # false for NaN, which has to stay NaN
        slope = upstream / ops.where(coincident, 1.0, distance)
        return _pull(ops.where(coincident, 0.0, slope), x)

    return distance, gradient


def _pull(slope: Tensor, x: Tensor) -> Tensor:
    """The sum `(B, dim)` of slope times difference over all partners, each pair seen from both sides."""
    slope = slope + ops.transpose(slope)
    x = x - ops.mean(x, axis=0, keepdims=True)
    pulled = slope @ ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1)  # the last column: the sum of the slopes
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
    zero = ops.less(largest, SMALLEST)  # false for NaN
    x = x / ops.where(zero, ops.ones_like(largest), largest)  # no square overflows or vanishes then
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)  # (..., 1)
    # `where` twice: the gradient of the branch that is not taken must be finite too
    directions = x / ops.sqrt(ops.where(zero, ops.ones_like(squared), squared))
    return ops.where(zero, ops.zeros_like(x), directions), zero
