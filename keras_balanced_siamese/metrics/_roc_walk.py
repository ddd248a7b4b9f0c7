"""Points on the ROC curve of two histograms, which is taken as linear inside each bin."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.metrics._score_bins import BLOCK


def total(histogram: Tensor) -> Tensor:
    """Return the sum over the bins, `(rows, 1)`, and 1 for a row without pairs, so that division is safe."""
    held = ops.sum(histogram, axis=-1, keepdims=True)
    return ops.where(held > 0.0, held, 1.0)


def both_kinds(similar: Tensor, different: Tensor) -> Tensor:
    """Return whether there are both similar and different pairs, `(rows,)`."""
    return (ops.sum(similar, axis=-1) > 0.0) & (ops.sum(different, axis=-1) > 0.0)


def tied(similar: Tensor, different: Tensor) -> Tensor:
    """Return whether a bin holds more pairs than both its neighbours together, `(rows, bins)`.

    The scores of such a bin are taken as equal. If scores are distributed smoothly, neighbours hold similar counts.
    """
    held = similar + different
    nothing = ops.zeros_like(held[:, :1])
    return held > ops.concatenate([nothing, held[:, :-1]], axis=-1) + ops.concatenate([held[:, 1:], nothing], axis=-1)


def tied_at(similar: Tensor, different: Tensor, place: Tensor) -> Tensor:
    """Return the same for the bin at `place` only, both `(rows, 1)`."""
    held = similar + different
    places = [ops.clip(place + shift, 0, held.shape[-1] - 1) for shift in (-1, 0, 1)]
    left, here, right = (ops.take_along_axis(held, one, axis=-1) for one in places)
    return here > left + right


class Crossing(NamedTuple):
    """The bin in which a sum over the bins passes a level, and the counts before it; all `(rows, 1)`."""

    bin: Tensor  # its index
    before: list[Tensor]  # similar and different pairs in the bins before
    held: list[Tensor]  # similar and different pairs in the bin
    part: Tensor  # share of the bin up to which the level is not passed


def crossing(similar: Tensor, different: Tensor, weights: Sequence[Any], level: Tensor) -> Crossing:
    """Find where `weights[0] * similar + weights[1] * different`, summed over the bins `(rows, bins)`, passes a level.

    The block of bins is found first, then the bin inside it: running sums over all bins would take far longer.
    """
    blocks = [ops.reshape(one, (-1, one.shape[-1] // BLOCK, BLOCK)) for one in (similar, different)]
    block, before, passed = _last_within([ops.sum(one, axis=-1) for one in blocks], weights, level)
    inside = [ops.take_along_axis(one, block[:, :, None], axis=1)[:, 0] * (1.0 - passed) for one in blocks]
    left = level - _weighted(before, weights)
    place, more, passed = _last_within(inside, weights, left)  # inside: (rows, BLOCK) each
    held = [ops.take_along_axis(one, place, axis=-1) * (1.0 - passed) for one in inside]
    rise, lacking = _weighted(held, weights), left - _weighted(more, weights)
    part = ops.clip(lacking / ops.where(rise > 0.0, rise, 1.0), 0.0, 1.0)
    return Crossing(block * BLOCK + place, [a + b for a, b in zip(before, more, strict=True)], held, part)


def _last_within(pair: list[Tensor], weights: Sequence[Any], level: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return the place that passes the level, or the last one; the sums before it; and 1 if they include it, else 0."""
    passed = ops.cast(ops.cumsum(_weighted(pair, weights), axis=-1) <= level, "float32")  # 1 up to a place, then 0
    place = ops.cast(ops.sum(passed, axis=-1, keepdims=True), "int32")
    place = ops.clip(place, 0, pair[0].shape[-1] - 1)
    before = [ops.sum(one * passed, axis=-1, keepdims=True) for one in pair]
    return place, before, ops.take_along_axis(passed, place, axis=-1)


def _weighted(pair: list[Tensor], weights: Sequence[Any]) -> Tensor:
    return weights[0] * pair[0] + weights[1] * pair[1]


def corners(similar: np.ndarray, different: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact true and false accept rates `(1 + bins,)`, before the first bin and after each bin."""
    tar, far = (np.append(0.0, np.cumsum(one)) for one in (similar, different))
    return tar / tar[-1], far / far[-1]
