import copy
import itertools
import json
import math
import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from toy import WAYS_TO_COMPILE, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight, BalancedPairSequence
from keras_balanced_siamese.callbacks.adaptive._checks import check_double_correction
from keras_balanced_siamese.callbacks.adaptive._class_errors import Errors
from keras_balanced_siamese.callbacks.adaptive._history import write_entries
from keras_balanced_siamese.callbacks.adaptive._limits import UpperBounds, limit_factors, shrink_to_mean
from keras_balanced_siamese.callbacks.adaptive._memory import Memory
from keras_balanced_siamese.callbacks.adaptive._strategies import STRATEGIES, ClassStatistics, neutral_factors
from keras_balanced_siamese.callbacks.adaptive._targets import Weights

positive = st.floats(0.05, 20)


@given(
    st.lists(st.tuples(positive, positive, positive), min_size=2, max_size=8),
    st.floats(1.0, 3.0),
    st.sampled_from([None, (0.2, 5.0), (0.9, 1.1)]),
    st.floats(0.1, 10.0),
)
def test_limited_factors_reach_the_goal_as_near_as_every_limit_allows(rows, max_step, bounds, ratio):
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
    order = np.argsort(wanted / current)  # who asked for more, relatively, gets no less
    gained = np.round(found / current, 9)[order]
    if bounds is None:
        assert (np.diff(gained) >= 0).all()


@given(st.lists(positive, min_size=2, max_size=8))
def test_without_limits_the_factors_are_what_was_wanted(asked):
    asked = np.array(asked)
    found = limit_factors(asked, np.ones_like(asked), np.ones_like(asked), float(len(asked)), None, None)
    np.testing.assert_allclose(found, asked / asked.mean(), rtol=1e-9)


def test_factors_that_count_nothing_stay():
    asked, current = np.array([1.0, 3.0]), np.array([0.5, 0.7])
    np.testing.assert_array_equal(limit_factors(asked, current, np.zeros(2), 1.0, None, None), current)
    np.testing.assert_array_equal(limit_factors(np.zeros(2), current, np.ones(2), 1.0, None, None), current)


def wanted(strategy, errors, tau=1.0, factors=(1.0, 1.0, 1.0), start=(1.0, 1.0, 1.0), counts=(100, 10, 1)):
    counts, start = np.array(counts, float), np.array(start, float)
    seen = ClassStatistics(
        np.array(errors, float), np.array(factors, float), start, counts, neutral_factors(counts, start)
    )
    found = STRATEGIES[strategy](seen, tau)
    return found / found[-1]


