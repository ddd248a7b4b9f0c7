import json
from statistics import NormalDist

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import clusters, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese.calibration._calibrate import _decisions


def gaussians(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    similar = np.arange(n) < n // 2
    return np.where(similar, rng.normal(1.0, 0.4, n), rng.normal(2.2, 0.4, n)), similar


def rates(distances, similar, threshold):
    return np.mean(distances[~similar] <= threshold), np.mean(distances[similar] > threshold)


def cuts(distances):
    """Every threshold that makes a difference, one in each gap."""
    ordered = np.unique(distances)
    return [*((ordered[1:] + ordered[:-1]) / 2), ordered[-1]]


small = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=6, max_size=30).filter(
    lambda pairs: (
        0 < sum(s for _, s in pairs) < len(pairs)
        and np.mean([d for d, s in pairs if s]) < np.mean([d for d, s in pairs if not s]) - 0.5
    )
)


@given(small)
def test_balanced_accuracy_is_the_largest(pairs):
    distances, similar = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])
    layer = kbs.calibrate(distances, similar, operating_point="balanced_accuracy")
    best = max(1 - sum(rates(distances, similar, t)) / 2 for t in cuts(distances))
    assert 1 - sum(rates(distances, similar, layer.threshold)) / 2 == pytest.approx(best)


@given(small, st.sampled_from([0.1, 0.5, 0.8]))
def test_f1_is_the_largest(pairs, prior):
    distances, similar = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])

    def f1(threshold):
        far, frr = rates(distances, similar, threshold)
        precision = prior * (1 - frr) / (prior * (1 - frr) + (1 - prior) * far) if frr < 1 else 0
        return 2 * precision * (1 - frr) / (precision + 1 - frr) if precision else 0

    layer = kbs.calibrate(distances, similar, operating_point="f1", prior=prior)
    assert f1(layer.threshold) == pytest.approx(max(map(f1, cuts(distances))))


@given(small)
def test_cost_is_the_least(pairs):
    distances, similar = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])

    def cost(threshold):
        far, frr = rates(distances, similar, threshold)
        return 20 * 0.3 * frr + 1 * 0.7 * far

    layer = kbs.calibrate(distances, similar, operating_point={"cost": (20, 1)}, prior=0.3)
    assert cost(layer.threshold) == pytest.approx(min(map(cost, cuts(distances))))


@pytest.mark.parametrize("far", [0.1, 0.01, 0.001])
def test_false_accept_rate_is_kept_and_used_up(far):
    distances, similar = gaussians()
    layer = kbs.calibrate(distances, similar, operating_point={"far": far})
    achieved, frr = rates(distances, similar, layer.threshold)
    assert achieved <= far < achieved + 1 / 2000 + 1e-12
    assert layer.calibration["false_accept_rate"] == pytest.approx(achieved)
    assert layer.calibration["false_reject_rate"] == pytest.approx(frr)


def test_equal_error_rate_is_that_of_the_report():
    distances, similar = gaussians()
    layer = kbs.calibrate(distances, similar)
    assert layer.threshold == pytest.approx(kbs.evaluate_pairs(distances, similar).eer_threshold, rel=1e-7)
    assert layer.threshold == pytest.approx(1.6, abs=0.03)


def quantiles(mean, deviation, n):
    """A sample of a normal distribution without chance."""
    return np.array([NormalDist(mean, deviation).inv_cdf((k + 0.5) / n) for k in range(n)])


@pytest.mark.parametrize("drawn", [0.5, 0.2])
@pytest.mark.parametrize("n", [1000, 4000])
def test_posterior_of_two_gaussians_in_closed_form(n, drawn):
    similar = np.arange(n) < drawn * n
    distances = np.concatenate([quantiles(0.8, 0.3, similar.sum()), quantiles(1.4, 0.3, (~similar).sum())])
    slope = (1.4 - 0.8) / 0.3**2
    for prior in (0.5, 1e-3, 1e-6, 0.999):
        layer = kbs.calibrate(distances, similar, operating_point="posterior", prior=prior)
        assert layer.slope == pytest.approx(slope, rel=0.02)
        assert layer.threshold == pytest.approx(1.1 + np.log(prior / (1 - prior)) / slope, abs=0.04)
        assert layer.calibration["expected_calibration_error"] < 0.01


