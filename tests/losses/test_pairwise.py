"""Distances of all pairs of a batch."""

import numpy as np
import pytest
from losses.references import distance

from keras_balanced_siamese._backend import ops, to_numpy
from keras_balanced_siamese._pairwise import distances


@pytest.mark.parametrize("kind", ["euclidean", "squared"])
def test_distances_are_exact_where_the_expansion_loses_digits(kind):
    rng = np.random.default_rng(0)
    centres = np.repeat([[1000.0], [-1000.0], [30.0]], 4, axis=0)
    for spread in (0.1, 1.0, 100.0):  # tight groups far apart: 1e-4 of their distance
        x = (centres + spread * rng.normal(size=(12, 6))).astype("float32")
        expected = [[distance(kind, a, b) for b in x] for a in x]
        np.testing.assert_allclose(to_numpy(distances(ops.convert_to_tensor(x), kind)), expected, rtol=1e-5)


def test_cosine_distances_of_near_parallel_and_of_zero_vectors():
    rng = np.random.default_rng(0)
    x = (np.ones((6, 4)) + 1e-3 * rng.normal(size=(6, 4))).astype("float32")
    expected = [[distance("cosine", a, b) for b in x] for a in x]
    np.testing.assert_allclose(to_numpy(distances(ops.convert_to_tensor(x), "cosine")), expected, rtol=1e-3, atol=1e-12)
    x[0] = 0
    found = to_numpy(distances(ops.convert_to_tensor(x), "cosine"))
    np.testing.assert_allclose(found[0], 1.0)  # a zero vector has the cosine 0 with all
