import json
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs

scores = st.lists(st.integers(0, 8), min_size=1, max_size=25)  # many ties


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


def report(similar, different, **kwargs):
    return kbs.evaluate_pairs([*similar, *different], [1] * len(similar) + [0] * len(different), **kwargs)


@given(scores, scores)
def test_auc_and_eer_equal_the_slow_ones(similar, different):
    found = report(similar, different)
    assert found.roc_auc == pytest.approx(slow_auc(similar, different))
    assert found.eer == pytest.approx(slow_eer(similar, different))


@given(scores, scores)
def test_auc_equals_scikit_learn(similar, different):
    from sklearn.metrics import roc_auc_score

    truth = [1] * len(similar) + [0] * len(different)
    assert report(similar, different).roc_auc == pytest.approx(roc_auc_score(truth, [-s for s in similar + different]))


def test_two_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    n, gap = 100_000, 2.0
    found = report(rng.normal(size=n), rng.normal(size=n) + gap)
    assert found.eer == pytest.approx(NormalDist().cdf(-gap / 2), abs=0.005)
    assert found.roc_auc == pytest.approx(NormalDist().cdf(gap / math.sqrt(2)), abs=0.005)
    assert found.eer_threshold == pytest.approx(gap / 2, abs=0.02)


def test_per_class_rates():
    distances = [0.1, 0.9, 0.2, 0.3, 0.8, 0.7]
    similar = [1, 1, 1, 0, 0, 0]
    classes = [["a", "a"], ["a", "a"], ["b", "b"], ["a", "b"], ["b", "a"], ["a", "c"]]
    found = kbs.evaluate_pairs(distances, similar, classes=classes)
    assert 0.3 <= found.eer_threshold < 0.7
    a, b, c = (found.per_class[label] for label in "abc")
    assert (a["false_reject_rate"], a["false_accept_rate"]) == pytest.approx((1 / 2, 1 / 3))
    assert (b["false_reject_rate"], b["false_accept_rate"]) == pytest.approx((0, 1 / 2))
    assert a["error"] == pytest.approx(5 / 12)
    assert (a["n_similar"], a["n_different"], c["n_similar"], c["n_different"]) == (2, 3, 0, 1)
    assert math.isnan(c["error"])
    assert "error" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["per_class"]["a"]["n_similar"] == 2


def test_accepting_everything_is_an_error_of_a_half_for_each_class():
    found = kbs.evaluate_pairs(
        np.zeros(8), [1, 1, 1, 1, 0, 0, 0, 0], classes=[[0, 0], [0, 0], [1, 1], [1, 1]] + [[0, 1]] * 4
    )
    assert found.eer == pytest.approx(0.5)
    assert [row["error"] for row in found.per_class.values()] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.1, 0.2], [1]), "same length"),
        (([0.1, math.nan], [1, 0]), "NaN"),
        (([0.1, 0.2], [1, 2]), "0 and 1 only"),
        (([0.1, 0.2], [1, 1]), "Both similar and different"),
        (([], []), "Both similar and different"),
    ],
)
def test_bad_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_pairs(*arguments)


def test_bad_classes():
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=["a", "b"])
    with pytest.raises(ValueError, match="exactly where both sides"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "b"], ["a", "b"]])
