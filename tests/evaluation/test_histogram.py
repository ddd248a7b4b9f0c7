import math

import numpy as np
import pytest
from evaluation.toy_pairs import report

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize(
    ("similar", "different"),
    [([0.1 + 0.2] * 4, [0.3] * 4), ([0.0], [5e-324]), ([1e150, -1e150], [1e150, 1e-310]), ([1e9, 1e9 + 1e-7], [1e9])],
)
def test_bins_hold_nearly_equal_and_huge_distances(similar, different):
    found = report(similar, different)
    edges = found.histogram["edges"]
    assert edges == sorted(set(edges))
    assert edges[0] <= min(similar + different) <= max(similar + different) <= edges[-1]
    assert (sum(found.histogram["similar"]), sum(found.histogram["different"])) == pytest.approx((1, 1))


def test_equally_distant_embeddings_have_wide_bins():
    found = kbs.evaluate_embeddings(np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0], [0, 1, 2] * 4)
    assert np.ptp(found.histogram["edges"]) > 1


def test_bins_leave_out_distant_outliers():
    distances = np.random.default_rng(0).uniform(1, 2, 4000)
    distances[[0, 1, 2000, 2001]] = [1e9, math.inf, -1e9, -math.inf]
    found = report(distances[:2000], distances[2000:])
    edges = found.histogram["edges"]
    assert (edges[0], edges[-1]) == pytest.approx((1, 2), abs=0.01)
    assert found.histogram["above"] == {"similar": 0.001, "different": 0}
    assert found.histogram["below"] == {"similar": 0, "different": 0.001}
    assert sum(found.histogram["similar"]) == pytest.approx(0.999)
    assert report(distances[:2000], distances[2000:], threshold=7.0).histogram["edges"][-1] == 7