def test_difficulty_makes_up_for_what_is_drawn_less_often_unless_the_starting_weights_differ():
    alike = [0.2, 0.2, 0.2]
    np.testing.assert_allclose(wanted("difficulty", alike), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(wanted("difficulty", alike, start=(2.0, 2.0, 2.0)), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(wanted("difficulty", [0.0, 0.0, 0.0]), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(wanted("difficulty", alike, start=(1.0, 1.0, 1.1)), [1.0, 1.0, 1.0])


def test_difficulty():
    errors, floor, even = [0.0, 0.1, 0.3], 0.05 * 0.4 / 3, {"counts": (7, 7, 7)}
    np.testing.assert_allclose(wanted("difficulty", errors, **even), [(e + floor) / (0.3 + floor) for e in errors])
    np.testing.assert_allclose(wanted("difficulty", errors, 2.0, **even), wanted("difficulty", errors, **even) ** 2)
    np.testing.assert_array_equal(wanted("difficulty", errors, 0.0, **even), [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(wanted("difficulty", [0.0, 0.0, 0.0], **even), [1.0, 1.0, 1.0])


def test_the_other_strategies():
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
def test_no_strategy_leaves_the_numbers(strategy, errors, tau):
    counts = np.array([5.0, 1e9, 1.0])
    seen = ClassStatistics(np.array(errors), np.ones(3), np.ones(3), counts, neutral_factors(counts, np.ones(3)))
    found = STRATEGIES[strategy](seen, tau)
    limited = limit_factors(found, np.ones(3), np.ones(3), 3.0, None, None)
    assert np.isfinite(limited).all()
    assert (limited > 0).all()
    assert limited.mean() == pytest.approx(1.0)


def test_an_error_on_few_items_is_drawn_to_the_mean():
    np.testing.assert_allclose(shrink_to_mean(np.array([0.2, 0.6]), np.array([2.0, 6.0])), [0.3, 0.55])


def test_a_class_at_the_bound_that_gets_no_better_is_given_up_by_and_by():
    upper_bounds, highest = UpperBounds(2, 4.0), []
    for error in (0.5, 0.5, 0.5, 0.5, 0.5, 0.498, 0.4, 0.3):
        highest.append(
            upper_bounds.update(np.array([upper_bounds.highest[0], 1.0]), np.array([error, 0.5]), np.ones(2)).copy()
        )
    np.testing.assert_allclose(np.array(highest)[:, 0], [4.0, 4.0, 4.0, 3.2, 2.56, 2.048, 2.56, 3.2])
    np.testing.assert_array_equal(np.array(highest)[:, 1], 4.0)
    for _ in range(40):
        lowest = upper_bounds.update(
            np.array([upper_bounds.highest[0], 1.0]), np.array([0.5, np.nan]), np.array([0.1, 1.0])
        )
    np.testing.assert_array_equal(lowest, [1.0, 4.0])


def test_a_class_is_not_given_up_below_what_makes_up_for_its_frequency():
    for neutral, least in ((0.5, 1.0), (3.0, 3.0), (9.0, 4.0)):
        upper_bounds = UpperBounds(1, 4.0)
        for _ in range(40):
            lowest = upper_bounds.update(upper_bounds.highest, np.array([0.5]), np.array([neutral]))
        assert lowest == least


def test_deferred_weights_wait_and_then_follow_what_is_drawn():
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0)
    rails = {"warmup_epochs": 2, "bounds": None, "max_step": None}
    callback = AdaptiveClassWeight(pairs, monitor="error", strategy="deferred", **rails)
    seen, _ = simulate(callback, lambda epoch: [0.1, 0.2, 0.3], 4)
    assert (seen[:2] == 1.0).all()
    drawn = [share * 2 * len(pairs.plan.pairs) for share in pairs.class_distribution.values()]
    effective = [1e-4 / (1 - 0.9999**n) for n in drawn]
    np.testing.assert_allclose(seen[2] / seen[2][0], np.array(effective) / effective[0], rtol=1e-6)
    np.testing.assert_allclose(seen[3], seen[2], rtol=1e-9)


def test_the_callback_gives_up_a_class_that_stays_at_its_bound():
    callback = AdaptiveClassWeight(sequence(), monitor="error", tau=0.5, bounds=(0.2, 1.5), warmup_epochs=0)
    seen, _ = simulate(callback, lambda epoch: [0.1, 0.1, 0.9], 12)
    rare = seen[:, 2]
    assert rare.max() == pytest.approx(1.5)
    assert rare[-1] == pytest.approx(1.0)
    share = np.array(list(callback.target.class_distribution.values()))
    assert (seen @ share <= 1.0 + 1e-9).all()


def test_no_factor_becomes_zero():
    found = limit_factors(np.array([0.0, 1.0]), np.ones(2), np.ones(2), 2.0, None, None)
    np.testing.assert_allclose(found, [0.001, 1.999])


def test_a_class_of_which_nothing_is_wanted_still_takes_what_the_others_may_not():
    found = limit_factors(np.array([1.0, 0.0]), np.array([1.2, 1.0]), np.ones(2), 2.0, (0.02, 1.2), None)
    np.testing.assert_allclose(found, [1.2, 0.8])


# --- one training, the same numbers on every lane -------------------------------------------------------------------


def slow_weights(start, current, smoothed, share, bounds=(0.02, 50.0), max_step=2.0):
    """The default rule, with the scale found by another root finder."""
    factor = [c / s for c, s in zip(current, start, strict=True)]
    wanted = [(e + 0.05 * sum(smoothed) / len(smoothed)) ** 0.25 / p for e, p in zip(smoothed, share, strict=True)]

    def limited(scale):
        return [
            min(max(scale * w, bounds[0], f / max_step), bounds[1], f * max_step)
            for w, f in zip(wanted, factor, strict=True)
        ]

    def missing(scale):
        return sum(p * s * (f - 1.0) for p, s, f in zip(share, start, limited(scale), strict=True))

    scale = brentq(missing, 0.0, 1e6, xtol=1e-15, rtol=1e-14)
    return [s * f for s, f in zip(start, limited(scale), strict=True)]


def shrunken(errors, support):
    return [(m * e + 2 * np.mean(errors)) / (m + 2) for e, m in zip(errors, support, strict=True)]


class SlowTraining:
    """Gradient descent on a linear encoder with the contrastive loss, by hand, in NumPy and float64."""

    def __init__(self, x, kernel, pairs, rate):
        self.x, self.kernel, self.pairs, self.rate = x.astype("float64"), kernel.astype("float64"), pairs, rate
        self.label_weights, self.class_weights = [1.0, 1.0], [1.0] * len(pairs.classes)
        self.smoothed = {"label": None, "class": None}

    def distances(self, left, right):
        return np.sqrt((((self.x[left] - self.x[right]) @ self.kernel) ** 2).sum(axis=1))

    def epoch(self, number, validation, recorded):
        """One epoch; the errors of the classes are those recorded, if they are what is measured here.

        A rounding may put a pair of the validation on the other side of the threshold, and all differs from there.
        """
        self.pairs.set_epoch(number)
        batches = [self.pairs.indices(i) for i in range(len(self.pairs))]
        root = np.sqrt(self.class_weights)[self.pairs.labels]
        raw = [root[left] * root[right] for left, right, _ in batches]
        means = [np.concatenate([r[s == k] for r, (_, _, s) in zip(raw, batches, strict=True)]).mean() for k in (0, 1)]
        losses, by_label = [], {0: [], 1: []}
        for (left, right, similar), weight in zip(batches, raw, strict=True):
            d = self.distances(left, right)
            gap = np.where(d < 1.0, 1.0 - d, 0.0)
            item = np.where(similar == 1, d**2, gap**2)
            slope = np.where(similar == 1, 2 * d, -2 * gap)
            weight = np.where(
                similar == 1, self.label_weights[1] * weight / means[1], self.label_weights[0] * weight / means[0]
            )
            losses.append((item * weight).mean())
            for k in (0, 1):
                by_label[k].extend(item[similar == k])
            delta = self.x[left] - self.x[right]
            direction = (delta @ self.kernel) / d[:, None]
            self.kernel = self.kernel - self.rate * delta.T @ (direction * (slope * weight)[:, None]) / len(d)
        label_errors = shrunken([np.mean(by_label[k]) for k in (0, 1)], [len(by_label[k]) for k in (0, 1)])
        measured, support = self.class_errors(validation)
        np.testing.assert_allclose(recorded, measured, atol=0.03)
        class_errors = shrunken(recorded, support)
        row = {"loss": np.mean(losses), "label": list(self.label_weights), "class": list(self.class_weights)}
        for kind, errors in (("label", label_errors), ("class", class_errors)):
            old = self.smoothed[kind]
            self.smoothed[kind] = (
                errors if old is None else [0.7 * o + 0.3 * e for o, e in zip(old, errors, strict=True)]
            )
        if number >= 1:
            self.label_weights = slow_weights([1, 1], self.label_weights, self.smoothed["label"], [0.5, 0.5])
            share = list(self.pairs.class_distribution.values())
            self.class_weights = slow_weights([1.0] * len(share), self.class_weights, self.smoothed["class"], share)
        return row

    def class_errors(self, validation):
        left, right, similar = (
            np.concatenate(p) for p in zip(*map(validation.indices, range(len(validation))), strict=True)
        )
        names = np.array(validation.classes)[validation.labels]
        classes = np.stack([names[left], names[right]], axis=1)
        report = kbs.evaluate_pairs(self.distances(left, right), similar, classes=classes)
        return ([report.per_class[label][name] for label in validation.classes] for name in ("error", "n_similar"))


def test_losses_weights_and_adapted_class_weights_equal_a_training_by_hand():
    x, y = clusters()
    rate, epochs = 0.05, 6

    def sequence():
        return kbs.BalancedPairSequence(x, y, batch_size=12, steps_per_epoch=5, seed=7)

    def validation():
        return kbs.BalancedPairSequence(x, y, batch_size=50, redraw=False, seed=8)

    model = compiled(optimizer=keras.optimizers.SGD(rate))
    slow = SlowTraining(x, model.get_weights()[0], sequence(), rate)
    pairs = sequence()
    callbacks = [AdaptiveClassWeight(), AdaptiveClassWeight(pairs, validation_data=validation())]
    history = model.fit(pairs, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks).history
    errors = [list(row["errors"].values()) for row in callbacks[1].history_]
    expected = [slow.epoch(number, validation(), errors[number]) for number in range(epochs)]
    np.testing.assert_allclose(history["loss"], [row["loss"] for row in expected], rtol=1e-5)
    for k in (0, 1):
        np.testing.assert_allclose(history[f"class_weight/{k}"], [row["label"][k] for row in expected], rtol=1e-5)
    for k, label in enumerate(pairs.classes):
        np.testing.assert_allclose(history[f"class_weight_1/{label}"], [row["class"][k] for row in expected], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], slow.kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(list(pairs.class_weight.values()), slow.class_weights, rtol=1e-5)
    assert max(history["class_weight/1"]) > 1.1  # it did adapt


# --- the new weight holds from the very next step -------------------------------------------------------------------


def asked_for(epoch):
    return {0: 1.0, 1: float(epoch + 2)}


@pytest.mark.parametrize(("how", "validated"), [({}, True), *((how, False) for how in [{}, *WAYS_TO_COMPILE])], ids=str)
def test_a_loss_uses_new_weights_in_the_very_next_epoch(how, validated):
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, steps_per_epoch=4, seed=0)
    model = compiled(optimizer=keras.optimizers.SGD(0.0), **how)
    callback = AdaptiveClassWeight(
        strategy=lambda _errors, _weights, epoch: asked_for(epoch), bounds=None, max_step=None, warmup_epochs=0
    )
    data = kbs.BalancedPairSequence(x, y, batch_size=8, seed=1, redraw=False) if validated else None
    history = model.fit(pairs, epochs=4, verbose=0, validation_data=data, callbacks=[callback]).history
    for epoch in range(4):
        weights = {0: 1.0, 1: 1.0} if epoch == 0 else asked_for(epoch - 1)
        scale = 2 / sum(weights.values())  # half of the pairs are similar
        expected = sum(history[f"class_loss/{k}"][epoch] * weights[k] * scale / 2 for k in (0, 1))
        assert history["loss"][epoch] == pytest.approx(expected, rel=1e-5)
        assert history["class_weight/1"][epoch] == pytest.approx(weights[1] * scale, rel=1e-6)


def test_class_losses_are_the_unweighted_means_of_the_epoch():
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    validation = kbs.BalancedPairSequence(x, y, batch_size=8, seed=1, redraw=False)
    model = compiled(kbs.WeightedContrastiveLoss(class_weight={0: 0.2, 1: 5.0}), keras.optimizers.SGD(0.0))
    callback = AdaptiveClassWeight(warmup_epochs=0)
    history = model.fit(pairs, epochs=1, verbose=0, validation_data=validation, callbacks=[callback]).history
    for prefix, data in (("class_loss", pairs), ("val_class_loss", validation)):
        data.set_epoch(0)
        sides, similar, _ = zip(*(data[i] for i in range(len(data))), strict=True)
        left, right = (np.concatenate(side) for side in zip(*sides, strict=True))
        d, s = model.predict((left, right), verbose=0).ravel(), np.concatenate(similar).ravel()
        assert history[f"{prefix}/1"][0] == pytest.approx((d[s == 1] ** 2).mean(), rel=1e-5)
        assert history[f"{prefix}/0"][0] == pytest.approx((np.maximum(1 - d[s == 0], 0) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sequence_uses_new_weights_in_the_very_next_epoch(workers):
    x, y = clusters()

    def sequence():
        return kbs.BalancedPairSequence(x, y, batch_size=8, seed=0, workers=workers)

    def asked(epoch):
        return {"common": 1.0, "medium": 2.0 + epoch, "rare": 4.0}

    pairs, model = sequence(), compiled(optimizer=keras.optimizers.SGD(0.0))
    callback = AdaptiveClassWeight(
        pairs,
        validation_data=(x, y),
        strategy=lambda _errors, _weights, epoch: asked(epoch),
        bounds=None,
        max_step=None,
        warmup_epochs=0,
    )
    history = model.fit(pairs, epochs=3, verbose=0, callbacks=[callback]).history
    plain = sequence()
    for epoch in range(3):
        plain.set_epoch(epoch)
        plain.class_weight = dict.fromkeys(plain.classes, 1.0) if epoch == 0 else asked(epoch - 1)
        total = []
        for i in range(len(plain)):
            sides, similar, weight = plain[i]
            d = model.predict(sides, verbose=0).ravel()
            item = np.where(similar.ravel() == 1, d**2, np.maximum(1 - d, 0) ** 2)
            total.extend(item * weight)
        assert history["loss"][epoch] == pytest.approx(np.mean(total), rel=1e-5)


def test_a_callback_that_joins_a_second_fit_records_too():
    x, y = clusters()
    pairs, model = kbs.BalancedPairSequence(x, y, seed=0), compiled()
    model.fit(pairs, epochs=1, verbose=0)
    before = model.evaluate(pairs, verbose=0)
    history = model.fit(pairs, epochs=3, verbose=0, callbacks=[AdaptiveClassWeight()]).history
    assert np.isfinite(history["class_loss/0"]).all()
    assert history["class_weight/1"][2] != 1.0
    assert np.ndim(before) == np.ndim(model.evaluate(pairs, verbose=0)) == 0  # evaluate returns what it returned


def test_attaching_leaves_the_model_as_it_is():
    x, y = clusters()
    pairs, model = kbs.BalancedPairSequence(x, y, seed=0), compiled()
    before = [w.shape for w in model.get_weights()], model.count_params(), len(model.layers)
    model.fit(pairs, epochs=2, verbose=0, callbacks=[AdaptiveClassWeight()])
    assert ([w.shape for w in model.get_weights()], model.count_params(), len(model.layers)) == before
    state = model.optimizer.iterations
    assert int(state) == 2 * len(pairs)


# --- the rule ------------------------------------------------------------------------------------------------------


def simulate(callback, errors, epochs):
    """Drive a callback by hand with given errors per epoch; return the weights after each."""
    x, y = clusters()
    pairs = callback.target or kbs.BalancedPairSequence(x, y, seed=0)
    callback.set_model(compiled())
    seen = []
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        logs = {f"error/{label}": e for label, e in zip(pairs.classes, errors(epoch), strict=True)}
        callback.on_epoch_end(epoch, logs)
        seen.append(list(pairs.class_weight.values()))
    return np.array(seen), logs


def sequence():
    x, y = clusters()
    return kbs.BalancedPairSequence(x, y, seed=0)


def test_constant_errors_are_approached_in_steps_and_held():
    callback = AdaptiveClassWeight(sequence(), monitor="error", max_step=1.2, tau=1.0)
    seen, _ = simulate(callback, lambda epoch: [0.1, 0.1, 0.4], 20)
    assert seen[0].tolist() == [1.0, 1.0, 1.0]  # warm-up
    ratio = seen[1:] / seen[:-1]
    assert ratio.max() <= 1.2 + 1e-9
    share = np.array(list(callback.target.class_distribution.values()))
    np.testing.assert_allclose(seen @ share, 1.0, rtol=1e-6)
    wish = np.array([0.11, 0.11, 0.41]) / share  # the smallest class cannot have its share of similar pairs
    np.testing.assert_allclose(seen[-1] / seen[-1][0], wish / wish[0], rtol=1e-6)
    np.testing.assert_allclose(seen[-1], seen[-2], rtol=1e-9)


def test_weights_of_one_come_to_make_up_for_frequency():
    x, y = clusters({"common": 400, "medium": 40, "rare": 4})
    natural = {"class_sampling": "natural", "max_repeats": None, "steps_per_epoch": 40, "seed": 0}
    pairs = kbs.BalancedPairSequence(x, y, **natural)
    seen, _ = simulate(AdaptiveClassWeight(pairs, monitor="error"), lambda epoch: [0.2, 0.2, 0.2], 12)
    share = np.array(list(pairs.class_distribution.values()))
    np.testing.assert_allclose(seen[-1] * share, 1 / 3, rtol=1e-6)
    assert seen[-1, 2] > 10
    given_by_class = kbs.BalancedPairSequence(x, y, class_weight="balanced", **natural)
    seen, _ = simulate(AdaptiveClassWeight(given_by_class, monitor="error"), lambda epoch: [0.2, 0.2, 0.2], 4)
    np.testing.assert_allclose(seen[-1], seen[0], rtol=1e-6)


def test_a_loss_on_natural_batches_finds_the_frequencies_by_itself():
    x, y = clusters({"common": 80, "medium": 30, "rare": 10})
    codes = np.unique(y, return_inverse=True)[1]
    encoder = linear_encoder()
    loss = kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(range(3), 1.0))
    encoder.compile(keras.optimizers.SGD(0.0), loss)
    callback = AdaptiveClassWeight(tau=0.0)
    encoder.fit(x, codes, batch_size=120, epochs=8, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(list(loss.class_weight.values()), [40 / 80, 40 / 30, 40 / 10], rtol=1e-6)


def test_a_class_that_no_epoch_draws_does_not_move_the_others():
    x, y = clusters()
    encoder = linear_encoder()
    loss = kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(range(4), 1.0))
    encoder.compile(keras.optimizers.SGD(0.0), loss)
    codes = np.unique(y, return_inverse=True)[1]
    encoder.fit(x, codes, batch_size=59, epochs=8, verbose=0, callbacks=[AdaptiveClassWeight(tau=0.0)])
    np.testing.assert_allclose(list(loss.class_weight.values()), [59 / 3 / 40, 59 / 3 / 14, 59 / 3 / 5, 1.0], rtol=1e-6)


def test_a_class_that_an_epoch_hardly_draws_counts_as_drawn_once():
    x, y = clusters()
    shares = {"common": 0.98, "medium": 0.0199, "rare": 0.0001}
    pairs = kbs.BalancedPairSequence(x, y, class_sampling=shares, max_repeats=None, seed=0)
    callback = AdaptiveClassWeight(pairs, monitor="error", bounds=None, max_step=None)
    seen, _ = simulate(callback, lambda epoch: [0.2, 0.2, 0.2], 3)
    drawn = np.array(list(pairs.class_distribution.values())) * 2 * len(pairs.plan.pairs)
    assert drawn[2] < 0.5
    np.testing.assert_allclose(seen[-1, 2] / seen[-1, 0], drawn[0], rtol=1e-9)


def test_counts_are_smoothed_and_part_of_the_state():
    start, errors = np.ones(2), np.full(2, 0.1)
    memory, again = (Memory(["a", "b"], start, 0.75, 5.0) for _ in range(2))
    memory.learn(errors, None, np.array([8.0, 0.0]))
    memory.learn(errors, None, np.array([0.0, 4.0]))
    np.testing.assert_allclose(memory.counts, [6.0, 1.0])
    again.restore(memory.state(start))
    np.testing.assert_array_equal(again.counts, memory.counts)


def test_bounds_hold_and_no_weight_becomes_zero():
    callback = AdaptiveClassWeight(sequence(), monitor="error", tau=5.0, bounds=(0.5, 1.4))
    seen, _ = simulate(callback, lambda epoch: [0.0, 0.0, 0.5], 12)
    assert seen.min() >= 0.5 - 1e-9
    assert seen.max() <= 1.4 + 1e-9


def test_a_missing_or_nan_error_keeps_the_weight_of_that_class():
    callback = AdaptiveClassWeight(sequence(), monitor="error", warmup_epochs=0)
    seen, _ = simulate(callback, lambda epoch: [0.1, math.nan, 0.3], 4)
    np.testing.assert_allclose(seen[:, 1], 1.0)
    assert seen[-1, 2] > 1.1
    everything_unknown, _ = simulate(AdaptiveClassWeight(sequence(), monitor="error"), lambda epoch: [math.nan] * 3, 3)
    np.testing.assert_allclose(everything_unknown, 1.0)


def test_a_callable_gets_errors_weights_and_epoch_and_is_limited():
    calls = []

    def strategy(errors, weights, epoch):
        calls.append((errors, weights, epoch))
        return {"common": 1.0, "medium": 1.0, "rare": 100.0}

    callback = AdaptiveClassWeight(sequence(), monitor="error", strategy=strategy, warmup_epochs=0)
    seen, _ = simulate(callback, lambda epoch: [0.1, 0.2, 0.3], 2)
    assert calls[0] == ({"common": 0.1, "medium": 0.2, "rare": 0.3}, {"common": 1.0, "medium": 1.0, "rare": 1.0}, 0)
    assert seen[0, 2] <= 2.0 + 1e-9
    bad = AdaptiveClassWeight(sequence(), monitor="error", strategy=lambda *_: {"common": 1.0}, warmup_epochs=0)
    with pytest.raises(ValueError, match="Missing"):
        simulate(bad, lambda epoch: [0.1, 0.2, 0.3], 1)


def test_starting_weights_are_what_the_factors_multiply():
    x, y = clusters()
    start = {"common": 0.5, "medium": 1.0, "rare": 3.0}
    pairs = kbs.BalancedPairSequence(x, y, seed=0, class_weight=start)
    seen, _ = simulate(AdaptiveClassWeight(pairs, monitor="error"), lambda epoch: [0.2, 0.2, 0.2], 5)
    np.testing.assert_allclose(seen, [[0.5, 1.0, 3.0]] * 5, rtol=1e-6)


def test_batches_are_a_target_too():
    x, y = clusters()
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0)
    seen, _ = simulate(AdaptiveClassWeight(batches, monitor="error"), lambda epoch: [0.1, 0.1, 0.3], 4)
    assert seen[-1][2] > 1.15
    assert batches[0][2].max() > 1.15


def test_a_callable_is_told_of_the_classes_that_have_an_error():
    given_by_class = []

    def strategy(errors, weights, epoch):
        given_by_class.append((dict(errors), set(weights)))
        return {"common": 1.0, "medium": 2.0, "rare": 9.0}  # what it says of others does not count

    callback = AdaptiveClassWeight(sequence(), monitor="error", strategy=strategy, warmup_epochs=0)
    seen, _ = simulate(callback, lambda epoch: [0.1, 0.3, math.nan], 1)
    assert given_by_class == [({"common": 0.1, "medium": 0.3}, {"common", "medium"})]
    assert seen[0, 1] / seen[0, 0] == pytest.approx(2.0)
    assert seen[0, 2] == 1.0


def test_logs_history_and_verbose():
    lines = []
    callback = AdaptiveClassWeight(sequence(), monitor="error", verbose=1, sink=lines.append)
    _, logs = simulate(callback, lambda epoch: [0.1, 0.2, 0.3], 3)
    assert logs["class_error/rare"] == 0.3
    assert {f"class_weight/{label}" for label in ("common", "medium", "rare")} <= set(logs)
    assert [row["epoch"] for row in callback.history_] == [0, 1, 2]
    assert callback.history_[0]["weights"] == {"common": 1.0, "medium": 1.0, "rare": 1.0}
    assert len(lines) == 3
    assert lines[0] == "Epoch 1: class weights now common: 1, medium: 1, rare: 1 (kept: warm-up)"
    assert [row["skipped"] for row in callback.history_] == ["warm-up", None, None]
    assert logs["class_weight_updated"] == 1.0


def test_the_history_of_a_callback_that_goes_from_one_loss_to_another_has_the_classes_of_each():
    callback, named = AdaptiveClassWeight(monitor="error"), []
    for classes in ([0, 1], [0, 1, 2]):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("sgd", kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(classes, 1.0)))
        callback.set_model(model)
        callback.on_epoch_begin(0)
        callback.on_epoch_end(0, {f"error/{label}": 0.5 for label in classes})
        named.append(classes)
    assert [list(row["errors"]) for row in callback.history_] == named
    assert [list(row["weights"]) for row in callback.history_] == named


def test_a_printed_line_begins_below_the_progress_bar(capsys):
    callback = AdaptiveClassWeight(sequence(), monitor="error", verbose=1)
    for verbose, start in ((0, "Epoch 1"), (1, "\nEpoch 1")):
        callback.set_params({"verbose": verbose})
        simulate(callback, lambda epoch: [0.1, 0.2, 0.3], 1)
        assert capsys.readouterr().out.startswith(start)


def test_many_classes_are_logged_as_smallest_and_largest():
    y = np.repeat(np.arange(60), 2)
    pairs = kbs.BalancedPairSequence(y, y, seed=0)
    callback = AdaptiveClassWeight(pairs, monitor="error")
    _, logs = simulate(callback, lambda epoch: [math.nan, *np.linspace(0, 1, 59)], 2)
    assert (logs["class_error/min"], logs["class_error/max"]) == (0.0, 1.0)
    assert "class_weight/min" in logs
    assert "class_weight/0" not in logs


def test_the_sequence_is_set_to_the_epoch_of_fit():
    x, y = clusters()
    pairs, seen = kbs.BalancedPairSequence(x, y, seed=0), []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(pairs.epoch))
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    compiled().fit(pairs, epochs=5, initial_epoch=3, verbose=0, callbacks=[callback, spy])
    assert set(seen) == {3, 4}


@pytest.mark.parametrize("given", [True, None])
def test_probabilities_and_distances_give_the_same_errors(given):
    x, y = clusters()
    found = []
    for probability in (False, True):
        loss = kbs.WeightedBinaryCrossentropy() if probability else kbs.WeightedContrastiveLoss()
        model = kbs.siamese_model(linear_encoder(), probability=probability)
        model.compile(keras.optimizers.SGD(0.0), loss)
        pairs = kbs.BalancedPairSequence(x, y, seed=0)
        direction = probability if given else None
        callback = AdaptiveClassWeight(pairs, validation_data=(x, y), higher_is_similar=direction, warmup_epochs=0)
        history = model.fit(pairs, epochs=1, verbose=0, callbacks=[callback]).history
        found.append([history[f"class_error/{label}"][0] for label in pairs.classes])
    np.testing.assert_allclose(*found, atol=1e-6)
    assert 0 < np.mean(found) < 0.5


def shares_of(pairs):
    return np.array(list(pairs.class_shares.values()))


def test_natural_shares_come_to_be_balanced_and_hard_classes_get_more():
    x, y = clusters({"common": 200, "medium": 60, "rare": 20})
    natural = {"class_sampling": "natural", "max_repeats": None, "seed": 0}
    for errors, wish in (([0.2, 0.2, 0.2], [1, 1, 1]), ([0.1, 0.1, 0.4], [0.11, 0.11, 0.41])):
        for pairs in (kbs.BalancedPairSequence(x, y, **natural), kbs.BalancedBatchSequence(x, y, 2, 4, **natural)):
            callback = AdaptiveClassWeight(pairs, adapt="sampling", monitor="error", tau=1.0)
            _, logs = simulate(callback, lambda epoch, errors=errors: errors, 12)
            np.testing.assert_allclose(shares_of(pairs), np.array(wish) / np.sum(wish), rtol=1e-6)
            assert dict(pairs.class_weight) == dict.fromkeys(pairs.classes, 1.0)
            assert logs["class_share/rare"] == pytest.approx(shares_of(pairs)[2], rel=1e-3)
            assert not any(name.startswith("class_weight/") for name in logs)
            assert callback.history_[0]["shares"]["common"] == pytest.approx(200 / 280)
            assert "weights" not in callback.history_[0]
            plan = pairs.plan
    assert plan.class_of.size == 70  # 280 samples, 4 of a class at a time
    assert (plan.class_of == 2).mean() == pytest.approx(0.5, abs=0.02)  # its share is more, but a batch has two classes


def test_shares_given_class_by_class_follow_the_errors_alone():
    x, y = clusters()
    given = {"common": 0.5, "medium": 0.3, "rare": 0.2}
    pairs = kbs.BalancedPairSequence(x, y, class_sampling=given, seed=0)
    callback = AdaptiveClassWeight(pairs, adapt="sampling", monitor="error")
    simulate(callback, lambda epoch: [0.2, 0.2, 0.2], 4)
    np.testing.assert_allclose(shares_of(pairs), list(given.values()), rtol=1e-9)


def test_adapted_shares_are_drawn_in_the_very_next_epoch():
    x, y = clusters()
    pairs, model = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0), compiled()
    asked = {"common": 0.0001, "medium": 0.5, "rare": 0.5}
    seen = []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(pairs.plan))
    rails = {"bounds": None, "max_step": None, "warmup_epochs": 0}
    callback = AdaptiveClassWeight(pairs, adapt="sampling", validation_data=(x, y), strategy=lambda *_: asked, **rails)
    model.fit(pairs, epochs=2, verbose=0, callbacks=[callback, spy])
    first, second = seen[0], seen[-1]
    assert (pairs.labels[first.pairs] == 0).mean() > 0.4
    assert (pairs.labels[second.pairs] == 0).mean() < 0.02