@pytest.mark.parametrize("far_away", [1e3, 1e8, 1e38])
@pytest.mark.parametrize("is_similar", [True, False])
def test_a_distance_far_from_all_others_does_not_flatten_the_slope(far_away, is_similar):
    distances, similar = gaussians()
    whole = kbs.calibrate(distances, similar)
    distances[0 if is_similar else -1] = far_away
    layer = kbs.calibrate(distances, similar)
    assert layer.slope == pytest.approx(whole.slope, rel=0.25)
    decided = np.asarray(layer(distances.astype("float32"))) >= 0.5
    assert layer.calibration["false_accept_rate"] == pytest.approx(decided[~similar].mean(), abs=1e-12)
    assert layer.calibration["false_reject_rate"] == pytest.approx((~decided)[similar].mean(), abs=1e-12)


def test_a_slope_that_float32_cannot_tell_from_zero_is_an_error():
    distances, _ = gaussians()
    _decisions(kbs.DistanceToProbability(0.1, 1.6), np.sort(distances))
    with pytest.raises(ValueError, match=r"hardly tell.*pairs with another decision, slope 7\.6e-08"):
        _decisions(kbs.DistanceToProbability(7.6e-8, 1.6), np.sort(distances))


def test_weights_of_zero_leave_pairs_out():
    distances, similar = gaussians(200)
    weight = np.ones(204)
    weight[200:] = 0
    more = np.append(distances, [0.0, 9.0, 1e30, 0.1]), np.append(similar, [False, True, True, False])
    layer, plain = kbs.calibrate(*more, sample_weight=weight), kbs.calibrate(distances, similar)
    assert (layer.slope, layer.threshold, layer.calibration) == (plain.slope, plain.threshold, plain.calibration)


def test_the_threshold_parts_neighbours_in_float32():
    below, above = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    similar = [1, 1, 1, 0, 0, 0]
    for low, high in ((below, above), (above, np.nextafter(above, np.float32(1)))):  # halfway rounds down, then up
        layer = kbs.calibrate([0.1, 0.2, low, high, 1.0, 1.1], similar, operating_point="balanced_accuracy")
        assert layer.threshold == float(low)
        assert (layer.calibration["false_accept_rate"], layer.calibration["false_reject_rate"]) == (0.0, 0.0)


def test_half_precision_keeps_the_threshold():
    x, y = clusters()
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


def test_slope_equals_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    distances, similar = gaussians()
    fitted = linear_model.LogisticRegression(C=1e9, tol=1e-10).fit(distances[:, None], similar)
    layer = kbs.calibrate(distances, similar, operating_point="posterior")
    assert layer.slope == pytest.approx(-fitted.coef_[0, 0], rel=0.01)
    assert layer.threshold == pytest.approx(-fitted.intercept_[0] / fitted.coef_[0, 0], abs=0.01)


def test_perfect_separation_has_a_finite_slope():
    layer = kbs.calibrate([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0])
    assert layer.threshold == pytest.approx(0.5)
    assert 0 < layer.slope < 100
    more = kbs.calibrate(np.repeat([0.1, 0.2, 0.8, 0.9], 1000), np.repeat([1, 1, 0, 0], 1000))
    assert np.inf > more.slope > layer.slope


def test_similarities_with_a_minus_sign():
    layer = kbs.calibrate(-np.array([0.9, 0.8, 0.3, 0.1]), [1, 1, 0, 0])
    assert layer.threshold == pytest.approx(-0.55)


def test_weights_are_repetitions():
    distances, similar = gaussians(200)
    times = np.random.default_rng(1).integers(1, 4, 200)
    weighted = kbs.calibrate(distances, similar, sample_weight=times, operating_point="balanced_accuracy")
    repeated = kbs.calibrate(
        np.repeat(distances, times), np.repeat(similar, times), operating_point="balanced_accuracy"
    )
    assert weighted.threshold == pytest.approx(repeated.threshold)


OPERATING_POINTS = ["eer", "balanced_accuracy", "f1", "posterior", {"far": 0.05}, {"cost": (1, 10)}]


@pytest.mark.parametrize("operating_point", OPERATING_POINTS, ids=str)
def test_the_record_is_plain_and_complete(operating_point):
    distances, similar = gaussians()
    layer = kbs.calibrate(distances, similar, operating_point=operating_point, prior=0.2)
    record = layer.calibration
    assert record == json.loads(json.dumps(record))
    assert record["operating_point"] == json.loads(json.dumps(operating_point))
    assert record["prior"] == 0.2
    achieved = rates(distances, similar, layer.threshold)
    assert (record["false_accept_rate"], record["false_reject_rate"]) == pytest.approx(achieved, abs=1e-12)
    assert (record["n_similar"], record["n_different"]) == (2000, 2000)


