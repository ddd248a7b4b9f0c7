"""One step of the rule on plain arrays, against its formula in plain Python."""

import math

import numpy as np
import pytest

from keras_balanced_siamese.callbacks.adaptive._rule import checked_rule

pytestmark = pytest.mark.numpy_only

ERRORS, ITEMS, START = np.array([0.1, 0.4, 0.2]), np.array([80.0, 15.0, 5.0]), np.ones(3)


def test_a_step_without_limits_equals_the_formula():
    found = checked_rule("difficulty", 0.5, None, None).next_values(ERRORS, ITEMS, START, START)
    wish = [math.sqrt(error + 0.05 * 0.7 / 3) / items for error, items in zip(ERRORS, ITEMS, strict=True)]
    scale = ITEMS.sum() / sum(items * weight for items, weight in zip(ITEMS, wish, strict=True))
    np.testing.assert_allclose(found, [scale * weight for weight in wish], rtol=1e-9)


def test_a_step_changes_none_of_its_arguments():
    rule, current = checked_rule("difficulty", None, (0.02, 50.0), 2.0), np.array([0.8, 1.5, 2.0])
    arrays = [ERRORS, ITEMS, START, current]
    copies = [array.copy() for array in arrays]
    first, second = rule.next_values(*arrays), rule.next_values(*arrays)
    np.testing.assert_array_equal(first, second)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_largest_factor_may_differ_between_classes():
    rule = checked_rule("difficulty", None, (0.02, 50.0), None)
    found = rule.next_values(ERRORS, ITEMS, START, START, highest=np.array([50.0, 50.0, 3.0]))
    assert found[2] == 3.0
    assert rule.next_values(ERRORS, ITEMS, START, START)[2] > 3.0


def test_a_callable_gets_the_given_labels_and_epoch():
    calls = []

    def strategy(errors, weights, epoch):
        calls.append((errors, weights, epoch))
        return {"a": 1.0, "c": 3.0}

    errors = np.array([0.1, math.nan, 0.2])
    found = checked_rule(strategy, None, None, None).next_values(errors, START, START, START, classes="abc", epoch=7)
    assert calls == [({"a": 0.1, "c": 0.2}, {"a": 1.0, "c": 1.0}, 7)]
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5])


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([0.1, 0.2, math.nan], None),
        ([0.1, math.nan, math.inf], "only 1 of 3 classes have an error"),
        ([0.1, 0.2, -0.1], "there are errors below 0"),
    ],
)
def test_a_step_is_skipped_if_errors_are_missing_or_unusable(errors, reason):
    assert checked_rule("difficulty", None, None, None).reason_to_skip(np.array(errors)) == reason