def test_anything_with_class_weights_is_a_target():
    class Own:
        def __init__(self):
            self.class_weight = {"a": 1.0, "b": 1.0}

    own, model = Own(), compiled()
    callback = AdaptiveClassWeight(own, monitor="error", tau=1.0)
    callback.set_model(model)
    for epoch in range(9):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"error/a": 0.1, "error/b": 0.3})
    assert own.class_weight["b"] / own.class_weight["a"] == pytest.approx(0.31 / 0.11, rel=1e-6)
    with pytest.raises(ValueError, match="pass `monitor`, the prefix"):
        AdaptiveClassWeight(own)
    with pytest.raises(ValueError, match="pass `monitor`"):
        AdaptiveClassWeight(own, validation_data=clusters())


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"adapt": "shares"}, "`adapt` must be one of"),
        ({"adapt": "sampling"}, "adapt='sampling' needs a `BalancedPairSequence`"),
        (
            {
                "adapt": "sampling",
                "target": kbs.BalancedPairSequence(*clusters(), class_sampling="progressive", epochs=3, seed=0),
                "monitor": "error",
            },
            "move by themselves",
        ),
    ],
)
def test_shares_that_cannot_be_adapted(kwargs, match):
    with pytest.raises(ValueError, match=match):
        AdaptiveClassWeight(**kwargs)


