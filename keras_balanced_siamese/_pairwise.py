"""All pairs of a batch: their distances, and which of them are of one class."""

from typing import NamedTuple

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


def pairs_of(labels: Tensor) -> Pairs:
    """The pairs of a batch with the labels `(B,)`."""
    same = ops.equal(labels[:, None], labels[None, :])
    position = ops.arange(ops.shape(labels)[0])
    positive = ops.logical_and(same, ops.logical_not(ops.equal(position[:, None], position[None, :])))
    negative = ops.logical_not(same)
    anchor = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
    here = anchor[:, None]
    return Pairs(anchor, ops.logical_and(positive, here), ops.logical_and(negative, here))


def distances(x: Tensor, kind: str) -> Tensor:
    """Distances `(B, B)` of all pairs of embeddings `(B, dim)`: Euclidean, their squares, or 1 - cosine."""
    if kind == "cosine":  # 1 - cos loses its digits where the cosine is near 1
        directions, zero = unit(x)
        undefined = ops.cast(zero, x.dtype)  # (B, 1): a zero vector has the cosine 0 with all
        return 0.5 * (squared_distances(directions) + undefined + ops.transpose(undefined))
    squared = squared_distances(x)
    if kind == "squared":
        return squared
    coincident = ops.equal(squared, 0.0)  # false for NaN, which has to stay NaN
    # `where` twice: the gradient of the branch that is not taken must be finite too
    distance = ops.sqrt(ops.where(coincident, ops.ones_like(squared), squared))
    return ops.where(coincident, ops.zeros_like(squared), distance)


def squared_distances(x: Tensor) -> Tensor:
    """Squared Euclidean distances `(B, B)`, with the digits of a difference and the gradient of an expansion.

    |a|^2 + |b|^2 - 2ab is one product of matrices, but loses the digits of a distance that is small beside the
    embeddings. So the value is computed exactly and without a gradient, and the expansion adds 0 and its gradient.
    """
    expanded = _expand(x - ops.stop_gradient(ops.mean(x, axis=0, keepdims=True)))
    return ops.stop_gradient(_exact(ops.stop_gradient(x))) + (expanded - ops.stop_gradient(expanded))


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


def _exact(x: Tensor) -> Tensor:
    """Squared distances by differences, or in float64, where the expansion has digits enough for float32."""
    if not has_float64():
        return ops.map(lambda row: ops.sum(ops.square(x - row), axis=-1), x)
    wide = ops.cast(x, "float64")
    squared = _expand(wide - ops.mean(wide, axis=0, keepdims=True))
    size = ops.max(ops.abs(squared))  # below its rounding a distance is none
    return ops.cast(ops.where(squared < 1e-14 * size, ops.zeros_like(squared), squared), x.dtype)


def _expand(x: Tensor) -> Tensor:
    size = ops.sum(ops.square(x), axis=-1)
    return size[:, None] + size[None, :] - 2.0 * (x @ ops.transpose(x))  # `ops.matmul` makes float32 of float64
