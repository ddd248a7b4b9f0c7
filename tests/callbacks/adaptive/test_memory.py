"""The smoothed errors and counts that the next update depends on."""

import numpy as np
import pytest

from keras_balanced_siamese.callbacks.adaptive._memory import Memory

pytestmark = pytest.mark.numpy_only


def test_counts_are_smoothed_and_part_of_the_state():
    start, errors = np.ones(2), np.full(2, 0.1)
    memory, again = (Memory(["a", "b"], start, 0.75, 5.0) for _ in range(2))
    memory.learn(errors, None, np.array([8.0, 0.0]))
    memory.learn(errors, None, np.array([0.0, 4.0]))
    np.testing.assert_allclose(memory.counts, [6.0, 1.0])
    again.restore(memory.state(start))
    np.testing.assert_array_equal(again.counts, memory.counts)


def test_errors_are_shrunk_then_smoothed_and_kept_where_unknown():
    memory = Memory(["a", "b"], np.ones(2), 0.75, None)
    memory.learn(np.array([0.2, 0.6]), np.array([2.0, 6.0]), np.ones(2))
    np.testing.assert_allclose(memory.errors, [0.3, 0.55])
    memory.learn(np.array([0.7, np.nan]), None, np.ones(2))
    np.testing.assert_allclose(memory.errors, [0.75 * 0.3 + 0.25 * 0.7, 0.55])