@pytest.mark.parametrize("sampling", ["balanced", 0, {"common": 1.0, "medium": 1.0, "rare": 1.0}])
def test_adapting_balanced_shares_warns(sampling):
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, class_sampling=sampling, seed=0)
    with pytest.warns(UserWarning, match="has gained nothing where it was measured"):
        AdaptiveClassWeight(pairs, adapt="sampling", monitor="error")


LOSSES = [
    (kbs.WeightedBatchContrastiveLoss, {}, "euclidean"),
    (kbs.WeightedTripletLoss, {"distance": "squared"}, "euclidean"),
    (kbs.WeightedTripletLoss, {"distance": "cosine"}, "cosine"),
    (kbs.WeightedSupervisedContrastiveLoss, {}, "cosine"),
    (kbs.WeightedMultiSimilarityLoss, {}, "cosine"),
]


@pytest.mark.parametrize(("loss", "kwargs", "distance"), LOSSES)
def test_errors_of_embeddings_are_those_of_pairs_at_the_distance_of_the_loss(loss, kwargs, distance):
    x, y = clusters()
    codes = np.unique(y, return_inverse=True)[1]
    validation = kbs.BalancedPairSequence(x[::-1], codes[::-1], seed=3)
    encoder = linear_encoder()
    encoder.compile(keras.optimizers.SGD(0.0), loss(class_weight=dict.fromkeys(range(3), 1.0), **kwargs))
    callback = AdaptiveClassWeight(validation_data=validation)
    encoder.fit(x, codes, batch_size=59, epochs=4, verbose=0, callbacks=[callback])
    points = encoder.predict(x[::-1], verbose=0).astype("float64")
    batches = [validation.indices(i) for i in range(len(validation))]
    left, right, similar = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    a, b = points[left], points[right]
    if distance == "cosine":
        d = 1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    else:
        d = np.linalg.norm(a - b, axis=1)
    classes = np.stack([codes[::-1][left], codes[::-1][right]], axis=1)
    expected = kbs.evaluate_pairs(d, similar, classes=classes, n_resamples=0).per_class
    for row in callback.history_:
        np.testing.assert_allclose(list(row["errors"].values()), [expected[c]["error"] for c in range(3)], atol=1e-6)
    assert callback.history_[-1]["weights"][2] > 1.5


def test_batches_and_their_class_names_have_errors_of_embeddings_too():
    x, y = clusters()
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0, class_sampling="natural")
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss())
    callback = AdaptiveClassWeight(batches, validation_data=(x, y))
    encoder.fit(batches, epochs=3, verbose=0, callbacks=[callback])
    errors = np.array([list(row["errors"].values()) for row in callback.history_])
    assert (errors > 0).any()
    assert (errors < 0.5).all()
    assert dict(batches.class_weight) != dict.fromkeys(batches.classes, 1.0)


@pytest.mark.parametrize(
    ("value", "reason"),
    [(0.0, "area under the ROC curve is 0.5"), (np.nan, "output for .* is not finite")],
)
def test_collapsed_and_broken_embeddings_leave_the_weights_alone(value, reason):
    x, y = clusters()
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0)
    encoder = linear_encoder()
    encoder.compile(keras.optimizers.SGD(0.0), kbs.WeightedSupervisedContrastiveLoss())
    encoder.set_weights([np.full((4, 2), value, "float32")])
    callback = AdaptiveClassWeight(batches, validation_data=(x, y), warmup_epochs=0)
    with pytest.warns(UserWarning, match=f"changed nothing in this training: .*{reason}"):
        encoder.fit(batches, epochs=2, verbose=0, callbacks=[callback])
    assert set(batches.class_weight.values()) == {1.0}
    assert all(re.search(reason, row["skipped"]) for row in callback.history_)


