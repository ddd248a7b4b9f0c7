"""Limits on adapted weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese.callbacks.adaptive._limits import UpperBounds, limit_factors, shrink_to_mean

pytestmark = pytest.mark.numpy_only

positive = st.floats(0.05, 20)


@given(
    st.lists(st.tuples(positive, positive, positive), min_size=2, max_size=8),
    st.floats(1.0, 3.0),
    st.sampled_from([None, (0.2, 5.0), (0.9, 1.1)]),
    st.floats(0.1, 10.0),
)
def test_limited_factors_get_as_near_to_the_goal_as_limits_allow(rows, max_step, bounds, ratio):
    wanted, current, weight = np.array(rows).T
    current = np.clip(current, *bounds) if bounds else current
    goal = ratio * (current @ weight)
    found = limit_factors(wanted, current, weight, goal, bounds, max_step)
    least, most = (np.clip(current * step, *(bounds or (0.001, np.inf))) for step in (1 / max_step, max_step))
    assert found @ weight == pytest.approx(np.clip(goal, least @ weight, most @ weight), rel=1e-6)
    assert (found <= current * max_step * (1 + 1e-9)).all()
    assert (found >= current / max_step / (1 + 1e-9)).all()
    if bounds:
        assert (found >= bounds[0] * (1 - 1e-9)).all()
        assert (found <= bounds[1] * (1 + 1e-9)).all()
    order = np.argsort(wanted / current)  # a class that wants more, relatively, gets no less
    gained = np.round(found / current, 9)[order]
    if bounds is None:
        assert (np.diff(gained) >= 0).all()


@given(st.lists(positive, min_size=2, max_size=8))
def test_without_limits_the_factors_are_the_wanted_ones(wanted):
    wanted = np.array(wanted)
    found = limit_factors(wanted, np.ones_like(wanted), np.ones_like(wanted), float(len(wanted)), None, None)
    np.testing.assert_allclose(found, wanted / wanted.mean(), rtol=1e-9)


def test_factors_without_weight_or_wish_stay():
    wanted, current = np.array([1.0, 3.0]), np.array([0.5, 0.7])
    np.testing.assert_array_equal(limit_factors(wanted, current, np.zeros(2), 1.0, None, None), current)
    np.testing.assert_array_equal(limit_factors(np.zeros(2), current, np.ones(2), 1.0, None, None), current)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_wanted_factors_may_have_any_scale(scale):
    found = limit_factors(np.array([1.0, 3.0]) * scale, np.ones(2), np.array([1e-3, 1e-3]), 2e-3, None, None)
    np.testing.assert_allclose(found, [0.5, 1.5])


def test_no_factor_becomes_zero():
    found = limit_factors(np.array([0.0, 1.0]), np.ones(2), np.ones(2), 2.0, None, None)
    np.testing.assert_allclose(found, [0.001, 1.999])


def test_a_class_without_wish_takes_what_the_others_may_not():
    found = limit_factors(np.array([1.0, 0.0]), np.array([1.2, 1.0]), np.ones(2), 2.0, (0.02, 1.2), None)
    np.testing.assert_allclose(found, [1.2, 0.8])


def test_an_error_on_few_items_is_shrunk_to_the_mean():
    np.testing.assert_allclose(shrink_to_mean(np.array([0.2, 0.6]), np.array([2.0, 6.0])), [0.3, 0.55])


def test_the_upper_bound_of_a_class_that_stays_bad_falls_in_steps():
    upper_bounds, highest = UpperBounds(2, 4.0), []
    for error in (0.5, 0.5, 0.5, 0.5, 0.5, 0.498, 0.4, 0.3):
        factors = np.array([upper_bounds.highest[0], 1.0])
        highest.append(upper_bounds.update(factors, np.array([error, 0.5]), np.ones(2)).copy())
    np.testing.assert_allclose(np.array(highest)[:, 0], [4.0, 4.0, 4.0, 3.2, 2.56, 2.048, 2.56, 3.2])
    np.testing.assert_array_equal(np.array(highest)[:, 1], 4.0)
    for _ in range(40):
        factors = np.array([upper_bounds.highest[0], 1.0])
        lowest = upper_bounds.update(factors, np.array([0.5, np.nan]), np.array([0.1, 1.0]))
    np.testing.assert_array_equal(lowest, [1.0, 4.0])


def test_the_upper_bound_stays_above_the_neutral_factor():
    for neutral, least in ((0.5, 1.0), (3.0, 3.0), (9.0, 4.0)):
        upper_bounds = UpperBounds(1, 4.0)
        for _ in range(40):
            lowest = upper_bounds.update(upper_bounds.highest, np.array([0.5]), np.array([neutral]))
        assert lowest == least
