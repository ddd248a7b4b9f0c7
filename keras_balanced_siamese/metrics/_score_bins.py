"""Scores -> bins that follow their order, for scores of any range."""

import numpy as np

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor

SMALLEST_NORMAL = 2.0**-126  # below it, backends may take a float32 for 0


BLOCK = 64  # bins that are looked through together
COARSE = 8  # bins that one bin of a class joins


class ScoreBins:
    """Bins for every real number, in order, without a range to be given.

    They are dense where scores crowd. Each octave has bins of one width: octaves toward 0, toward 1 (for probabilities
    and cosines, whose distance from 1 counts) and outwards, and the same for negative scores. 0 has a bin of its own;
    what lies beyond 2 ** 32 shares the outermost one. At either end some bins stay empty, so that each used one has two
    neighbours, also where they are joined, and blocks are whole.

    Args:
        resolution: Bins in an octave from 2 ** -12 toward 0 or 1, of which those from 1/32 to 31/32 are divided until
            all bins there have one width. The octave from 1 to 2 has bins of that width up to 1.5, since unlike unit
            vectors lie at sqrt(2). The next three have 8 times as many bins as an octave toward 0, those up to 2 ** 17
            4 times as many, for distances that grow with the dimension and their squares, and very small or large
            ones an eighth.
    """

    def __init__(self, resolution: int):
        start, end, count = np.array(_segments(resolution)).T  # each (segments,)
        unit = BLOCK * COARSE
        self.count = -(-int(count.sum() + 1 + 2 * COARSE) // unit) * unit
        self._start = start.astype("float32")
        self._rate = (count / (end - start)).astype("float32")  # bins per unit of score
        self._most = count.astype("float32")

    def __call__(self, scores: Tensor) -> Tensor:
        """The bins of scores `(n,)`, as int32.

        Each segment of the scale adds the number of its bins that lie below the score. These terms never fall when the
        score rises, whatever is rounded, so neither does their sum: no two scores are ever put in the wrong order.
        """
        start, rate, most = (ops.convert_to_tensor(one) for one in (self._start, self._rate, self._most))
        within = ops.floor((scores[:, None] - start) * rate)  # (n, segments)
        return ops.cast(ops.sum(ops.clip(within, 0.0, most), axis=-1), "int32") + COARSE


def _segments(resolution: int) -> list[tuple[float, float, int]]:
    """Start, end and number of bins of each stretch of the scale, in order."""
    sparse = max(resolution // 8, 1)
    positive = [(0.0, SMALLEST_NORMAL, 1), (SMALLEST_NORMAL, 2.0**-32, sparse)]
    for k in range(32, 1, -1):  # up to 1/2
        count = 2 ** max(5 - k, 0) * resolution if k <= 12 else sparse
        positive.append((2.0**-k, 2.0 ** (1 - k), count))
    for k in range(1, 24):  # up to 1; the last octaves hold fewer numbers than bins
        count = 2 ** max(4 - k, 0) * resolution if k <= 12 else sparse
        positive.append((1 - 2.0**-k, 1 - 2.0 ** -(k + 1), min(count, 2 ** (23 - k))))
    positive.append((1 - 2.0**-24, 1.0, 1))
    positive += [(1.0, 1.5, 16 * resolution), (1.5, 2.0, 4 * resolution)]
    for k in range(1, 32):
        count = (8 if k <= 3 else 4) * resolution if k <= 16 else sparse
        positive.append((2.0**k, 2.0 ** (k + 1), count))
    return [(-end, -start, count) for start, end, count in reversed(positive)] + positive


class ThresholdBins:
    """Two bins: accepted, which is a distance not above the threshold, and rejected.

    Args:
        threshold: The threshold, of distances or of scores.
        higher_is_similar: Whether it is one of scores that grow with likeness, which arrive here with a minus sign.
    """

    count = 2

    def __init__(self, threshold: float, higher_is_similar: bool):
        self._threshold = float(np.float32(-threshold if higher_is_similar else threshold))

    def __call__(self, scores: Tensor) -> Tensor:
        """The bins of distances `(n,)`, 0 or 1, as int32."""
        return ops.cast(scores > self._threshold, "int32")
