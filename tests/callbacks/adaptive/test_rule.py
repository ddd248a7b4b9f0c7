"""The rule: the next weights from errors, counts and starting weights, all plain arrays."""

import math

import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import PlainWeights, follow
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_balanced_siamese.callbacks.adaptive._class_errors import recorded_errors
from keras_balanced_siamese.callbacks.adaptive._strategies import STRATEGIES

pytestmark = pytest.mark.numpy_only


def plain(start=(1.0, 1.0, 1.0), items=(40.0, 40.0, 40.0)):
    return PlainWeights(start, items)


def test_constant_errors_are_approached_in_steps_and_held():
    items = np.array([44.0, 42.0, 34.0])
    weights = follow(plain(items=items), [[0.1, 0.1, 0.4]] * 20, max_step=1.2, tau=1.0)
    assert weights[0].tolist() == [1.0, 1.0, 1.0]  # warm-up
    ratio = weights[1:] / weights[:-1]
    assert ratio.max() == pytest.approx(1.2, abs=1e-9)
    np.testing.assert_allclose(weights @ items / items.sum(), 1.0, rtol=1e-6)
    wish = np.array([0.11, 0.11, 0.41]) / items
    np.testing.assert_allclose(weights[-1] / weights[-1][0], wish / wish[0], rtol=1e-6)
    np.testing.assert_allclose(weights[-1], weights[-2], rtol=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_weights_settle_when_errors_fall_with_them(noise):
    """With errors d_c / sqrt(w_c) the fixed point of the rule is found by iterating it."""
    adapted, rng = plain(items=(200, 60, 20)), np.random.default_rng(0)
    difficulty, share = np.array([0.1, 0.3, 0.2]), adapted.items / adapted.items.sum()
    epochs = (difficulty / np.sqrt(adapted.values) * np.exp(noise * rng.normal(size=3)) for _ in range(60))
    weights = follow(adapted, epochs)
    fixed = np.ones(3)
    for _ in range(200):
        error = difficulty / np.sqrt(fixed)
        fixed = (error + 0.05 * error.mean()) ** 0.25 / share
        fixed /= fixed @ share
    np.testing.assert_allclose(weights[40:].mean(axis=0), fixed, rtol=1e-6 if noise == 0 else 0.1)
    assert np.ptp(np.log(weights[40:]), axis=0).max() < 1e-6 + noise


def test_bounds_hold_and_no_weight_becomes_zero():
    weights = follow(plain(), [[0.0, 0.0, 0.5]] * 12, tau=5.0, bounds=(0.5, 1.4))
    assert weights.min() >= 0.5 - 1e-9
    assert weights.max() == pytest.approx(1.4, abs=1e-9)


def test_a_class_that_stays_bad_at_its_bound_falls_back_to_one():
    weights = follow(plain(), [[0.1, 0.1, 0.9]] * 12, tau=0.5, bounds=(0.2, 1.5), warmup_epochs=0)
    assert weights[:, 2].max() == pytest.approx(1.5)
    assert weights[-1, 2] == pytest.approx(1.0)
    assert (weights.mean(axis=1) <= 1.0 + 1e-9).all()


def test_a_class_without_an_error_keeps_its_weight():
    weights = follow(plain(), [[0.1, math.nan, 0.3]] * 4, warmup_epochs=0)
    np.testing.assert_allclose(weights[:, 1], 1.0)
    assert weights[-1, 2] > 1.1
    np.testing.assert_allclose(follow(plain(), [[math.nan] * 3] * 3), 1.0)


def test_starting_weights_are_what_the_factors_multiply():
    np.testing.assert_allclose(follow(plain((0.5, 1.0, 3.0)), [[0.2] * 3] * 5), [[0.5, 1.0, 3.0]] * 5, rtol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_class_of_weight_zero_keeps_it_under_any_strategy(strategy):
    weights = follow(plain((1.0, 0.0, 2.0)), [[0.1, 0.2, 0.3]] * 3, strategy=strategy, warmup_epochs=0)
    assert np.isfinite(weights).all()
    assert (weights[:, 1] == 0.0).all()
    assert (weights[:, [0, 2]] > 0.0).all()


def test_the_only_class_that_is_drawn_keeps_its_weight():
    weights = follow(plain(items=(40.0, 0.0, 0.0)), [[0.1, 0.2, 0.3]] * 4)
    np.testing.assert_allclose(weights[:, 0], 1.0)


def test_deferred_weights_wait_and_then_follow_the_counts():
    items, limits = np.array([400.0, 60.0, 0.25]), {"bounds": None, "max_step": None}
    weights = follow(plain(items=items), [[0.1, 0.2, 0.3]] * 4, strategy="deferred", warmup_epochs=2, **limits)
    assert (weights[:2] == 1.0).all()
    effective = 1e-4 / (1 - 0.9999 ** np.maximum(items, 1.0))  # a class that is hardly drawn counts as drawn once
    np.testing.assert_allclose(weights[2] / weights[2][0], effective / effective[0], rtol=1e-6)
    np.testing.assert_allclose(weights[3], weights[2], rtol=1e-9)


def test_a_callable_gets_errors_weights_and_epoch_and_is_limited():
    calls = []

    def strategy(errors, weights, epoch):
        calls.append((errors, weights, epoch))
        return {0: 1.0, 1: 1.0, 2: 100.0}

    weights = follow(plain(), [[0.1, 0.2, 0.3]] * 2, strategy=strategy, warmup_epochs=0)
    assert calls[0] == ({0: 0.1, 1: 0.2, 2: 0.3}, {0: 1.0, 1: 1.0, 2: 1.0}, 0)
    assert calls[1][1:] == (dict(enumerate(weights[0])), 1)
    assert 1.0 < weights[0, 2] <= 2.0 + 1e-9
    with pytest.raises(ValueError, match="Missing"):
        follow(plain(), [[0.1, 0.2, 0.3]], strategy=lambda *_: {0: 1.0}, warmup_epochs=0)


def test_a_callable_gets_only_the_classes_that_have_an_error():
    calls = []

    def strategy(errors, weights, epoch):
        calls.append((dict(errors), set(weights)))
        return {0: 1.0, 1: 2.0, 2: 9.0}  # the weight of a class without an error does not count

    weights = follow(plain(), [[0.1, 0.3, math.nan]], strategy=strategy, warmup_epochs=0)
    assert calls == [({0: 0.1, 1: 0.3}, {0, 1})]
    assert weights[0, 1] / weights[0, 0] == pytest.approx(2.0)
    assert weights[0, 2] == 1.0


losses_of_classes = st.lists(
    st.tuples(st.one_of(st.floats(0, 1e6), st.just(math.nan), st.just(math.inf)), st.integers(0, 1000)),
    min_size=4,
    max_size=4,
)


@settings(max_examples=40)
@given(
    st.integers(1, 4),
    st.lists(losses_of_classes, min_size=1, max_size=6),
    st.sampled_from(list(STRATEGIES)),
    st.sampled_from([None, (0.3, 3.0)]),
    st.sampled_from([None, 1.5]),
)
def test_weights_stay_sound_whatever_a_training_records(n, epochs, strategy, bounds, max_step):
    adapted = plain([2.0] * n, [0] * n)
    mean, count = np.array(epochs)[:, :n].transpose(2, 0, 1)  # each (epochs, n)
    mean = np.where(count > 0, mean, np.nan)

    def recorded():
        for means, adapted.items in zip(mean, count, strict=True):
            yield recorded_errors((means, adapted.items), adapted.classes)

    after = follow(adapted, recorded(), strategy=strategy, bounds=bounds, max_step=max_step)
    before = np.concatenate([np.full((1, n), 2.0), after[:-1]])
    assert np.isfinite(after).all()
    assert (after >= 2.0 * 1e-3 * (1 - 1e-9)).all()
    unknown = ~np.isfinite(mean)
    np.testing.assert_array_equal(after[unknown], before[unknown])
    if max_step is not None:
        assert np.abs(np.log(after / before)).max() <= math.log(max_step) + 1e-9
    if bounds is not None:
        assert (after / 2.0 <= bounds[1] * (1 + 1e-9)).all()
        assert (after / 2.0 >= bounds[0] * (1 - 1e-9)).all()