def test_weights_of_a_loss_that_correct_what_balanced_batches_have_corrected_warn_once():
    x, y = clusters()
    codes = np.unique(y, return_inverse=True)[1]
    batches = kbs.BalancedBatchSequence(x, codes, 3, 2, max_repeats=None, seed=0)

    def train(weights, data, epochs, **kwargs):
        encoder = linear_encoder()
        encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=weights))
        encoder.fit(data, epochs=epochs, verbose=0, callbacks=[AdaptiveClassWeight()], **kwargs)

    static = {int(label): weight for label, weight in kbs.class_weights(codes).items()}
    match = r"2 is drawn 1 times as often as 0, and counts 8 times as much.*corrected twice"
    with pytest.warns(UserWarning, match=match) as caught:
        train(static, batches, 3)
    assert sum("corrected twice" in str(one.message) for one in caught) == 1
    train(static, x, 2, y=codes, batch_size=59)  # natural batches: the suite turns warnings into errors
    train(dict.fromkeys(range(3), 1.0), batches, 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_adapts_a_training(strategy):
    x, y = clusters({"common": 200, "medium": 60, "rare": 20})
    pairs = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0)
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y), strategy=strategy)
    compiled().fit(pairs, epochs=4, verbose=0, callbacks=[callback])
    weights = np.array([list(row["weights"].values()) for row in callback.history_])
    share = np.array(list(pairs.class_distribution.values()))
    assert (weights[:2] == 1.0).all()
    assert np.abs(np.log(weights[-1])).max() > 0.1
    np.testing.assert_allclose(weights @ share, 1.0, rtol=1e-6)


losses_of_classes = st.lists(
    st.tuples(st.one_of(st.floats(0, 1e6), st.just(math.nan), st.just(math.inf)), st.integers(0, 1000)),
    min_size=4,
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(losses_of_classes, min_size=1, max_size=6),
    st.sampled_from(list(STRATEGIES)),
    st.sampled_from([None, (0.3, 3.0)]),
    st.sampled_from([None, 1.5]),
)
@pytest.mark.filterwarnings("ignore:AdaptiveClassWeight has changed nothing")
def test_whatever_a_training_records_the_weights_stay_sound(n, epochs, strategy, bounds, max_step):
    class Record:  # of a loss, without one: losses (n,) and counts (n,)
        classes, class_weight = list(range(n)), dict.fromkeys(range(n), 2.0)

        def means_and_counts(self):
            mean, count = np.array(self.epoch[:n]).T
            return np.where(count > 0, mean, np.nan), count

    class Recorded(Weights):
        def drawn(self, record):
            return record[1]

    target = Record()
    target.live_weights = target
    callback = AdaptiveClassWeight(target, monitor="x", strategy=strategy, bounds=bounds, max_step=max_step)
    callback.monitor, callback._adapted = None, Recorded(target)
    callback._memory = Memory(target.classes, callback._adapted.values, 0.7, None if bounds is None else bounds[1])
    for epoch, target.epoch in enumerate(epochs):
        before = callback._adapted.values
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {})
        after = callback._adapted.values
        assert np.isfinite(after).all()
        assert (after >= 2.0 * 1e-3 * (1 - 1e-9)).all()
        unknown = ~np.isfinite(np.array(target.epoch)[:n, 0]) | (np.array(target.epoch)[:n, 1] == 0)
        np.testing.assert_array_equal(after[unknown], before[unknown])
        if max_step is not None:
            assert np.abs(np.log(after / before)).max() <= math.log(max_step) + 1e-9
        if bounds is not None:
            assert (after / 2.0 <= bounds[1] * (1 + 1e-9)).all()
            assert (after / 2.0 >= bounds[0] * (1 - 1e-9)).all()


def test_a_hundred_thousand_classes():
    n = 100_000
    labels = np.repeat(np.arange(n), 2)
    pairs = kbs.BalancedPairSequence(labels[:, None], labels, seed=0)
    hard = np.arange(n) % 2
    callback = AdaptiveClassWeight(pairs, monitor="error", warmup_epochs=0, tau=1.0)
    callback.set_model(compiled())
    callback._errors = lambda logs: Errors(0.1 + 0.2 * hard)
    for epoch in range(3):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, logs := {})
    weights = np.array(list(pairs.class_weight.values()))
    np.testing.assert_allclose(weights[hard == 1] / weights[hard == 0], 0.31 / 0.11, rtol=1e-6)
    assert len(logs) == 5
    assert callback.history_[2]["errors"] == dict(zip(range(n), (0.1 + 0.2 * hard).tolist(), strict=True))


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"strategy": "hardness"}, ValueError, "must be one of .*difficulty.*Received: strategy='hardness'"),
        ({"tau": "dynamic"}, ValueError, "'dynamic' with strategy='cdb'"),
        ({"strategy": 3}, TypeError, "must be one of .*or a callable"),
        ({"tau": -1}, ValueError, "`tau`"),
        ({"tau": math.nan}, ValueError, "`tau`"),
        ({"momentum": 1.0}, ValueError, "`momentum` must be less than 1"),
        ({"momentum": -0.1}, ValueError, "`momentum`"),
        ({"bounds": (0.0, 5.0)}, ValueError, "`bounds`"),
        ({"bounds": (2.0, 5.0)}, ValueError, "`bounds`"),
        ({"bounds": 5.0}, ValueError, "`bounds`"),
        ({"bounds": ("a", "b")}, ValueError, "`bounds`"),
        ({"monitor": 3}, TypeError, "`monitor` must be the prefix"),
        ({"sink": None}, TypeError, "`sink`"),
        ({"target": sequence(), "validation_data": (np.zeros((0, 4)), [])}, ValueError, "at least one label"),
        ({"bounds": (0.5, 1.0)}, ValueError, "smallest < 1 < largest"),
        ({"bounds": (1.0, 2.0)}, ValueError, "smallest < 1 < largest"),
        ({"max_step": 0.9}, ValueError, "`max_step`"),
        ({"max_step": 1}, ValueError, "`max_step` must be more than 1"),
        ({"warmup_epochs": -1}, ValueError, "`warmup_epochs`"),
        ({"warmup_epochs": 1.5}, TypeError, "`warmup_epochs`"),
        ({"target": "loss"}, TypeError, "`target` must be"),
        (
            {"target": kbs.WeightedContrastiveLoss(), "validation_data": clusters()},
            ValueError,
            "monitor='val_class_loss'",
        ),
        ({"validation_data": clusters(), "monitor": "error"}, ValueError, "not both"),
        ({"target": sequence()}, ValueError, "validation_data="),
        ({"target": sequence(), "validation_data": clusters()[0]}, TypeError, r"\(x, y\)"),
        (
            {"target": sequence(), "validation_data": (np.zeros((4, 4)), ["new", "new", "rare", "rare"])},
            ValueError,
            r"classes that the target does not have.*'new'",
        ),
    ],
)
def test_bad_arguments(kwargs, error, match):
    with pytest.raises(error, match=match):
        AdaptiveClassWeight(**kwargs)


def fit(model, *callbacks):
    x, y = clusters()
    model.fit(kbs.BalancedPairSequence(x, y, seed=0), epochs=1, verbose=0, callbacks=list(callbacks))


def test_a_model_whose_loss_cannot_be_weighted():
    with pytest.raises(ValueError, match=r"WeightedContrastiveLoss.*Received: a model with loss=\['mse'\]"):
        fit(compiled("mse"), AdaptiveClassWeight())


def test_a_target_that_is_not_the_models_loss():
    with pytest.raises(ValueError, match="compiled with"):
        fit(compiled(), AdaptiveClassWeight(kbs.WeightedContrastiveLoss()))


def test_validation_data_that_cannot_tell_the_errors_of_the_models_loss():
    with pytest.raises(ValueError, match="monitor='val_class_loss'"):
        fit(compiled(), AdaptiveClassWeight(validation_data=clusters()))
    x, y = clusters()
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0}))
    with pytest.raises(ValueError, match=r"does not have: \['common', 'medium', 'rare'\].*the classes \[0, 1\]"):
        encoder.fit(x, np.zeros(len(y)), verbose=0, callbacks=[AdaptiveClassWeight(validation_data=(x, y))])


def test_a_model_that_gives_no_embeddings_of_the_validation_data():
    x, y = clusters()
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0)
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2))])
    flat.compile("sgd", lambda y_true, y_pred: y_pred[:, 0, 0] ** 2)
    with pytest.raises(ValueError, match=r"one embedding per sample.*Received: outputs of shape \(None, 2, 2\)"):
        flat.fit(batches, verbose=0, callbacks=[AdaptiveClassWeight(batches, validation_data=(x, y))])


def test_a_model_that_gives_no_scores_of_the_validation_pairs_is_refused_before_it_is_trained():
    x, y = clusters()
    left, right = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([left, right], keras.layers.Dense(2)(keras.layers.Concatenate()([left, right])))
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    callback = AdaptiveClassWeight(sequence(), validation_data=(x, y))
    with pytest.raises(ValueError, match=r"one output with one score per pair.*shape \(None, 2\)"):
        callback.set_model(model)


def test_classes_without_validation_samples_are_named():
    x, y = clusters()
    some = y != "rare"
    with pytest.warns(UserWarning, match=r"no samples of the classes \['rare'\]: .* keep their weights"):
        AdaptiveClassWeight(sequence(), validation_data=(x[some], y[some]))


@pytest.mark.parametrize(
    ("kwargs", "errors", "reason"),
    [
        ({}, [-0.1, 0.2, 0.3], "errors below 0"),
        ({"strategy": "cdb", "tau": "dynamic"}, [0.1, 0.2, 1.3], "needs errors between 0 and 1"),
        ({"strategy": "cdb"}, [0.1, 0.2, 1.3], None),
        ({"strategy": "deferred"}, [-0.1, 0.2, 1.3], None),
    ],
)
def test_errors_of_which_a_strategy_can_make_nothing(kwargs, errors, reason):
    callback = AdaptiveClassWeight(sequence(), monitor="error", warmup_epochs=0, **kwargs)
    simulate(callback, lambda epoch: errors, 1)
    (found,) = [row["skipped"] for row in callback.history_]
    assert found is None if reason is None else reason in found


def test_scores_that_are_read_the_wrong_way_round_are_said_to_be():
    x, y = clusters()
    pairs = sequence()
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y), warmup_epochs=0, higher_is_similar=True)
    with pytest.warns(UserWarning, match="does a high output mean similar.* `higher_is_similar`"):
        compiled().fit(pairs, epochs=1, verbose=0, callbacks=[callback])


