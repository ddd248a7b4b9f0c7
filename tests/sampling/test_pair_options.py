"""Weights, labels, summary and bad arguments of a sequence of pairs."""

import math

import numpy as np
import pytest
from sampling.epochs import build_pairs, labels_of, pairs_of_epoch

from keras_balanced_siamese import BalancedPairSequence, class_weights

pytestmark = [
    pytest.mark.numpy_only,
    pytest.mark.filterwarnings(
        "ignore:.*with only one sample:UserWarning", "ignore:.*instead of max_repeats:UserWarning"
    ),
]


def test_weights_have_mean_one_for_each_kind_of_pair():
    weight = {"class 0": 0.5, "class 1": 2.0, "class 2": 8.0}
    pairs = build_pairs([60, 20, 6], class_weight=weight, steps_per_epoch=40)
    a, b, _, _, similar = pairs_of_epoch(pairs)
    weights = np.concatenate([pairs[i][2] for i in range(len(pairs))])
    raw = np.array([math.sqrt(weight[x] * weight[y]) for x, y in zip(a, b, strict=True)])
    for kind in (0, 1):
        assert weights[similar == kind].mean() == pytest.approx(1.0, rel=1e-5)
        ratio = weights[similar == kind] / raw[similar == kind]
        assert ratio.max() == pytest.approx(ratio.min(), rel=1e-5)


def test_assigned_class_weights_are_checked_and_take_effect():
    pairs = build_pairs([20, 5])
    assert dict(pairs.class_weight) == {"class 0": 1.0, "class 1": 1.0}
    assert pairs[0][2].tolist() == [1.0] * 8
    pairs.class_weight = {"class 0": 1.0, "class 1": 4.0}
    assert pairs[0][2].max() > 1.5
    with pytest.raises(TypeError):
        pairs.class_weight["class 0"] = 2.0
    for bad in ({"class 0": 1.0}, {"class 0": 1.0, "class 1": -1.0}, {"class 0": 1.0, "class 1": 1.0, "class 9": 1.0}):
        with pytest.raises(ValueError, match="class_weight"):
            pairs.class_weight = bad


def test_weights_changed_within_an_epoch_have_mean_one():
    pairs = build_pairs([60, 20, 6], steps_per_epoch=40)
    pairs[0]
    pairs.class_weight = {"class 0": 0.5, "class 1": 2.0, "class 2": 8.0}
    weights = np.concatenate([pairs[i][2] for i in range(len(pairs))])
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)
    assert weights.std() > 0.3


def test_class_weight_can_be_a_scheme():
    y = labels_of([20, 5])
    pairs = BalancedPairSequence(np.arange(25), y, class_weight="sqrt", class_sampling="natural")
    assert pairs.class_weight["class 1"] / pairs.class_weight["class 0"] == pytest.approx(2.0)


@pytest.mark.parametrize("weights", ["balanced", "sqrt", class_weights(labels_of([90, 10]))])
def test_correcting_frequency_twice_warns(weights):
    with pytest.warns(UserWarning, match=r"corrected twice.*class_sampling='balanced' draws 'class 1' \(10 samples\)"):
        build_pairs([90, 10], class_weight=weights)


@pytest.mark.filterwarnings("error")
def test_weights_that_do_not_follow_frequency_do_not_warn():
    build_pairs([90, 10], class_weight={"class 0": 1.0, "class 1": 2.0})
    build_pairs([90, 10], class_weight="balanced", class_sampling="natural")


@pytest.mark.parametrize(
    "y", [np.repeat([7, -2], 5), np.repeat([True, False], 5), np.repeat(["x", "y"], 5), ["x"] * 5 + ["y"] * 5]
)
def test_labels_can_have_any_type(y):
    pairs = BalancedPairSequence(np.arange(10), y, batch_size=4, seed=0)
    (left, right), similar, _ = pairs[0]
    for i, j, s in zip(left, right, similar[:, 0], strict=True):
        assert (y[i] == y[j]) == bool(s)


