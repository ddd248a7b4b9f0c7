import json

import keras
import numpy as np
import pytest
from calibration.toy_distances import gaussians, quantiles, rates
from toy import linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese.calibration._calibrate import _decisions

OPERATING_POINTS = ["eer", "balanced_accuracy", "f1", "posterior", {"far": 0.05}, {"far": 0.001}, {"cost": (1, 10)}]


@pytest.mark.parametrize("operating_point", OPERATING_POINTS, ids=str)
def test_the_record_is_plain_and_agrees_with_the_layer(operating_point):
    distances, similar = gaussians()
    layer = kbs.calibrate(distances, similar, operating_point=operating_point, prior=0.2)
    record = layer.calibration
    assert record == json.loads(json.dumps(record))
    assert record["operating_point"] == json.loads(json.dumps(operating_point))
    assert record["prior"] == 0.2
    achieved = rates(distances, similar, layer.threshold)
    assert (record["false_accept_rate"], record["false_reject_rate"]) == pytest.approx(achieved, abs=1e-12)
    assert (record["n_similar"], record["n_different"]) == (2000, 2000)


@pytest.mark.parametrize("far_away", [1e3, 1e8, 1e38])
@pytest.mark.parametrize("is_similar", [True, False])
def test_the_record_has_the_decisions_despite_an_outlier(far_away, is_similar):
    distances, similar = gaussians()
    distances[0 if is_similar else -1] = far_away
    layer = kbs.calibrate(distances, similar)
    decided = np.asarray(layer(distances.astype("float32"))) >= 0.5
    assert layer.calibration["false_accept_rate"] == pytest.approx(decided[~similar].mean(), abs=1e-12)
    assert layer.calibration["false_reject_rate"] == pytest.approx((~decided)[similar].mean(), abs=1e-12)


@pytest.mark.parametrize("sample_prior", [0.5, 0.2])
@pytest.mark.parametrize("n", [1000, 4000])
def test_the_posterior_of_two_gaussians_is_calibrated(n, sample_prior):
    similar = np.arange(n) < sample_prior * n
    distances = np.concatenate([quantiles(0.8, 0.3, similar.sum()), quantiles(1.4, 0.3, (~similar).sum())])
    for prior in (0.5, 1e-3, 1e-6, 0.999):
        layer = kbs.calibrate(distances, similar, operating_point="posterior", prior=prior)
        assert layer.calibration["expected_calibration_error"] < 0.01


def test_a_slope_lost_in_float32_is_an_error():
    distances, _ = gaussians()
    _decisions(kbs.DistanceToProbability(0.1, 1.6), np.sort(distances))
    with pytest.raises(ValueError, match=r"hardly separate.*pairs with another decision, slope 7\.6e-08"):
        _decisions(kbs.DistanceToProbability(7.6e-8, 1.6), np.sort(distances))


def test_pairs_of_weight_zero_do_not_change_the_layer():
    distances, similar = gaussians(200)
    weight = np.ones(204)
    weight[200:] = 0
    more = np.append(distances, [0.0, 9.0, 1e30, 0.1]), np.append(similar, [False, True, True, False])
    layer, plain = kbs.calibrate(*more, sample_weight=weight), kbs.calibrate(distances, similar)
    assert (layer.slope, layer.threshold, layer.calibration) == (plain.slope, plain.threshold, plain.calibration)


def test_the_layer_separates_neighbours_in_float32():
    below, above = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    similar = [1, 1, 1, 0, 0, 0]
    for low, high in ((below, above), (above, np.nextafter(above, np.float32(1)))):  # halfway rounds down, then up
        layer = kbs.calibrate([0.1, 0.2, low, high, 1.0, 1.1], similar, operating_point="balanced_accuracy")
        assert (layer.calibration["false_accept_rate"], layer.calibration["false_reject_rate"]) == (0.0, 0.0)