def test_a_monitor_that_only_a_validation_writes():
    callback = AdaptiveClassWeight(sequence(), monitor="val_error", warmup_epochs=0)
    with pytest.warns(UserWarning, match=r"'val_error' needs the entries.*val_error/rare.*there was no validation"):
        fit(compiled(), callback)


def test_an_output_of_unknown_direction():
    with pytest.raises(ValueError, match="higher_is_similar"):
        fit(compiled("mse"), AdaptiveClassWeight(sequence(), validation_data=clusters()))


def test_a_monitor_that_nobody_writes():
    with pytest.raises(ValueError, match=r"monitor='error' needs the entries.*error/common.*Received: \["):
        fit(compiled(), AdaptiveClassWeight(sequence(), monitor="error"))


# --- what must not be mixed up --------------------------------------------------------------------------------------


def class_errors(pairs, history):
    return np.array([history[f"class_error/{label}"] for label in pairs.classes])


def test_validation_pairs_are_the_same_every_time_whatever_their_sequence_does():
    x, y = clusters()
    found = []
    for redraw in (True, False):
        pairs = sequence()
        validation = kbs.BalancedPairSequence(x, y, batch_size=16, seed=5, redraw=redraw)
        model = compiled(optimizer=keras.optimizers.SGD(0.0))
        callback = AdaptiveClassWeight(pairs, validation_data=validation)
        found.append(class_errors(pairs, model.fit(pairs, epochs=3, verbose=0, callbacks=[callback]).history))
        assert validation.epoch == 0
    np.testing.assert_allclose(found[0], found[0][:, :1] * np.ones(3))  # the model is frozen
    np.testing.assert_allclose(found[0], found[1])


def test_a_fixed_target_stays_at_its_epoch():
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, seed=0, redraw=False)
    compiled().fit(pairs, epochs=3, verbose=0, callbacks=[AdaptiveClassWeight(pairs, validation_data=(x, y))])
    assert pairs.epoch == 0


def test_epochs_without_a_validation_keep_the_weights():
    x, y = clusters()
    pairs, validation = sequence(), kbs.BalancedPairSequence(x, y, seed=1, redraw=False)
    callback = AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0)
    fit = {"epochs": 4, "verbose": 0, "validation_data": validation, "validation_freq": 2}
    compiled().fit(pairs, callbacks=[callback], **fit)
    missing = "there was no validation in this epoch, on `validation_data` of `fit`"
    assert [row["skipped"] for row in callback.history_] == [missing, None, missing, None]
    weights = [row["weights"][1] for row in callback.history_]
    assert weights[0] == weights[1] == 1.0 != weights[2] == weights[3]
    with pytest.warns(UserWarning, match="changed nothing in this training: there was no validation"):
        compiled().fit(pairs, epochs=2, verbose=0, callbacks=[AdaptiveClassWeight(monitor="val_class_loss")])


def test_a_training_without_an_update_warns_after_one_with_updates_too():
    x, y = clusters()
    callback, model, pairs = AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0), compiled(), sequence()
    validation = kbs.BalancedPairSequence(x, y, seed=1, redraw=False)
    model.fit(pairs, epochs=1, verbose=0, validation_data=validation, callbacks=[callback])
    with pytest.warns(UserWarning, match="changed nothing in this training"):
        model.fit(pairs, epochs=1, verbose=0, callbacks=[callback])


def test_several_fits_in_a_row_are_one_training():
    def train(*epochs):
        pairs, model, callback = sequence(), compiled(), AdaptiveClassWeight()
        pairs.redraw = False
        for begin, end in itertools.pairwise(epochs):
            model.fit(pairs, initial_epoch=begin, epochs=end, verbose=0, shuffle=False, callbacks=[callback])
        return callback

    one, three = train(0, 6), train(0, 2, 3, 6)
    assert [row["epoch"] for row in three.history_] == [0, 1, 2, 3, 4, 5]
    assert three.history_ == one.history_
    assert three.get_state() == one.get_state()


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_training_whose_errors_fall_with_the_weights_settles(noise):
    """With errors d_c / sqrt(w_c) the fixed point of the rule is found by iterating it."""
    x, y = clusters({"common": 200, "medium": 60, "rare": 20})
    pairs = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0)
    callback, rng = AdaptiveClassWeight(pairs, monitor="error"), np.random.default_rng(0)
    difficulty, share = np.array([0.1, 0.3, 0.2]), np.array(list(pairs.class_distribution.values()))

    def errors(_epoch):
        fallen = difficulty / np.sqrt(list(pairs.class_weight.values()))
        return fallen * np.exp(noise * rng.normal(size=3))

    seen, _ = simulate(callback, errors, 60)
    fixed = np.ones(3)
    for _ in range(200):
        error = difficulty / np.sqrt(fixed)
        fixed = (error + 0.05 * error.mean()) ** 0.25 / share
        fixed /= fixed @ share
    np.testing.assert_allclose(seen[40:].mean(axis=0), fixed, rtol=1e-6 if noise == 0 else 0.1)
    assert np.ptp(np.log(seen[40:]), axis=0).max() < 1e-6 + noise


def test_two_callbacks_write_entries_of_their_own():
    x, y = clusters()
    codes = np.unique(y, return_inverse=True)[1]  # 0 and 1 are pair labels too
    pairs = kbs.BalancedPairSequence(x, codes, seed=0)
    callbacks = [AdaptiveClassWeight(), AdaptiveClassWeight(pairs, validation_data=(x, codes))]
    history = compiled().fit(pairs, epochs=4, verbose=0, callbacks=callbacks).history
    assert history["class_weight/1"] == [row["weights"][1] for row in callbacks[0].history_]
    assert history["class_weight_1/1"] == [row["weights"][1] for row in callbacks[1].history_]
    assert "class_weight/2" not in history
    assert "class_weight_1/2" in history
    for name, one in zip(("class_weight_updated", "class_weight_updated_1"), callbacks, strict=True):
        assert history[name] == [float(row["skipped"] is None) for row in one.history_]


def test_two_losses_have_errors_of_their_own_also_those_of_the_validation():
    x, y = clusters()
    codes = np.unique(y, return_inverse=True)[1]
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(2, name=name)(inputs) for name in "ab"])
    losses = [kbs.WeightedTripletLoss(m, class_weight=dict.fromkeys(range(3), 1.0)) for m in (1.0, 20.0)]
    model.compile("sgd", losses)
    callbacks = [AdaptiveClassWeight(loss, monitor="val_class_loss") for loss in losses]
    data = (x, [codes, codes])
    model.fit(*data, batch_size=len(y), epochs=2, verbose=0, validation_data=data, callbacks=callbacks)
    near, far = ([list(row["errors"].values()) for row in one.history_] for one in callbacks)
    assert np.min(far) > 10.0 > np.max(near)


def test_the_losses_of_the_validation_of_many_classes():
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(180, 4)).astype("float32"), np.repeat(np.arange(60), 3)
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=dict.fromkeys(range(60), 1.0)))
    callback = AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0)
    encoder.fit(x, codes, batch_size=180, epochs=1, verbose=0, validation_data=(x, codes), callbacks=[callback])
    assert callback.history_[0]["skipped"] is None
    assert len(set(encoder.loss.class_weight.values())) > 1


def test_a_subclassed_model_that_is_built_already():
    class Encoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs):
            return self.dense(inputs)

    x, y = clusters()
    codes = np.unique(y, return_inverse=True)[1]
    encoder = Encoder()
    encoder(x[:2])
    n_weights = len(encoder.weights)
    for _ in range(2):  # compiled again, and so another loss
        encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=dict.fromkeys(range(3), 1.0)))
        encoder.fit(x, codes, batch_size=len(y), epochs=2, verbose=0)
        encoder.fit(x, codes, batch_size=len(y), epochs=3, verbose=0, callbacks=[AdaptiveClassWeight()])
        assert len(set(encoder.loss.class_weight.values())) > 1
    assert len(encoder.weights) == n_weights


def test_a_callback_asks_each_model_for_its_direction():
    x, y = clusters()
    pairs = sequence()
    callback, found = AdaptiveClassWeight(pairs, validation_data=(x, y), warmup_epochs=0), []
    for probability in (False, True):
        model = kbs.siamese_model(linear_encoder(), probability=probability)
        loss = kbs.WeightedBinaryCrossentropy() if probability else kbs.WeightedContrastiveLoss()
        model.compile(keras.optimizers.SGD(0.0), loss)
        found.append(class_errors(pairs, model.fit(pairs, epochs=1, verbose=0, callbacks=[callback]).history))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_factors_of_any_scale(scale):
    found = limit_factors(np.array([1.0, 3.0]) * scale, np.ones(2), np.array([1e-3, 1e-3]), 2e-3, None, None)
    np.testing.assert_allclose(found, [0.5, 1.5])
    extreme = limit_factors(
        wanted("difficulty", [0.1, 0.4], 2000.0, (1.0, 1.0), (1.0, 1.0), (1, 1)),
        np.ones(2),
        np.ones(2),
        2.0,
        (0.2, 5.0),
        1.5,
    )
    np.testing.assert_allclose(extreme, [2 / 3, 4 / 3])


def test_one_class_with_the_whole_share_keeps_its_weight():
    x, y = clusters()
    shares = {"common": 1.0, "medium": 0.0, "rare": 0.0}
    pairs = kbs.BalancedPairSequence(x, y, positive_fraction=1.0, class_sampling=shares, seed=0)
    assert pairs.class_distribution == {"common": 1.0, "medium": 0.0, "rare": 0.0}
    seen, _ = simulate(AdaptiveClassWeight(pairs, monitor="error"), lambda epoch: [0.1, 0.2, 0.3], 4)
    np.testing.assert_allclose(seen[:, 0], 1.0)


