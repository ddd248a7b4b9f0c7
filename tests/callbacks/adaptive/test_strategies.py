"""Strategies: the factors that errors ask for, before the limits."""

import math

import numpy as np
import pytest

from keras_balanced_siamese.callbacks.adaptive._limits import limit_factors
from keras_balanced_siamese.callbacks.adaptive._strategies import STRATEGIES, ClassStatistics, neutral_factors

pytestmark = pytest.mark.numpy_only


def wanted(strategy, errors, tau=1.0, factors=(1.0, 1.0, 1.0), start=(1.0, 1.0, 1.0), counts=(100, 10, 1)):
    """The wanted factors, with that of the last class as 1."""
    errors, factors, start, counts = (np.array(one, float) for one in (errors, factors, start, counts))
    statistics = ClassStatistics(errors, factors, start, counts, neutral_factors(counts, start))
    found = STRATEGIES[strategy](statistics, tau)
    return found / found[-1]


def test_difficulty_corrects_frequency_unless_starting_weights_do():
    alike = [0.2, 0.2, 0.2]
    np.testing.assert_allclose(wanted("difficulty", alike), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(wanted("difficulty", alike, start=(2.0, 2.0, 2.0)), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(wanted("difficulty", [0.0, 0.0, 0.0]), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(wanted("difficulty", alike, start=(1.0, 1.0, 1.1)), [1.0, 1.0, 1.0])


def test_difficulty_is_a_power_of_the_error_above_a_floor():
    errors, floor, even = [0.0, 0.1, 0.3], 0.05 * 0.4 / 3, {"counts": (7, 7, 7)}
    np.testing.assert_allclose(wanted("difficulty", errors, **even), [(e + floor) / (0.3 + floor) for e in errors])
    np.testing.assert_allclose(wanted("difficulty", errors, 2.0, **even), wanted("difficulty", errors, **even) ** 2)
    np.testing.assert_array_equal(wanted("difficulty", errors, 0.0, **even), [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(wanted("difficulty", [0.0, 0.0, 0.0], **even), [1.0, 1.0, 1.0])


def test_the_other_strategies_equal_their_formulas():
    errors = [0.05, 0.1, 0.4]
    np.testing.assert_allclose(wanted("cdb", errors, 2.0), [1 / 64, 1 / 16, 1.0])
    tau = 2 / (1 + math.exp(-(0.95 / 0.61 - 1)))
    np.testing.assert_allclose(wanted("cdb", errors, "dynamic"), [(e / 0.4) ** tau for e in errors])
    grown = [f * math.exp(0.5 * e / (0.55 / 3)) for f, e in zip((1.0, 2.0, 4.0), errors, strict=True)]
    np.testing.assert_allclose(wanted("group_dro", errors, 0.5, (1.0, 2.0, 4.0)), np.array(grown) / grown[-1])
    effective = [1e-4 / (1 - 0.9999**n) / s for n, s in ((100, 2.0), (10, 1.0), (1, 0.5))]
    found = wanted("deferred", errors, start=(2.0, 1.0, 0.5))
    np.testing.assert_allclose(found, np.array(effective) / effective[-1], rtol=1e-9)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("errors", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1e-300, 1e300, 1.0]])
@pytest.mark.parametrize("tau", [3.0, 300.0])
def test_factors_of_extreme_errors_are_finite_and_positive(strategy, errors, tau):
    counts = np.array([5.0, 1e9, 1.0])
    statistics = ClassStatistics(np.array(errors), np.ones(3), np.ones(3), counts, neutral_factors(counts, np.ones(3)))
    found = STRATEGIES[strategy](statistics, tau)
    limited = limit_factors(found, np.ones(3), np.ones(3), 3.0, None, None)
    assert np.isfinite(limited).all()
    assert (limited > 0).all()
    assert limited.mean() == pytest.approx(1.0)


def test_a_huge_exponent_is_limited_to_one_step():
    steep = wanted("difficulty", [0.1, 0.4], 2000.0, (1.0, 1.0), (1.0, 1.0), (1, 1))
    np.testing.assert_allclose(limit_factors(steep, np.ones(2), np.ones(2), 2.0, (0.2, 5.0), 1.5), [2 / 3, 4 / 3])
