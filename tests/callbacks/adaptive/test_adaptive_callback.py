"""`AdaptiveClassWeight` driven by hand: its updates are those of the rule, for any target."""

import math

import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import follow, shares_of, simulate
from toy import compiled

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight

ERRORS = [
    [0.1, 0.2, 0.4],
    [0.3, math.nan, 0.2],
    [math.nan, math.nan, 0.2],  # too few for an update
    *[[0.1, 0.1, 0.9]] * 5,
    [0.0, 0.6, 0.1],
]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"strategy": "cdb", "tau": "dynamic", "warmup_epochs": 0},
        {"strategy": "group_dro", "bounds": None, "max_step": 1.5},
        {"strategy": "deferred", "max_step": None, "warmup_epochs": 3},
        {"strategy": lambda errors, weights, epoch: {k: e + epoch * weights[k] for k, e in errors.items()}},
        {"tau": 1.0, "bounds": (0.5, 1.5), "momentum": 0.0, "max_step": None, "warmup_epochs": 0},
    ],
    ids=["difficulty", "cdb", "group_dro", "deferred", "callable", "bounds"],
)
def test_the_callback_equals_the_rule_on_plain_arrays(rule, x, y):
    start = {"common": 0.5, "medium": 1.0, "rare": 2.0}

    def targets():
        yield "weights", kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0)
        yield "weights", kbs.BalancedPairSequence(x, y, class_sampling="progressive", epochs=5, seed=0)
        yield "weights", kbs.BalancedBatchSequence(x, y, 2, 4, class_sampling="natural", class_weight=start, seed=0)
        yield "sampling", kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0)

    for (adapt, target), (_, alone) in zip(targets(), targets(), strict=True):
        found, _ = simulate(AdaptiveClassWeight(target, adapt=adapt, monitor="error", **rule), ERRORS)
        expected = follow(alone, ERRORS, adapt=adapt, **rule)
        if adapt == "sampling":
            np.testing.assert_array_equal(shares_of(target), shares_of(alone))
            np.testing.assert_array_equal(found, 1.0)
        else:
            np.testing.assert_array_equal(found, expected)
        assert np.ptp(np.log(expected), axis=0).max() > 0.01  # it did adapt


class Own:
    def __init__(self):
        self.class_weight = {"a": 1.0, "b": 1.0}


class Empty(Own):
    def __len__(self):
        return 0


@pytest.mark.parametrize("kind", [Own, Empty])
def test_any_object_with_class_weights_is_a_target(kind):
    own = kind()
    simulate(AdaptiveClassWeight(own, monitor="error", tau=1.0), [[0.1, 0.3]] * 9)
    assert own.class_weight["b"] / own.class_weight["a"] == pytest.approx(0.31 / 0.11, rel=1e-6)


def test_a_target_of_length_zero_is_still_the_target():
    own = Empty()
    callback = AdaptiveClassWeight(own, monitor="error", warmup_epochs=0)
    callback.set_model(compiled("mse"))  # a loss that could not be a target
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, {"error/a": 0.1, "error/b": 0.3})
    assert own.class_weight["b"] > 1.0


def test_a_hundred_thousand_classes():
    n = 100_000
    labels = np.repeat(np.arange(n), 2)
    pairs = kbs.BalancedPairSequence(labels[:, None], labels, seed=0)
    hard = np.arange(n) % 2
    errors = 0.1 + 0.2 * hard
    callback = AdaptiveClassWeight(pairs, monitor="error", warmup_epochs=0, tau=1.0)
    weights, logs = simulate(callback, [errors.tolist()] * 3)
    np.testing.assert_allclose(weights[-1][hard == 1] / weights[-1][hard == 0], 0.31 / 0.11, rtol=1e-6)
    assert len(logs) == n + 5  # the errors that were given, then smallest and largest
    assert callback.history_[2]["errors"] == dict(zip(range(n), errors.tolist(), strict=True))
