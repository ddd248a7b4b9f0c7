"""Distances of all pairs of a batch."""

import numpy as np
import pytest
from losses.references import distance
from toy import gradient

import keras_balanced_siamese as kbs
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


KINDS = ["euclidean", "squared", "cosine"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-9, 1e17, 1e18, 1e20, 1e30, 1e37])
def test_distances_of_very_large_and_very_small_embeddings(kind, scale):
    x = (np.random.default_rng(0).normal(size=(7, 4)) * scale).astype("float32")
    expected = np.array([[distance(kind, a, b) for b in x.astype("float64")] for a in x.astype("float64")])
    found = to_numpy(distances(ops.convert_to_tensor(x), kind))
    beyond = expected > 3.4e38  # as squares may be
    assert np.isinf(found[beyond]).all()
    np.testing.assert_allclose(found[~beyond], expected[~beyond], rtol=1e-5, atol=2e-7 if kind == "cosine" else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e17, 1e18, 1e20, 1e30])
def test_the_gradients_of_very_large_embeddings_are_those_of_small_ones(kind, scale):
    x = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    labels = np.array([0, 0, 0, 1, 1, 2])[:, None]
    power = {"euclidean": 0, "squared": 1, "cosine": -1}[kind]
    if kind == "squared" and scale > 1e18:  # squares are infinite
        return
    losses = [kbs.WeightedTripletLoss(1e-9, mining, kind) for mining in ("hard", "semi-hard")]
    losses.append(kbs.WeightedBatchContrastiveLoss(1e-9, squared=False, distance=kind, normalize="all"))
    for loss in losses:
        expected = gradient(x, labels, loss=loss)
        found = gradient(x * np.float32(scale), labels, loss=loss)
        np.testing.assert_allclose(found / scale**power, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("length", [1e-6, 1e-9, 1e-13, 1e-30])
def test_nearly_zero_embeddings_have_bounded_gradients(length):
    x = np.random.default_rng(0).normal(size=(6, 3)) * length
    labels = np.array([0, 0, 0, 1, 1, 2])[:, None]
    for loss in (
        kbs.WeightedBatchContrastiveLoss(distance="cosine"),
        kbs.WeightedTripletLoss(distance="cosine"),
        kbs.WeightedSupervisedContrastiveLoss(0.5),
        kbs.WeightedMultiSimilarityLoss(beta=2.0),
    ):
        assert np.abs(gradient(x, labels, loss=loss)).max() < 1e6
