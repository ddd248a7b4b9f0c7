"""Sharing out a total under upper bounds, and rounding it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese.sampling._quotas import fill, round_to_sum, round_with_debts

pytestmark = pytest.mark.numpy_only


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.integers(1, 50)), min_size=1, max_size=8),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_quotas_are_proportional_up_to_their_bounds(rows, part, seed):
    shares, caps = np.array(rows).T
    total = int(part * caps.sum())
    expected = fill(total, shares, caps)
    assert expected.sum() == pytest.approx(total, abs=1e-6)
    assert (expected <= caps * (1 + 1e-9)).all()
    level = (expected / shares)[expected < caps * (1 - 1e-9)]
    assert level.size == 0 or level.max() == pytest.approx(level.min(), rel=1e-6)
    assert (
        expected[expected >= caps * (1 - 1e-9)] <= (level.max() if level.size else np.inf) * shares.max() + 1e-6
    ).all()
    rounded = round_to_sum(expected, total, np.random.default_rng(seed))
    assert rounded.sum() == total
    assert (abs(rounded - expected) < 1 + 1e-6).all()
    assert (rounded <= np.ceil(caps)).all()


def test_rounding_is_unbiased():
    rng = np.random.default_rng(0)
    expected = np.array([0.2, 1.5, 3.0, 0.3])
    mean = np.mean([round_to_sum(expected, 5, rng) for _ in range(2000)], axis=0)
    np.testing.assert_allclose(mean, expected, atol=0.05)


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.integers(0, 5))
def test_rounding_with_debts_is_exact_over_epochs(values, seed):
    total = math.ceil(sum(values))
    expected = np.array(values) * (total / sum(values) if sum(values) > 0 else 1.0)
    owed = np.zeros(len(values))
    for k in range(20):
        rounded = round_with_debts(expected, owed, total, np.random.default_rng([seed, k]))
        assert rounded.sum() == total
        assert (abs(rounded - expected) < 1).all()
        owed += expected - rounded
    assert abs(owed).max() < 2.5
