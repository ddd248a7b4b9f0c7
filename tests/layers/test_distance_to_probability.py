"""Probability from a distance."""

import itertools

import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import to_numpy


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_confidently_wrong_pair_still_learns(policy):
    layer = kbs.DistanceToProbability(slope=10.0, threshold=1.0, dtype=policy)
    inputs = keras.Input((1,), dtype="float32")
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.1), kbs.WeightedBinaryCrossentropy())
    before = model.get_weights()
    model.train_on_batch(np.array([[0.2]]), np.array([[0.0]]))
    assert all(abs(new - old) > 1e-3 for new, old in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_a_half_is_at_the_threshold_under_every_policy(policy):
    for slope, threshold in ((1e3, 1.0003), (1e-4, 94857.0)):  # float16 has neither threshold
        layer = kbs.DistanceToProbability(slope, threshold, dtype=policy)
        assert "float32" in str(layer.compute_dtype)
        inputs = np.array([[0.9999], [1.0], [1.0007]], "float32") * threshold
        probability = to_numpy(layer(inputs))
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(-slope * (threshold - inputs))), rtol=1e-2)
        assert probability[1] == 0.5


def test_probability_is_a_half_at_the_threshold_and_falls():
    layer = kbs.DistanceToProbability(slope=3.0, threshold=0.7)
    probability = to_numpy(layer(np.array([[0.0], [0.7], [1.4]]))).ravel()
    np.testing.assert_allclose(probability, [1 / (1 + np.exp(-2.1)), 0.5, 1 / (1 + np.exp(2.1))], rtol=1e-6)
    assert all(a > b for a, b in itertools.pairwise(probability))


def test_probability_layer_learns_unless_fixed():
    for trainable, expected in ((True, 2), (False, 0)):
        layer = kbs.DistanceToProbability(trainable=trainable)
        layer(np.zeros((1, 1)))
        assert len(layer.trainable_weights) == expected


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
def test_slope_must_be_positive(bad):
    with pytest.raises(ValueError, match=r"positive.*Received"):
        kbs.DistanceToProbability(slope=bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_threshold_must_be_finite(bad):
    with pytest.raises(ValueError, match=r"finite.*Received"):
        kbs.DistanceToProbability(threshold=bad)


def test_current_values_are_those_after_training():
    layer = kbs.DistanceToProbability(slope=3.0, threshold=0.5)
    assert (layer.current_slope, layer.current_threshold) == (3.0, 0.5)
    layer.build((None, 1))
    layer.set_weights([np.float32(2.0), np.float32(0.75)])
    assert (layer.current_slope, layer.current_threshold) == (2.0, 0.75)
    assert (layer.slope, layer.threshold) == (3.0, 0.5)
