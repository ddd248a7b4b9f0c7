"""The semi-hard negative of each pair, where distances are equal, and beyond float32."""

import numpy as np
import pytest

from keras_balanced_siamese._backend import ops, to_numpy
from keras_balanced_siamese.losses.triplet import semi_hard


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_among_equal_distances_the_first_farther_or_the_last_farthest_negative_is_taken(dtype):
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    d = rng.choice([0.0, 0.5, 1.0, 2.0, np.inf], size=(12, 12)).astype(dtype)
    negative = labels[:, None] != labels[None, :]
    found = to_numpy(semi_hard(ops.convert_to_tensor(d), ops.convert_to_tensor(negative)))
    for a, p in np.argwhere(~negative):
        candidates = [(d[a, n], n) for n in np.flatnonzero(negative[a])]
        farther = [one for one in candidates if one[0] > d[a, p]]
        assert found[a, p] == (min(farther) if farther else max(candidates))[1]
