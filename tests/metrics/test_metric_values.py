"""Values and error bounds of the metrics against exact values."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metrics.exact_values import DISTRIBUTIONS, EXACT, RANKING, exact_tar, labelled, make, samples_of, tied, value

import keras_balanced_siamese as kbs

STEEP = ("hundred", "thousands", "thousandths, narrow")  # one bin holds more than a thousandth of the similar pairs


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_within_a_thousandth_of_the_exact_value(distribution):
    similar, different, higher = samples_of(distribution)
    labels, scores = labelled(similar, different)
    threshold = float(np.median(scores))  # a score that occurs
    sign = -1 if higher else 1
    ranked = make("EqualErrorRate", higher_is_similar=higher)
    ranked.update_state(labels, scores)
    for name in EXACT:
        metric = make(name, threshold, higher_is_similar=higher)
        if name in RANKING:
            metric.histogram.assign(ranked.histogram)
        else:
            metric.update_state(labels, scores)
        expected = EXACT[name]((sign * similar).tolist(), (sign * different).tolist(), sign * threshold)
        found = float(metric.result())
        tolerance = 2e-3 if name == "TrueAcceptRate" and distribution in STEEP else 1e-3
        assert found == pytest.approx(expected, abs=tolerance), name
        assert abs(found - expected) <= metric.error_bound(), name


@pytest.mark.parametrize(
    ("similar", "different", "expected"),
    [
        ([0.7] * 3, [0.7] * 5, {"EqualErrorRate": 0.5, "VerificationAUC": 0.5, "VerificationPRAUC": 3 / 8}),
        ([2.0, 3.0], [0.0, 1.0], {"EqualErrorRate": 1.0, "VerificationAUC": 0.0, "TrueAcceptRate": 0.0}),
        ([0.0, 1.0], [2.0, 3.0], {"EqualErrorRate": 0.0, "VerificationAUC": 1.0, "TrueAcceptRate": 1.0}),
        ([-math.inf, 1.0], [0.0, math.inf], {"VerificationAUC": 0.75, "EqualErrorRate": 0.5}),
        ([0.0], [1e-30], {"VerificationAUC": 1.0}),
        ([-1e30], [0.0], {"VerificationAUC": 1.0}),
        ([0.1, 0.2], [0.3, 0.4], {"MatthewsCorrelation": 0.0, "BalancedPairAccuracy": 0.5}),
    ],
)
def test_corner_cases(similar, different, expected):
    for name, exact in expected.items():
        assert value(make(name), *labelled(similar, different)) == pytest.approx(exact, abs=1e-6)


def test_scikit_learn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    similar, different, _ = samples_of("spread 1")
    labels, scores = labelled(similar, different)
    weights = np.random.default_rng(2).random(len(labels)).astype("float32")
    for name, exact in {
        "VerificationAUC": metrics.roc_auc_score,
        "VerificationPRAUC": metrics.average_precision_score,
    }.items():
        expected = exact(labels, -scores, sample_weight=weights)
        assert value(make(name), labels, scores, weights) == pytest.approx(expected, abs=1e-3)
    decided = scores <= 1.2
    for name, exact in {
        "MatthewsCorrelation": metrics.matthews_corrcoef,
        "BalancedPairAccuracy": metrics.balanced_accuracy_score,
    }.items():
        expected = exact(labels, decided, sample_weight=weights)
        assert value(make(name, 1.2), labels, scores, weights) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("far", [0.0, 0.001, 0.3, 0.999, 1.0])
def test_a_rate_that_is_met_exactly_is_not_passed(far):
    different = np.arange(1000) / 8
    similar = np.arange(1000) / 8 - 1 / 16  # each just before the different one
    expected = exact_tar(far)(similar.tolist(), different.tolist(), None)
    metric = kbs.TrueAcceptRate(far, resolution=2048)
    assert value(metric, *labelled(similar, different)) == pytest.approx(expected, abs=1e-5)


def test_equal_scores_are_accepted_together_as_in_the_report():
    labels, scores = tied(n=400)
    for distances in (np.full(400, 0.5), scores):
        for far in (0.01, 0.2, 0.5):
            expected = kbs.evaluate_pairs(distances, labels, far=[far], n_resamples=0).micro[f"tar_at_far_{far:g}"]
            found = value(kbs.TrueAcceptRate(far), labels, distances)
            assert found == pytest.approx(expected, abs=1e-6)


def test_counts_stay_exact_in_long_epochs():
    metric = kbs.EqualErrorRate()
    labels, scores, weights = [1, 1, 0, 0], [0.2, 0.8, 0.2, 0.8], np.array([3, 1, 1, 3]) * 2.0**20
    for _ in range(3):
        metric.update_state(labels, scores, weights)
    metric.update_state([1], [0.2], [1.0])
    assert float(metric.result()) == pytest.approx(0.25, abs=1e-6)
    assert float(np.max(np.asarray(metric.histogram))) == 9 * 2.0**20 + 1


few_values = st.lists(st.integers(-4, 8), min_size=1, max_size=25)
any_floats = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.one_of(few_values, any_floats), st.one_of(few_values, any_floats), st.sampled_from([1, 3, 64]))
@example([1e-40], [0], 1)
def test_the_error_bound_holds(similar, different, resolution):
    labels, scores = labelled(similar, different)
    scores = np.where(abs(scores) < 2.0**-126, np.float32(0), scores)  # what some backends do
    padded = (np.resize(one, 50) for one in (labels, scores))  # one shape, which is compiled once
    weights = (np.arange(50) < len(labels)).astype("float32")
    metrics = [make(name, resolution=resolution) for name in RANKING]
    metrics[0].update_state(*padded, weights)
    for name, metric in zip(RANKING, metrics, strict=True):
        metric.histogram.assign(metrics[0].histogram)
        expected = EXACT[name](scores[labels == 1].tolist(), scores[labels == 0].tolist(), None)
        assert abs(float(metric.result()) - expected) <= metric.error_bound(), name
