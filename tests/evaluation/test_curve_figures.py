import math
from statistics import NormalDist

import numpy as np
import pytest
from evaluation.toy_pairs import random_pairs, report, scores
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only


def slow_auc(similar, different):
    won = [1.0 if s < d else 0.5 if s == d else 0.0 for s in similar for d in different]
    return sum(won) / len(won)


def slow_eer(similar, different):
    """Walk along the curve until the false accept rate has overtaken the false reject rate."""
    last = (0.0, 1.0)
    for threshold in sorted({*similar, *different}):
        far = sum(d <= threshold for d in different) / len(different)
        frr = sum(s > threshold for s in similar) / len(similar)
        if far >= frr:
            share = (last[1] - last[0]) / ((last[1] - last[0]) + (far - frr))
            return last[0] + share * (far - last[0])
        last = (far, frr)
    raise AssertionError


def slow_points(similar, different):
    """True and false accept rate for every way to cut between distances."""
    return [
        (sum(d <= t for d in similar) / len(similar), sum(d <= t for d in different) / len(different))
        for t in [-math.inf, *sorted({*similar, *different})]
    ]


@given(scores, scores)
def test_auc_and_eer_equal_the_reference(similar, different):
    found = report(similar, different)
    assert found.roc_auc == pytest.approx(slow_auc(similar, different))
    assert found.eer == pytest.approx(slow_eer(similar, different))


@given(scores, scores)
def test_auc_equals_scikit_learn(similar, different):
    from sklearn.metrics import roc_auc_score

    truth = [1] * len(similar) + [0] * len(different)
    assert report(similar, different).roc_auc == pytest.approx(roc_auc_score(truth, [-s for s in similar + different]))


@given(scores, scores)
def test_decisions_and_average_precision_equal_scikit_learn(similar, different):
    metrics = pytest.importorskip("sklearn.metrics")
    found = report(similar, different)
    truth, distances = [1] * len(similar) + [0] * len(different), np.array(similar + different)
    accepted = distances <= found.threshold
    assert found.pr_auc == pytest.approx(metrics.average_precision_score(truth, -distances))
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(truth, accepted))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, accepted))


@given(scores, scores, st.sampled_from([0.05, 0.2, 0.5]))
def test_true_accept_rate_is_at_the_last_cut_within_the_far(similar, different, far):
    found = report(similar, different, far=[far])
    if len(different) * far < 1:
        assert math.isnan(found.tar_at_far[far])
        assert f"not measurable with {len(different)} different pairs" in str(found)
        return
    tar, achieved = max(point for point in slow_points(similar, different) if point[1] <= far)
    assert found.tar_at_far[far] == pytest.approx(tar)
    assert found.achieved_far[far] == pytest.approx(achieved)


def test_any_false_accept_rate_is_a_key():
    found = kbs.evaluate_pairs([0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], far=[1 / 3])
    assert found.tar_at_far[1 / 3] == 1
    assert "TAR at FAR 0.333333 " in str(found)


@given(scores, scores)
def test_detection_cost_is_the_least_over_all_cuts(similar, different):
    found = report(similar, different, costs=[(10, 1, 0.05), (1, 3, 0.5)])
    for name, (miss, false, prior) in {"min_dcf_10_1_0.05": (10, 1, 0.05), "min_dcf_1_3_0.5": (1, 3, 0.5)}.items():
        costs = [miss * prior * (1 - tar) + false * (1 - prior) * far for tar, far in slow_points(similar, different)]
        assert found.micro[name] == pytest.approx(min(costs) / min(miss * prior, false * (1 - prior)))


@given(scores, scores, st.data())
def test_weighted_pairs_count_as_repeated_pairs(similar, different, data):
    times = data.draw(st.lists(st.integers(1, 3), min_size=len(similar + different), max_size=len(similar + different)))
    truth = [1] * len(similar) + [0] * len(different)
    weighted = kbs.evaluate_pairs(similar + different, truth, sample_weight=times, n_resamples=0, far=())
    repeated = kbs.evaluate_pairs(np.repeat(similar + different, times), np.repeat(truth, times), n_resamples=0, far=())
    assert weighted.micro == pytest.approx(repeated.micro)
    assert weighted.threshold == pytest.approx(repeated.threshold)


def test_pairs_of_weight_zero_are_left_out():
    data = random_pairs(n=200)
    weight = np.where((data["classes"] == 5).any(axis=1), 0, 2.0)
    kept = {name: values[weight > 0] for name, values in data.items()}
    found = kbs.evaluate_pairs(**data, sample_weight=weight)
    expected = kbs.evaluate_pairs(**kept, sample_weight=weight[weight > 0])
    assert found.to_json() == expected.to_json()
    assert 5 not in found.per_class


def test_a_given_threshold_decides():
    data = random_pairs()
    found = kbs.evaluate_pairs(**data, threshold=0.6, n_resamples=0)
    assert found.threshold_given
    assert (found.threshold, found.eer_threshold != 0.6) == (0.6, True)
    assert found.micro["false_reject_rate"] == np.mean(data["distances"][data["similar"]] > 0.6)
    assert found.micro["false_accept_rate"] == np.mean(data["distances"][~data["similar"]] <= 0.6)


def test_infinite_distances_are_the_largest():
    found = report([0.1, math.inf], [0.5, math.inf])
    assert (found.eer, found.roc_auc) == (0.5, slow_auc([0.1, math.inf], [0.5, math.inf]))
    assert math.isfinite(found.histogram["edges"][-1])


def test_constant_distances_score_as_chance():
    found = report([0.5] * 20, [0.5] * 30)
    assert (found.roc_auc, found.eer, found.pr_auc, found.mcc) == (0.5, 0.5, 0.4, 0.0)
    assert found.tar_at_far[0.1] == 0.0


def test_two_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    n, gap = 100_000, 2.0
    found = report(rng.normal(size=n), rng.normal(size=n) + gap)
    assert found.eer == pytest.approx(NormalDist().cdf(-gap / 2), abs=0.005)
    assert found.roc_auc == pytest.approx(NormalDist().cdf(gap / math.sqrt(2)), abs=0.005)
    assert found.eer_threshold == pytest.approx(gap / 2, abs=0.02)