def test_describe_lists_each_class_and_its_shares():
    summary = build_pairs([60, 20, 1], class_weight={"class 0": 1, "class 1": 2, "class 2": 4}).describe()
    text = str(summary)
    for part in ("class 2", "1,770", "74.07%", "50.00%", "33.33%", "50.6% of one class", "1 class ('class 2')"):
        assert part in text
    assert repr(summary) == text
    found = summary.to_dict()
    assert found["per_class"]["class 1"] == {
        "samples": 20,
        "sample_share": pytest.approx(20 / 81),
        "distinct_pairs": 190,
        "positives": pytest.approx(20.5),
        "positive_share": pytest.approx(0.5),
        "wanted_share": pytest.approx(1 / 3),
        "negative_share": pytest.approx(1 / 3),
        "repeats": pytest.approx(20.5 / 190),
        "weight": 2.0,
    }
    assert found["totals"] == {"pairs": 81, "positives": 41, "steps": 11, "batch_size": 8}


def test_a_class_of_one_sample_warns_and_forms_different_pairs():
    with pytest.warns(UserWarning, match="1 class \\('class 2'\\) of 3 with only one sample"):
        pairs = build_pairs([10, 10, 1], steps_per_epoch=20)
    a, b, _, _, similar = pairs_of_epoch(pairs)
    assert "class 2" not in a[similar == 1]
    assert "class 2" in {*a[similar == 0], *b[similar == 0]}


X, Y = np.zeros((6, 2)), np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("x", "y", "kwargs", "error", "match"),
    [
        (X, Y[:5], {}, ValueError, r"same length.*len\(x\)=6, len\(y\)=5"),
        ([X, X], Y, {}, ValueError, r"pass several inputs as a tuple.*len\(x\)=2"),
        (X[:0], Y[:0], {}, ValueError, "at least one"),
        (X, np.zeros(6), {}, ValueError, "at least two classes"),
        (X, np.arange(6), {}, ValueError, "two or more samples.*positive_fraction=0"),
        (X, np.array([0, 0, 0, 1, 1, math.nan]), {}, ValueError, "missing"),
        (X, np.eye(6), {}, ValueError, "argmax"),
        (5, Y, {}, TypeError, "`x` must be"),
        ("abcdef", Y, {}, TypeError, "`x` must be"),
        ((), Y, {}, ValueError, "at least one input"),
        (X, Y, {"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        (X, Y, {"batch_size": 2.5}, TypeError, "whole number"),
        (X, Y, {"steps_per_epoch": 0}, ValueError, "`steps_per_epoch`"),
        (X, Y, {"positive_fraction": 1.2}, ValueError, "from 0 to 1"),
        (X, Y, {"positive_fraction": math.nan}, ValueError, "from 0 to 1"),
        (X, Y, {"class_sampling": "flat"}, ValueError, "balanced.*sqrt.*natural.*progressive"),
        (X, Y, {"class_sampling": math.inf}, ValueError, "finite"),
        (X, Y, {"class_sampling": None}, TypeError, "class_sampling"),
        (X, Y, {"class_sampling": np.array([0.5, 0.5])}, TypeError, "a number or a mapping"),
        (X, Y, {"class_sampling": {0: 1.0}}, ValueError, "Missing"),
        (X, Y, {"class_sampling": {0: 1.0, 1: 0.0}}, ValueError, "two classes with a share above 0"),
        (X, Y, {"class_weight": "rare"}, ValueError, "balanced.*Received: class_weight='rare'"),
        (X, Y, {"class_weight": {0: 1.0}}, ValueError, "Missing"),
        (X, Y, {"class_weight": {0: 1.0, 1: math.nan}}, ValueError, "finite"),
        (X, Y, {"seed": -1}, ValueError, "`seed`"),
        (X, Y, {"transform": "load"}, TypeError, "`transform`"),
    ],
)
def test_bad_input(x, y, kwargs, error, match):
    with pytest.raises(error, match=match):
        BalancedPairSequence(x, y, **kwargs)