def test_an_assignment_that_a_compiled_step_cannot_see_warns():
    x, y = clusters()
    loss = kbs.WeightedContrastiveLoss()
    model, pairs = compiled(loss, keras.optimizers.SGD(0.0)), kbs.BalancedPairSequence(x, y, seed=0, redraw=False)
    first = model.fit(pairs, epochs=1, verbose=0).history["loss"][0]
    if keras.backend.backend() == "jax":
        with pytest.warns(UserWarning, match=r"keeps the old class weights.*model\.compile"):
            loss.class_weight = {0: 10.0, 1: 10.0}
        model.compile(keras.optimizers.SGD(0.0), loss)
    else:
        loss.class_weight = {0: 10.0, 1: 10.0}
    assert model.fit(pairs, epochs=1, verbose=0).history["loss"][0] == pytest.approx(10 * first, rel=1e-5)


def test_a_loss_that_moves_to_a_model_without_the_callback_is_not_silently_stale():
    x, y = clusters()
    loss, pairs = kbs.WeightedContrastiveLoss(), kbs.BalancedPairSequence(x, y, seed=0, redraw=False)
    compiled(loss).fit(pairs, epochs=2, verbose=0, callbacks=[AdaptiveClassWeight(loss)])
    loss.class_weight = {0: 1.0, 1: 1.0}
    second = compiled(loss, keras.optimizers.SGD(0.0))
    first = second.fit(pairs, epochs=1, verbose=0).history["loss"][0]
    if keras.backend.backend() == "jax":
        with pytest.warns(UserWarning, match="keeps the old class weights"):
            loss.class_weight = {0: 10.0, 1: 10.0}
    else:
        loss.class_weight = {0: 10.0, 1: 10.0}
        assert second.fit(pairs, epochs=1, verbose=0).history["loss"][0] == pytest.approx(10 * first, rel=1e-5)


def test_saved_weights_go_to_a_loss_of_the_same_classes_only():
    stored = {}
    kbs.WeightedTripletLoss(class_weight={0: 2.0, 1: 3.0}).save_own_variables(stored)
    same, others = (kbs.WeightedTripletLoss(class_weight=dict.fromkeys(keys, 1.0)) for keys in ([0, 1], [5, 7]))
    same.load_own_variables(stored)
    assert dict(same.class_weight) == {0: 2.0, 1: 3.0}
    with pytest.warns(UserWarning, match="weights of other classes"):
        others.load_own_variables(stored)
    assert dict(others.class_weight) == {5: 1.0, 7: 1.0}


def test_steps_of_fit_that_are_not_those_of_the_sequence_are_refused():
    x, y = clusters()
    pairs = BalancedPairSequence(x, y, batch_size=8, seed=0)
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    with pytest.raises(ValueError, match=r"construct the sequence with steps_per_epoch=3.*sequence of 8"):
        compiled().fit(pairs, steps_per_epoch=3, epochs=2, verbose=0, callbacks=[callback])


def test_an_update_is_left_out_when_most_classes_have_no_error():
    callback = AdaptiveClassWeight(sequence(), monitor="error", warmup_epochs=0)
    seen, logs = simulate(callback, lambda epoch: [0.1, math.nan, math.nan if epoch == 0 else 0.4], 2)
    assert seen[0].tolist() == [1.0, 1.0, 1.0]
    assert seen[1][2] > 1.0 > seen[1][0]
    assert seen[1][1] == 1.0
    assert [row["skipped"] for row in callback.history_] == ["only 1 of 3 classes have an error", None]
    assert logs["class_weight_updated"] == 1.0


def test_an_update_is_left_out_when_the_model_tells_nothing_apart():
    x, y = clusters()
    model, pairs = compiled(optimizer=keras.optimizers.SGD(0.0)), sequence()
    model.set_weights([np.zeros((4, 2))])
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y), warmup_epochs=0)
    with pytest.warns(UserWarning, match=r"changed nothing in this training: the model is degenerate"):
        history = model.fit(pairs, epochs=2, verbose=0, callbacks=[callback]).history
    assert set(pairs.class_weight.values()) == {1.0}
    assert history["class_weight_updated"] == [0.0, 0.0]
    assert "area under the ROC curve is 0.5" in callback.history_[0]["skipped"]


class BreakOff(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 4:
            raise InterruptedError


@pytest.mark.parametrize("kind", ["pair loss", "class loss", "sequence", "shares"])
def test_a_training_that_was_broken_off_goes_on_as_if_it_had_not_been(kind, tmp_path):
    x, y = clusters()
    order = np.random.default_rng(0).permutation(len(y))
    mixed, codes = x[order], np.unique(y, return_inverse=True)[1][order]

    def training(*more):
        if kind == "class loss":
            model = linear_encoder()
            model.compile("sgd", kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(range(3), 1.0)))
            data, adapt = {"x": mixed, "y": codes, "batch_size": 20}, AdaptiveClassWeight()
        else:
            model, pairs = compiled(), sequence()
            data, adapt = {"x": pairs}, AdaptiveClassWeight()
            if kind == "sequence":
                adapt = AdaptiveClassWeight(pairs, validation_data=(x, y))
            elif kind == "shares":
                pairs.class_sampling = "natural"
                adapt = AdaptiveClassWeight(pairs, adapt="sampling", validation_data=(x, y))
            else:
                pairs.redraw = False
        model.fit(**data, epochs=7, verbose=0, shuffle=False, callbacks=[adapt, *more])
        return model.get_weights()[0], adapt

    expected, whole = training()
    with pytest.raises(InterruptedError):
        training(keras.callbacks.BackupAndRestore(tmp_path), BreakOff())
    found, resumed = training(keras.callbacks.BackupAndRestore(tmp_path))
    np.testing.assert_array_equal(found, expected)
    assert resumed.get_state() == whole.get_state()
    assert resumed.history_ == whole.history_[4:]


def test_a_state_goes_into_another_callback():
    def errors(epoch):
        return [0.1, 0.1, 0.5 + 0.1 * epoch]

    bounds = (0.2, 1.5)  # the rare class is at the upper one, and about to be given up
    one = AdaptiveClassWeight(sequence(), monitor="error", tau=0.5, bounds=bounds)
    simulate(one, errors, 5)
    state = json.loads(json.dumps(one.get_state()))
    again = AdaptiveClassWeight(sequence(), monitor="error", tau=0.5, bounds=bounds, warmup_epochs=0)
    with pytest.raises(ValueError, match="no state before"):
        again.get_state()
    again.set_state(state)
    later, _ = simulate(again, lambda epoch: errors(epoch + 5), 4)
    whole, _ = simulate(AdaptiveClassWeight(sequence(), monitor="error", tau=0.5, bounds=bounds), errors, 9)
    assert (later == whole[5:]).all()
    assert whole[-1, 2] < whole[4, 2]
    for bad in ({}, "state.json"):
        with pytest.raises(TypeError, match="what `get_state` returned"):
            AdaptiveClassWeight().set_state(bad)
    with pytest.raises(ValueError, match="must be of the classes"):
        again.set_state({**state, "classes": ["a", "b", "c"]})
    with pytest.raises(ValueError, match=r"adapt='weights'.*Received: one of adapt='sampling'"):
        again.set_state({**state, "adapt": "sampling"})


@pytest.mark.filterwarnings("ignore:AdaptiveClassWeight has changed nothing")
def test_a_file_with_the_state_of_other_classes_is_opened_all_the_same(tmp_path):
    def trained(counts):
        x, y = clusters(counts)
        model, pairs = compiled(), kbs.BalancedPairSequence(x, y, seed=0)
        adapt = AdaptiveClassWeight(pairs, validation_data=(x, y))
        model.fit(pairs, epochs=2, verbose=0, callbacks=[adapt])
        return model, adapt

    one, _ = trained({"a": 9, "b": 9})
    two, adapt = trained({"p": 9, "q": 9, "r": 9})
    before, path = adapt.get_state(), str(tmp_path / "model.weights.h5")
    one.save_weights(path)
    two.load_weights(path)
    np.testing.assert_array_equal(two.get_weights()[0], one.get_weights()[0])
    assert adapt.get_state() == before
    opening = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: two.load_weights(path))
    if hasattr(keras, "ops"):
        with pytest.warns(UserWarning, match="left alone.*must be of the classes"):
            two.fit(adapt.target, epochs=0, verbose=0, callbacks=[adapt, opening])
    else:  # only checkpoints carry the state there
        two.fit(adapt.target, epochs=0, verbose=0, callbacks=[adapt, opening])
    assert adapt.get_state() == before


@pytest.mark.skipif(hasattr(keras, "ops"), reason="Keras 3 has no such format")
def test_a_model_that_was_adapted_can_be_saved_as_a_saved_model(tmp_path):
    x, y = clusters()
    model, pairs = compiled(), sequence()
    model.fit(
        pairs,
        epochs=2,
        verbose=0,
        callbacks=[AdaptiveClassWeight(), AdaptiveClassWeight(pairs, validation_data=(x, y))],
    )
    model.save(tmp_path / "folder")
    again = keras.models.load_model(tmp_path / "folder", compile=False)
    np.testing.assert_allclose(
        again.predict([x, x[::-1]], verbose=0), model.predict([x, x[::-1]], verbose=0), atol=1e-6
    )


# --- over many epochs, and in several trainings ---------------------------------------------------------------------


