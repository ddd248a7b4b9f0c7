"""Bins that keep the order of scores of any range."""

import numpy as np

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor

SMALLEST_NORMAL = 2.0**-126  # backends may treat smaller float32 numbers as 0
BLOCK = 64  # bins of one block, in the search for a bin
COARSE = 8  # bins that one bin of a class joins


class ScoreBins:
    """Ordered bins that cover all real numbers, without a given range.

    Bins are narrow where scores are frequent. All bins of an octave have the same width. There are octaves toward 0,
    toward 1 (for probabilities and cosines, whose distance from 1 matters) and outwards, and the same for negative
    scores. 0 has a bin of its own, and all scores beyond 2 ** 32 share the outermost bin. Some bins at either end stay
    empty, so that each used bin has two neighbours, also after bins are joined, and blocks are complete.

    Args:
        resolution: Bins of an octave toward 0 or 1, down to a distance of 2 ** -12. Octaves from 1/32 to 31/32 have
            more, so that all bins there have the same width. The octave from 1 to 2 has bins of that width up to 1.5,
            since the distance of dissimilar unit vectors is near sqrt(2). The next three octaves have 8 times as many
            bins as an octave toward 0, and those up to 2 ** 17 have 4 times as many, for squared distances and
            distances that grow with the dimension. Octaves of smaller or larger scores have an eighth.
    """

    def __init__(self, resolution: int):
        start, end, count = np.array(_segments(resolution)).T  # each (segments,)
        unit = BLOCK * COARSE
        self.count = -(-int(count.sum() + 1 + 2 * COARSE) // unit) * unit
        self._start = start.astype("float32")
        self._rate = (count / (end - start)).astype("float32")  # bins per unit of score
        self._most = count.astype("float32")

    def __call__(self, scores: Tensor, negate: bool) -> Tensor:
        """Return the bins of scores `(n,)`, or of the negated scores, as int32.

        Each segment of the scale adds the number of its bins below the score. Each term is non-decreasing in the score,
        also with rounding, and so is their sum: bins never reverse the order of two scores.
        """
        scores = -scores if negate else scores
        start, rate, most = (ops.convert_to_tensor(one) for one in (self._start, self._rate, self._most))
        within = ops.floor((scores[:, None] - start) * rate)  # (n, segments)
        return ops.cast(ops.sum(ops.clip(within, 0.0, most), axis=-1), "int32") + COARSE


def _segments(resolution: int) -> list[tuple[float, float, int]]:
    """Return start, end and number of bins of each segment of the scale, in order."""
    sparse = max(resolution // 8, 1)
    positive = [(0.0, SMALLEST_NORMAL, 1), (SMALLEST_NORMAL, 2.0**-32, sparse)]
    for k in range(32, 1, -1):  # up to 1/2
        count = 2 ** max(5 - k, 0) * resolution if k <= 12 else sparse
        positive.append((2.0**-k, 2.0 ** (1 - k), count))
    for k in range(1, 24):  # up to 1; the last octaves have fewer float32 numbers than bins
        count = 2 ** max(4 - k, 0) * resolution if k <= 12 else sparse
        positive.append((1 - 2.0**-k, 1 - 2.0 ** -(k + 1), min(count, 2 ** (23 - k))))
    positive.append((1 - 2.0**-24, 1.0, 1))
    positive += [(1.0, 1.5, 16 * resolution), (1.5, 2.0, 4 * resolution)]
    for k in range(1, 32):
        count = (8 if k <= 3 else 4) * resolution if k <= 16 else sparse
        positive.append((2.0**k, 2.0 ** (k + 1), count))
    return [(-end, -start, count) for start, end, count in reversed(positive)] + positive


class ThresholdBins:
    """Two bins: accepted, for distances not above the threshold, or similarities not below it, and rejected."""

    count = 2

    def __init__(self, threshold: float):
        self._threshold = float(np.float32(threshold))

    def __call__(self, scores: Tensor, negate: bool) -> Tensor:
        """Return the bins of distances `(n,)`, or of similarities if `negate` is true: 0 or 1, as int32."""
        return ops.cast(scores < self._threshold if negate else scores > self._threshold, "int32")
