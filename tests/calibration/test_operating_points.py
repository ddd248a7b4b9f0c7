import numpy as np
import pytest
from calibration.toy_distances import gaussians, rates
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs
from keras_balanced_siamese.calibration._fit import fit_pairs

pytestmark = pytest.mark.numpy_only


def cuts(distances):
    """One threshold in each gap between distances, and the largest distance."""
    ordered = np.unique(distances)
    return [*((ordered[1:] + ordered[:-1]) / 2), ordered[-1]]


tied_pairs = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=6, max_size=30).filter(
    lambda pairs: (
        0 < sum(s for _, s in pairs) < len(pairs)
        and np.mean([d for d, s in pairs if s]) < np.mean([d for d, s in pairs if not s]) - 0.5
    )
)


@given(tied_pairs)
def test_balanced_accuracy_is_the_largest(pairs):
    distances, similar = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])
    fit = fit_pairs(distances, similar, operating_point="balanced_accuracy")
    best = max(1 - sum(rates(distances, similar, t)) / 2 for t in cuts(distances))
    assert 1 - sum(rates(distances, similar, fit.threshold)) / 2 == pytest.approx(best)


@given(tied_pairs, st.sampled_from([0.1, 0.5, 0.8]))
def test_f1_is_the_largest(pairs, prior):
    distances, similar = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])

    def f1(threshold):
        far, frr = rates(distances, similar, threshold)
        precision = prior * (1 - frr) / (prior * (1 - frr) + (1 - prior) * far) if frr < 1 else 0
        return 2 * precision * (1 - frr) / (precision + 1 - frr) if precision else 0

    fit = fit_pairs(distances, similar, operating_point="f1", prior=prior)
    assert f1(fit.threshold) == pytest.approx(max(map(f1, cuts(distances))))


@given(tied_pairs)
def test_cost_is_the_least(pairs):
    distances, similar = np.array([d for d, _ in pairs], float), np.array([s for _, s in pairs])

    def cost(threshold):
        far, frr = rates(distances, similar, threshold)
        return 20 * 0.3 * frr + 1 * 0.7 * far

    fit = fit_pairs(distances, similar, operating_point={"cost": (20, 1)}, prior=0.3)
    assert cost(fit.threshold) == pytest.approx(min(map(cost, cuts(distances))))


@pytest.mark.parametrize("far", [0.1, 0.01, 0.001])
def test_threshold_of_a_false_accept_rate_is_the_largest(far):
    distances, similar = gaussians()
    fit = fit_pairs(distances, similar, operating_point={"far": far})
    achieved, _ = rates(distances, similar, fit.threshold)
    assert achieved <= far < achieved + 1 / 2000 + 1e-12


def test_equal_error_threshold_is_that_of_the_report():
    distances, similar = gaussians()
    fit = fit_pairs(distances, similar)
    assert fit.threshold == pytest.approx(kbs.evaluate_pairs(distances, similar).eer_threshold, rel=1e-7)
    assert fit.threshold == pytest.approx(1.6, abs=0.03)


def test_weighted_pairs_fit_as_repeated_pairs():
    distances, similar = gaussians(200)
    times = np.random.default_rng(1).integers(1, 4, 200)
    weighted = fit_pairs(distances, similar, sample_weight=times, operating_point="balanced_accuracy")
    repeated = fit_pairs(np.repeat(distances, times), np.repeat(similar, times), operating_point="balanced_accuracy")
    assert weighted.threshold == pytest.approx(repeated.threshold)


def test_threshold_separates_neighbours_in_float32():
    below, above = np.float32(0.7), np.nextafter(np.float32(0.7), np.float32(1))
    similar = [1, 1, 1, 0, 0, 0]
    for low, high in ((below, above), (above, np.nextafter(above, np.float32(1)))):  # halfway rounds down, then up
        fit = fit_pairs([0.1, 0.2, low, high, 1.0, 1.1], similar, operating_point="balanced_accuracy")
        assert fit.threshold == float(low)


def test_a_false_accept_rate_below_the_first_tie_is_an_error():
    with pytest.raises(ValueError, match=r"equally close.*distance 0 at 0\.2"):
        kbs.calibrate([0.0] * 6 + [1.0] * 8, [1] * 4 + [0] * 10, operating_point={"far": 0.15})


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
        ({"distances": [0.9, 0.8, 0.2, 0.1]}, "1 - cosine"),
    ],
)
def test_invalid_calibration_input_is_an_error(arguments, match):
    given = {"distances": [0.1, 0.3, 0.2, 0.4], "similar": [1, 1, 0, 0], **arguments}
    with pytest.raises(ValueError, match=match):
        kbs.calibrate(given.pop("distances"), given.pop("similar"), **given)
