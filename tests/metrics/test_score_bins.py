"""Bins of scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese._backend import ops, to_numpy
from keras_balanced_siamese.metrics._score_bins import ScoreBins


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=300), st.sampled_from([1, 7, 512, 4096]))
def test_bins_never_swap_scores(scores, resolution):
    bins = ScoreBins(resolution)
    near = [
        np.nextafter(np.float32(s), np.float32(side), dtype="float32") for s in scores for side in (-np.inf, np.inf)
    ]
    ordered = np.sort(np.array([*scores, *near, 0.0, 0.5, 1.0, 2.0], "float32"))
    found = to_numpy(bins(ops.convert_to_tensor(ordered), False))
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 0
    assert found[-1] < bins.count


def test_bins_are_fine_where_scores_crowd():
    bins = ScoreBins(512)
    assert bins.count == 150_016

    def separates(*scores):
        found = to_numpy(bins(ops.convert_to_tensor(np.array(scores, "float32")), False))
        return len(set(found.tolist())) == len(scores)

    assert separates(-1e-37, 0.0, 2e-38)
    assert separates(1.0, 1.0 + 2**-12, 1.41, 1.4101, 3.0, 3.001, 22.0, 22.01, 980.0, 980.3)
    assert separates(0.04, 0.0401, 0.3, 0.3001, 0.51, 0.5101, 0.8, 0.8001, 0.95, 0.9501)
    assert separates(1 - 2**-24, 1.0, 1 - 2**-23, 1 - 2**-13)
    assert separates(1e-3, 1.02e-3, -1e-3, -1.02e-3)
    assert separates(1e-3, 1.003e-3, 4950, 4952, 20_000, 20_010, 90_000, 90_030)
    assert separates(1e12, 1e9, 1e8, 1e4, -np.inf, -1e9)