def test_the_mean_of_a_loss_stays_one_though_its_batches_differ():
    x, y = clusters({"common": 80, "medium": 30, "rare": 8})
    codes = np.unique(y, return_inverse=True)[1]
    encoder, loss = linear_encoder(), kbs.WeightedTripletLoss(class_weight=dict.fromkeys(range(3), 1.0))
    encoder.compile(keras.optimizers.SGD(0.0), loss)
    callback, rng, seen = AdaptiveClassWeight(tau=2.0, warmup_epochs=0), np.random.default_rng(0), []
    for epoch in range(8):
        order = rng.permutation(len(x))  # the smallest class does not always meet itself in a batch
        fit = {"initial_epoch": epoch, "epochs": epoch + 1, "verbose": 0, "shuffle": False}
        encoder.fit(x[order], codes[order], batch_size=13, callbacks=[callback], **fit)
        counts, weights = callback._memory.counts, np.array(list(loss.class_weight.values()))
        seen.append((counts * weights).sum() / counts.sum())
    np.testing.assert_allclose(seen, 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    "target",
    [
        kbs.BalancedPairSequence(*clusters(), 8, seed=0),
        kbs.BalancedPairSequence(*clusters(), 8, class_sampling="natural", steps_per_epoch=30, seed=0),
        kbs.BalancedPairSequence(*clusters(), 8, class_sampling="progressive", epochs=5, seed=0),
        kbs.BalancedPairSequence(*clusters(), 8, class_sampling="natural", resampling="oversample", seed=0),
        kbs.BalancedBatchSequence(*clusters(), 3, 2, steps_per_epoch=20, seed=0),
        kbs.BalancedBatchSequence(*clusters(), 2, 4, class_sampling="natural", seed=0),
    ],
    ids=["balanced", "natural", "progressive", "oversampled", "batches", "natural batches"],
)
def test_counts_are_what_each_epoch_draws(target):
    callback = AdaptiveClassWeight(target, monitor="error", momentum=0.0)
    callback.set_model(compiled())
    for epoch in range(4):
        callback.on_epoch_begin(epoch)
        drawn = []
        for seed in range(30):  # epochs of the same kind
            alike = copy.copy(target._sampler)
            alike.seed = seed
            plan = alike.plan(epoch)
            members = plan.pairs if hasattr(plan, "pairs") else plan.samples
            drawn.append(np.bincount(plan.codes[members].ravel(), minlength=3))
        target.set_epoch(epoch + 1)  # as Keras does before a callback hears of the end
        callback.on_epoch_end(epoch, {f"error/{label}": 0.1 for label in target.classes})
        np.testing.assert_allclose(callback._memory.counts, np.mean(drawn, axis=0), rtol=0.1, atol=2.0)


def test_two_sequences_are_restored_each_with_its_own_state(tmp_path):
    x, y = clusters()

    def training(*more):
        model, pairs = compiled(), sequence()
        other = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=1)
        adapts = [AdaptiveClassWeight(one, validation_data=(x, y)) for one in (pairs, other)]
        model.fit(pairs, epochs=7, verbose=0, shuffle=False, callbacks=[*adapts, *more])
        return [one.get_state() for one in adapts]

    whole = training()
    with pytest.raises(InterruptedError):
        training(keras.callbacks.BackupAndRestore(tmp_path), BreakOff())
    assert whole[0] != whole[1]
    assert training(keras.callbacks.BackupAndRestore(tmp_path)) == whole


def test_a_model_keeps_no_more_states_than_a_fit_has_callbacks():
    x, y = clusters()
    model, pairs = compiled(), sequence()
    for _ in range(3):
        adapts = [AdaptiveClassWeight(pairs, validation_data=(x, y)) for _ in range(2)]
        model.fit(pairs, epochs=2, verbose=0, callbacks=adapts)
    model.fit(pairs, epochs=2, verbose=0, callbacks=adapts[::-1])
    assert sorted(name for name in vars(model) if "adaptive" in name) == [
        "_adaptive_class_weight_data",
        "_adaptive_class_weight_data_1",
    ]


def test_weights_that_are_loaded_after_a_training_leave_its_sequence_alone(tmp_path):
    x, y = clusters()
    model, pairs, path = compiled(), sequence(), str(tmp_path / "model.weights.h5")
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    model.fit(pairs, epochs=2, verbose=0, callbacks=[callback])
    model.save_weights(path)
    model.fit(pairs, initial_epoch=2, epochs=4, verbose=0, callbacks=[callback])
    before = dict(pairs.class_weight)
    model.load_weights(path)
    assert dict(pairs.class_weight) == before


def test_shares_that_are_resumed_remember_whether_they_were_given():
    def pairs(sampling):
        x, y = clusters({"common": 200, "medium": 60, "rare": 20})
        return kbs.BalancedPairSequence(x, y, class_sampling=sampling, max_repeats=None, seed=0)

    for sampling in ("natural", {"common": 0.5, "medium": 0.3, "rare": 0.2}):
        whole, first = (AdaptiveClassWeight(pairs(sampling), adapt="sampling", monitor="error") for _ in range(2))
        simulate(whole, lambda epoch: [0.1, 0.2, 0.3], 9)
        simulate(first, lambda epoch: [0.1, 0.2, 0.3], 3)
        second = AdaptiveClassWeight(first.target, adapt="sampling", monitor="error", warmup_epochs=0)
        second.set_state(json.loads(json.dumps(first.get_state())))
        simulate(second, lambda epoch: [0.1, 0.2, 0.3], 6)
        np.testing.assert_array_equal(shares_of(second.target), shares_of(whole.target))


def test_a_state_obeys_the_bounds_of_the_callback_that_takes_it():
    def errors(epoch):
        return [0.1, 0.1, 0.9]

    wide = AdaptiveClassWeight(sequence(), monitor="error", tau=1.0, bounds=(0.01, 3.0))
    simulate(wide, errors, 6)
    narrow = AdaptiveClassWeight(sequence(), monitor="error", tau=1.0, bounds=(0.5, 1.5), max_step=None)
    narrow.set_state(wide.get_state())
    seen, _ = simulate(narrow, errors, 3)
    assert seen[0].max() > 2.0  # the epoch of the warm-up
    assert seen[-1].max() <= 1.5 + 1e-9
    wider = AdaptiveClassWeight(sequence(), monitor="error", tau=1.0, bounds=(0.01, 9.0))
    wider.set_state(narrow.get_state())
    assert simulate(wider, errors, 3)[0][-1].max() > 1.6


def test_shares_have_the_sum_one_where_narrower_bounds_leave_no_room():
    x, y = clusters({"common": 40, "rare": 40})
    pairs = kbs.BalancedPairSequence(x, y, class_sampling={"common": 0.8, "rare": 0.2}, seed=0)
    kwargs = {"adapt": "sampling", "monitor": "error", "tau": 1.0, "warmup_epochs": 0}
    wide = AdaptiveClassWeight(pairs, bounds=(0.01, 4.0), **kwargs)
    simulate(wide, lambda epoch: [0.1, 0.9], 4)
    assert shares_of(pairs)[1] > 0.4
    narrow = AdaptiveClassWeight(pairs, bounds=(0.5, 1.5), max_step=None, **kwargs)
    narrow.set_state(wide.get_state())
    simulate(narrow, lambda epoch: [math.nan, 0.9], 1)  # only one of both may move, and has to
    assert shares_of(pairs).sum() == pytest.approx(1.0, abs=1e-12)
    assert shares_of(pairs)[1] < 0.5


@pytest.mark.parametrize("kwargs", [{"initial_epoch": 0, "epochs": 1}, {"initial_epoch": 2, "epochs": 4}])
def test_a_training_that_is_all_warm_up_warns(kwargs):
    callback, pairs = AdaptiveClassWeight(warmup_epochs=kwargs["epochs"]), sequence()
    with pytest.warns(UserWarning, match=r"changed nothing.*below warmup_epochs=\d.*counts them from `initial_epoch`"):
        compiled().fit(pairs, verbose=0, callbacks=[callback], **kwargs)
    assert {row["skipped"] for row in callback.history_} == {"warm-up"}


def test_a_class_that_counts_nothing_stays_so_and_harms_no_strategy():
    x, y = clusters()
    start = {"common": 1.0, "medium": 0.0, "rare": 2.0}
    for strategy in STRATEGIES:
        pairs = kbs.BalancedPairSequence(x, y, seed=0, class_weight=start)
        callback = AdaptiveClassWeight(pairs, monitor="error", strategy=strategy, warmup_epochs=0)
        seen, _ = simulate(callback, lambda epoch: [0.1, 0.2, 0.3], 3)
        assert np.isfinite(seen).all()
        assert (seen[:, 1] == 0.0).all()
        assert (seen[:, [0, 2]] > 0.0).all()


def test_entries_of_other_classes_do_not_share_a_prefix():
    logs = {}
    write_entries(logs, "class_weight", ["a"], np.array([1.0]))
    write_entries(logs, "class_weight", ["b"], np.array([2.0]))
    write_entries(logs, "class_weight", ["c"], np.array([3.0]))
    assert logs == {"class_weight/a": 1.0, "class_weight_1/b": 2.0, "class_weight_2/c": 3.0}


def test_a_target_that_is_empty_is_still_the_target():
    class Own:
        def __init__(self):
            self.class_weight = {"a": 1.0, "b": 1.0}

        def __len__(self):
            return 0

    own = Own()
    callback = AdaptiveClassWeight(own, monitor="error", warmup_epochs=0)
    callback.set_model(compiled("mse"))
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, {"error/a": 0.1, "error/b": 0.3})
    assert own.class_weight["b"] > 1.0


def test_weights_that_hardly_differ_and_few_anchors_correct_nothing_twice():
    x = np.zeros((300_000, 1), "float32")
    large = np.repeat([0, 1], [200_000, 100_000])  # their effective numbers of samples are alike
    kbs.BalancedPairSequence(x, large, class_weight="effective", seed=0)  # the suite turns warnings into errors
    check_double_correction([0, 1], np.array([30.0, 3.0]), np.array([1.0, 800.0]))
    with pytest.warns(UserWarning, match="corrected twice: give all classes the weight 1. Weights that are to favour"):
        check_double_correction([0, 1], np.array([1000.0, 900.0]), np.array([1.0, 8.0]))
