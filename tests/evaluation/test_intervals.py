import math

import numpy as np
import pytest
from evaluation.toy_pairs import random_pairs

import keras_balanced_siamese as kbs
from keras_balanced_siamese.evaluation._intervals import _counted_once, t_quantile

pytestmark = pytest.mark.numpy_only


def test_intervals_hold_the_figures_and_repeat():
    data = random_pairs()
    found, again = kbs.evaluate_pairs(**data), kbs.evaluate_pairs(**data)
    assert found.intervals == again.intervals
    assert found.resampled == "classes"
    for part, figures in (("micro", found.micro), ("macro", found.macro)):
        for name, (low, high) in found.intervals[part].items():
            assert low <= figures[name] <= high, name
    for label, bounds in found.intervals["per_class"].items():
        for name, (low, high) in bounds.items():
            assert low <= found.per_class[label][name] <= high, (label, name)
    other = kbs.evaluate_pairs(**data, seed=1)
    assert other.intervals["micro"]["eer"] != found.intervals["micro"]["eer"]
    assert other.intervals["micro"]["eer"] == pytest.approx(found.intervals["micro"]["eer"], abs=0.05)


def test_few_classes_have_wider_intervals_than_samples():
    data = random_pairs()
    by_class = kbs.evaluate_pairs(**data).intervals["micro"]["eer"]
    alone = np.arange(2 * len(data["similar"])).reshape(-1, 2)  # every sample in one pair only
    by_sample = kbs.evaluate_pairs(**{**data, "samples": alone}, resample="samples").intervals["micro"]["eer"]
    assert by_class[1] - by_class[0] > 1.3 * (by_sample[1] - by_sample[0])
    n = len(data["similar"]) / 2
    eer = kbs.evaluate_pairs(**data, n_resamples=0).eer
    independent = 2 * 1.96 * math.sqrt(eer * (1 - eer) / n)  # of either rate; where they meet is known better
    assert 0.5 * independent < by_sample[1] - by_sample[0] < 1.1 * independent


def test_intervals_of_independent_pairs_are_binomial():
    rng = np.random.default_rng(0)
    n = 4000
    distances = np.concatenate([rng.normal(0, 1, n), rng.normal(2, 1, n)])
    similar, samples = np.arange(2 * n) < n, np.arange(4 * n).reshape(-1, 2)
    found = kbs.evaluate_pairs(distances, similar, samples=samples, threshold=1.0)
    for name in ("false_reject_rate", "false_accept_rate"):
        low, high = found.intervals["micro"][name]
        rate = found.micro[name]
        assert high - low == pytest.approx(2 * 1.96 * math.sqrt(rate * (1 - rate) / n), rel=0.1)


def test_zero_errors_of_few_units_have_an_upper_bound():
    label = np.repeat(np.arange(5), 4)
    classes = np.concatenate([np.stack([label, label], axis=1), np.stack([label, (label + 1) % 5], axis=1)])
    samples = classes * 100 + np.arange(80).reshape(-1, 2)
    found = kbs.evaluate_pairs([0.1] * 20 + [0.9] * 20, [1] * 20 + [0] * 20, classes=classes, samples=samples)
    assert found.eer == found.per_class[0]["error"] == 0
    assert found.intervals["micro"]["eer"] == (0, pytest.approx(1 - 0.025 ** (1 / 5)))
    assert found.intervals["per_class"][0]["error"][0] == 0
    assert 0.1 < found.intervals["per_class"][0]["error"][1] < 0.6


def test_two_classes_give_no_interval_of_false_accepts():
    data = random_pairs(n=200, n_classes=2)
    found = kbs.evaluate_pairs(**data, threshold=0.8)
    assert 0 < found.micro["false_accept_rate"] < 1
    for part in ("micro", "macro"):
        assert np.isnan(found.intervals[part]["false_accept_rate"]).all()
    low, high = found.intervals["micro"]["false_reject_rate"]
    assert high - low > 0.1
    line = next(line for line in str(found).splitlines() if line.startswith("false accept rate"))
    assert "[" not in line


def slow_variance(influence, sides):
    """Sum over all ordered couples of pairs that share a unit."""
    return sum(
        x * y
        for x, one in zip(influence, sides, strict=True)
        for y, other in zip(influence, sides, strict=True)
        if set(one) & set(other)
    )


def test_variance_counts_a_pair_of_two_units_once():
    rng = np.random.default_rng(3)
    for _ in range(20):
        sides = rng.integers(7, size=(30, 2))
        influence = rng.normal(size=30)
        of_unit = sum(sum(x for x, side in zip(influence, sides, strict=True) if u in side) ** 2 for u in range(7))
        shrink_to_mean = _counted_once(*sides.T, influence, 7)
        expected = min(max(slow_variance(influence, sides.tolist()) / of_unit, 0.5), 1)
        assert shrink_to_mean**2 == pytest.approx(expected)


@pytest.mark.parametrize(("freedom", "exact"), [(3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_quantiles_of_students_t(freedom, exact):
    assert t_quantile(freedom, 0.95) == pytest.approx(exact, rel=0.01)


def test_without_units_there_are_no_intervals():
    data = random_pairs()
    assert kbs.evaluate_pairs(data["distances"], data["similar"]).intervals == {}
    assert kbs.evaluate_pairs(**data, n_resamples=0).resampled is None
    assert "per_class" not in kbs.evaluate_pairs(data["distances"], data["similar"], classes=data["classes"]).intervals
    found = kbs.evaluate_pairs(data["distances"], data["similar"], samples=data["samples"])
    assert (found.resampled, sorted(found.intervals)) == ("samples", ["micro"])


def test_more_units_than_the_limit_keep_the_width():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(3000), 2)[:, None] + np.tile([[0, 0], [0, 1]], (3000, 1))
    similar = classes[:, 0] == classes[:, 1]
    found = kbs.evaluate_pairs(rng.normal(1 - similar, 0.5), similar, classes=classes, threshold=0.5)
    low, high = found.intervals["micro"]["false_reject_rate"]
    rate = found.micro["false_reject_rate"]
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(rate * (1 - rate) / 3000), rel=0.15)
