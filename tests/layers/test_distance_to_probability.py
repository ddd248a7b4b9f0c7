"""Probability from a distance."""

import itertools
import math

import keras
import numpy as np
import pytest
from toy import linear_encoder

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


@pytest.mark.parametrize("bad", [-0.5, -1e-30])
def test_a_negative_threshold_accepts_nothing_and_is_refused(bad):
    with pytest.raises(ValueError, match=r"must not be negative.*1 - cosine.*Received: threshold=-"):
        kbs.DistanceToProbability(threshold=bad)
    kbs.DistanceToProbability(threshold=0.0)
    kbs.DistanceToProbability(threshold=bad, calibration={"operating_point": "posterior"})  # right for rare pairs


def test_a_record_must_be_a_mapping():
    with pytest.raises(TypeError, match=r"record of `calibrate`.*Received: calibration='eer'"):
        kbs.DistanceToProbability(calibration="eer")


def test_slope_and_threshold_are_the_current_values():
    layer = kbs.DistanceToProbability(slope=0.3, threshold=0.1)
    layer.build((None, 1))
    assert (layer.slope, layer.threshold) == (0.3, 0.1)  # not their roundings
    layer.set_weights([np.float32(2.0), np.float32(0.75)])
    assert (layer.slope, layer.threshold) == (layer.current_slope, layer.current_threshold) == (2.0, 0.75)


def verifier(layer):
    inputs = keras.Input((1,))
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", kbs.WeightedBinaryCrossentropy())
    return model


D = np.array([[0.0], [0.4], [0.9]], "float32")


def expected(slope, threshold):
    return [1 / (1 + math.exp(-slope * (threshold - d))) for d in (0.0, 0.4, 0.9)]


@pytest.mark.parametrize("built_first", [False, True])
def test_a_threshold_can_be_moved_everywhere(built_first, tmp_path):
    layer = kbs.DistanceToProbability(slope=4.0, threshold=0.8, trainable=False)
    if built_first:
        model = verifier(layer)
        model.predict(D, verbose=0)
        model.evaluate(D, np.ones((3, 1)), verbose=0)
    layer.threshold = 0.4
    layer.slope = 3.0
    model = model if built_first else verifier(layer)
    np.testing.assert_allclose(model.predict(D, verbose=0)[:, 0], expected(3.0, 0.4), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(model(D))[:, 0], expected(3.0, 0.4), rtol=1e-5)
    loss = -np.mean(np.log(expected(3.0, 0.4)))
    assert model.evaluate(D, np.ones((3, 1)), verbose=0) == pytest.approx(loss, rel=1e-5)
    assert (layer.slope, layer.threshold) == (3.0, 0.4)
    again = kbs.DistanceToProbability.from_config(layer.get_config())
    assert (again.slope, again.threshold) == (3.0, 0.4)
    model.save(tmp_path / "verifier.keras")
    opened = keras.models.load_model(tmp_path / "verifier.keras")
    assert (opened.layers[-1].slope, opened.layers[-1].threshold) == (3.0, 0.4)
    opened.layers[-1].threshold = 0.9
    np.testing.assert_allclose(opened.predict(D, verbose=0)[:, 0], expected(3.0, 0.9), rtol=1e-5)


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("bad", [-0.5, math.nan, math.inf, "0.3"])
def test_an_assigned_value_is_checked_and_the_old_one_kept(built, bad):
    layer = kbs.DistanceToProbability(2.0, 0.5)
    if built:
        layer.build((None, 1))
    for name in ("slope", "threshold"):
        with pytest.raises((ValueError, TypeError), match=f"{name}.*Received: {name}="):
            setattr(layer, name, bad)
    assert (layer.slope, layer.threshold) == (2.0, 0.5)
    with pytest.raises(AttributeError):
        layer.calibration = {}


RECORD = {"operating_point": "eer", "prior": 0.5}


def test_the_record_applies_to_the_values_of_the_calibration_only(tmp_path):
    layer = kbs.DistanceToProbability(3.3, 0.7, RECORD, trainable=False)
    model = verifier(layer)
    assert layer.calibration == RECORD
    layer.threshold = 0.6
    assert layer.calibration is None
    assert layer.get_config()["calibration"] is None
    layer.threshold = 0.7
    assert layer.calibration == RECORD
    layer.set_weights([np.float32(3.3), np.float32(0.71)])
    assert layer.calibration is None
    model.save(tmp_path / "verifier.keras")
    assert keras.models.load_model(tmp_path / "verifier.keras").layers[-1].calibration is None


@pytest.mark.parametrize("trainable", [False, True])
def test_a_training_ends_the_validity_of_the_record(trainable, tmp_path):
    layer = kbs.DistanceToProbability(3.0, 0.7, RECORD, trainable=trainable)
    model = kbs.siamese_model(linear_encoder(), probability=layer)
    model.compile("sgd", kbs.WeightedBinaryCrossentropy())
    sides, similar = (np.ones((4, 4)), np.zeros((4, 4))), np.ones((4, 1))
    model.predict(sides, verbose=0)
    model.evaluate(sides, similar, verbose=0)
    assert layer.calibration == RECORD
    model.fit(sides, similar, verbose=0)  # moves the distances, if not the threshold
    assert layer.calibration is None
    model.save(tmp_path / "verifier.keras")
    assert keras.models.load_model(tmp_path / "verifier.keras").get_layer(layer.name).calibration is None


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # Keras, after the error
@pytest.mark.parametrize(("slope", "threshold"), [(-3.0, 0.5), (math.nan, 0.5), (2.0, math.nan), (2.0, math.inf)])
def test_files_with_impossible_values_are_refused(slope, threshold, tmp_path):
    model = verifier(kbs.DistanceToProbability(2.0, 0.5))
    model.layers[-1].set_weights([np.float32(slope), np.float32(threshold)])
    path = str(tmp_path / "bad.weights.h5")
    model.save_weights(path)
    with pytest.raises(ValueError, match=r"Received: (slope|threshold)="):
        verifier(kbs.DistanceToProbability(2.0, 0.5)).load_weights(path)
    with pytest.raises((ValueError, TypeError), match=r"Received: (slope|threshold)="):  # Keras wraps it
        kbs.DistanceToProbability.from_config({"slope": slope, "threshold": threshold})


def test_a_slope_of_0_as_training_may_leave_it_can_be_loaded(tmp_path):
    model = verifier(kbs.DistanceToProbability(2.0, 0.5))
    model.layers[-1].set_weights([np.float32(0.0), np.float32(-0.5)])
    model.save(tmp_path / "flat.keras")
    opened = keras.models.load_model(tmp_path / "flat.keras").layers[-1]
    assert (opened.slope, opened.threshold) == (0.0, -0.5)


def test_two_embeddings_are_refused():
    for sides in ([keras.Input((4,)), keras.Input((4,))], [np.ones((2, 4)), np.ones((2, 4))]):
        with pytest.raises(ValueError, match=r"takes the distance of two embeddings[\s\S]*probability=layer"):
            kbs.DistanceToProbability()(sides)


def test_an_infinite_distance_is_a_certain_no_with_a_gradient_of_0():
    layer = kbs.DistanceToProbability(2.0, 0.5)
    model = verifier(layer)
    distance = np.array([[np.inf], [3e38], [0.5]], "float32")
    assert model.predict(distance, verbose=0).tolist() == [[0.0], [0.0], [0.5]]
    model.train_on_batch(distance, np.array([[0.0], [1.0], [1.0]]))
    assert np.isfinite(model.get_weights()).all()
    assert np.isnan(model.predict(np.array([[np.nan]]), verbose=0)).all()