def test_one_file_holds_encoder_threshold_and_how_it_was_chosen(tmp_path):
    x, y = clusters()
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


def test_judging_on_the_same_pairs_warns():
    distances, similar = gaussians()
    layer = kbs.calibrate(distances, similar, operating_point="posterior", prior=0.05)
    with pytest.warns(UserWarning, match="pairs that the threshold was calibrated on"):
        kbs.evaluate_pairs(distances[::-1], similar[::-1], threshold=layer)
    for usual in (distances.astype("float16"), distances * (1 + 1e-6), np.append(distances, 9.0)):
        weight = np.arange(len(usual)) < len(distances)  # a pair of weight 0 does not count
        with pytest.warns(UserWarning, match="pairs that the threshold was calibrated on"):
            kbs.evaluate_pairs(
                usual, np.append(similar, True)[: len(usual)], sample_weight=weight, threshold=layer, n_resamples=0
            )
    found = kbs.evaluate_pairs(*gaussians(seed=1), threshold=layer)  # others: no warning
    assert found.threshold == layer.threshold
    assert found.calibration["expected_calibration_error"] < 0.01
    assert "expected calibration error" in str(found)


def test_calibration_error_by_hand():
    from keras_balanced_siamese.evaluation._reliability import reliability

    probability, similar = np.array([0.1] * 10 + [0.8] * 5), np.array([1] * 2 + [0] * 8 + [1] * 3 + [0] * 2)
    found = reliability(probability, similar.astype(bool), np.full(15, 1 / 15))
    assert found["expected_calibration_error"] == pytest.approx(10 / 15 * 0.1 + 5 / 15 * 0.2)
    assert found["brier"] == pytest.approx((2 * 0.81 + 8 * 0.01 + 3 * 0.04 + 2 * 0.64) / 15)
    assert found["bins"]["count"] == [10, 5]


def test_brier_and_log_loss_equal_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    from keras_balanced_siamese.evaluation._reliability import reliability

    rng = np.random.default_rng(0)
    p, similar = rng.random(500), rng.random(500) < 0.4
    found = reliability(p, similar, np.full(500, 1 / 500))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(similar, p))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(similar, p))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"operating_point": "EER"}, "one of"),
        ({"operating_point": {"far": 0}}, "one of"),
        ({"operating_point": {"cost": (1, -1)}}, "one of"),
        ({"operating_point": {"cost": 3}}, "one of"),
        ({"operating_point": {"far": "x"}}, "one of.*'x'"),
        ({"operating_point": {"far": None}}, "one of"),
        ({"operating_point": {"far": True}}, "one of"),
        ({"operating_point": {"cost": ("a", 1)}}, "one of"),
        ({"operating_point": {"cost": (True, 1)}}, "one of"),
        ({"operating_point": {"far": 0.1, "cost": (1, 1)}}, "one of"),
        ({"operating_point": {"far": 0.001}}, "at least 1,000 different pairs"),
        ({"operating_point": {"cost": (1, 1e9)}, "prior": 1e-9, "distances": [0.2, 0.2, 0.1, 0.9]}, "accept nothing"),
        ({"prior": 0.0}, "prior"),
        ({"prior": 1.5}, "prior"),
        ({"similar": [1, 1, 1, 1]}, "Both similar and different"),
        ({"distances": [0.1, np.nan, 0.3, 0.4]}, "NaN"),
        ({"distances": [0.1, 0.2, 0.3, np.inf]}, "largest.*Received: 1 infinite .* among 4"),
        ({"distances": [1e300, 2e300, 3e300, 4e300]}, "1e.150"),
        ({"distances": [1e34, 3e34, 2e34, 4e34]}, "multiply them"),
        ({"distances": [1e-39, 3e-39, 2e-39, 4e-39]}, "multiply them"),
        ({"distances": [0.5] * 4}, "collapsed"),
        ({"distances": [0.9, 0.8, 0.2, 0.1]}, "minus sign"),
    ],
)
def test_bad_input(arguments, match):
    given = {"distances": [0.1, 0.3, 0.2, 0.4], "similar": [1, 1, 0, 0], **arguments}
    with pytest.raises(ValueError, match=match):
        kbs.calibrate(given.pop("distances"), given.pop("similar"), **given)


def test_a_false_accept_rate_that_ties_cut_off():
    with pytest.raises(ValueError, match=r"equally close.*distance 0 at 0\.2"):
        kbs.calibrate([0.0] * 6 + [1.0] * 8, [1] * 4 + [0] * 10, operating_point={"far": 0.15})
