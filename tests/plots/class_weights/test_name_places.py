import numpy as np
import pytest

from keras_balanced_siamese.plots.class_weights._line_ends import spread

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("seed", range(20))
def test_names_are_spread_as_little_as_possible(seed):
    rng = np.random.default_rng(seed)
    n, gap = int(rng.integers(1, 9)), 0.1
    targets = np.round(rng.uniform(0.3, 0.7, n), 2) if seed % 2 else rng.uniform(0, 1, n)
    places = spread(targets, gap)
    order = sorted(range(n), key=lambda k: targets[k])
    free = [targets[k] - gap * rank for rank, k in enumerate(order)]
    for rank, k in enumerate(order):  # isotonic regression, by its min-max formula
        best = max(min(np.mean(free[a : b + 1]) for b in range(rank, n)) for a in range(rank + 1))
        assert places[k] == pytest.approx(min(max(best, 0), 1 - gap * (n - 1)) + gap * rank)
    assert np.diff(places[order]) == pytest.approx(np.maximum(np.diff(places[order]), gap))


def test_too_many_names_keep_their_distance():
    places = spread(np.full(30, 0.5), 0.1)
    assert np.diff(np.sort(places)) == pytest.approx(np.full(29, 0.1))