def test_half_precision_keeps_the_threshold(x, y):
    pairs = kbs.BalancedPairSequence(x, y, batch_size=200, steps_per_epoch=1, redraw=False, seed=0)
    left, right, similar = pairs.indices(0)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        encoder = linear_encoder()
        distances = kbs.siamese_model(encoder).predict((x[left], x[right]), verbose=0)
        layer = kbs.calibrate(distances, similar, operating_point="posterior")
        probability = kbs.siamese_model(encoder, probability=layer).predict((x[left], x[right]), verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert probability.dtype == "float32"
    expected = 1 / (1 + np.exp(-layer.slope * (layer.threshold - distances.astype("float64"))))
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    assert ((probability >= 0.5) == (distances.astype("float32") <= np.float32(layer.threshold))).all()


def test_a_saved_verifier_keeps_threshold_and_record(x, y, tmp_path):
    encoder = linear_encoder()
    pairs = kbs.BalancedPairSequence(x, y, batch_size=200, steps_per_epoch=1, redraw=False, seed=0)
    left, right, similar = pairs.indices(0)
    distances = kbs.siamese_model(encoder).predict((x[left], x[right]), verbose=0)
    layer = kbs.calibrate(distances, similar, operating_point={"cost": (10, 1)}, prior=0.2)
    verifier = kbs.siamese_model(encoder, probability=layer)
    verifier.save(tmp_path / "verifier.keras")
    opened = keras.models.load_model(tmp_path / "verifier.keras")
    probability = opened.predict((x[left], x[right]), verbose=0)
    clear = np.abs(distances - layer.threshold) > 1e-5
    assert (probability[clear] >= 0.5).tolist() == (distances[clear] <= layer.threshold).tolist()
    found = opened.get_layer("probability")
    assert found.calibration == layer.calibration
    assert found.current_threshold == layer.threshold
    assert not found.trainable_weights


def test_evaluating_on_the_same_pairs_warns():
    distances, similar = gaussians()
    layer = kbs.calibrate(distances, similar, operating_point="posterior", prior=0.05)
    with pytest.warns(UserWarning, match="pairs that the threshold was calibrated on"):
        kbs.evaluate_pairs(distances[::-1], similar[::-1], threshold=layer)
    for changed in (distances.astype("float16"), distances * (1 + 1e-6), np.append(distances, 9.0)):
        weight = np.arange(len(changed)) < len(distances)  # a pair of weight 0 does not count
        with pytest.warns(UserWarning, match="pairs that the threshold was calibrated on"):
            kbs.evaluate_pairs(
                changed, np.append(similar, True)[: len(changed)], sample_weight=weight, threshold=layer, n_resamples=0
            )
    found = kbs.evaluate_pairs(*gaussians(seed=1), threshold=layer)  # other pairs: no warning
    assert found.threshold == layer.threshold
    assert found.calibration["expected_calibration_error"] < 0.01
    assert "expected calibration error" in str(found)


def verified(x, y):
    """A model that ends in a probability, its probabilities of pairs, and the true pair labels."""
    model = kbs.siamese_model(linear_encoder(), probability=kbs.DistanceToProbability(8.0, 0.8))
    pairs = kbs.BalancedPairSequence(x, y, batch_size=200, steps_per_epoch=1, redraw=False, seed=0)
    left, right, similar = pairs.indices(0)
    return model.predict((x[left], x[right]), verbose=0), similar, (x[left], x[right])


def test_probabilities_and_their_negatives_are_refused_with_advice_that_works(x, y):
    probability, similar, sides = verified(x, y)
    with pytest.raises(ValueError, match=r"siamese_model\(encoder\)\.predict"):
        kbs.calibrate(probability, similar)
    with pytest.raises(ValueError, match=r"must not be negative.*siamese_model\(encoder\)\.predict"):
        kbs.calibrate(-probability, similar)
    layer = kbs.calibrate(kbs.siamese_model(linear_encoder()).predict(sides, verbose=0), similar)
    decided = kbs.siamese_model(linear_encoder(), probability=layer).predict(sides, verbose=0) >= 0.5
    assert (decided[:, 0] == similar).mean() > 0.6


def test_one_minus_a_probability_is_recognised(x, y):
    probability, similar, sides = verified(x, y)
    with pytest.warns(UserWarning, match="look like 1 - p"):
        kbs.calibrate(1 - probability, similar)
    for layer in (kbs.EuclideanDistance(), kbs.CosineDistance()):  # small distances are no probabilities
        distances = kbs.siamese_model(linear_encoder(), layer).predict(sides, verbose=0)
        kbs.calibrate(distances / distances.max(), similar)


def test_rounding_below_0_is_no_negative_distance():
    cosine = np.array([1 + 2e-7, 1.0, 0.9, 0.8, 0.3, 0.1, -0.2, 0.0])
    assert kbs.calibrate(1 - cosine, [1, 1, 1, 1, 0, 0, 0, 0]).threshold > 0


def test_a_posterior_of_rare_pairs_may_accept_nothing(tmp_path):
    layer = kbs.calibrate(*gaussians(), operating_point="posterior", prior=1e-6)
    assert layer.threshold < 0
    model = kbs.siamese_model(linear_encoder(), probability=layer)
    model.save(tmp_path / "rare.keras")
    assert keras.models.load_model(tmp_path / "rare.keras").get_layer("probability").threshold == layer.threshold
