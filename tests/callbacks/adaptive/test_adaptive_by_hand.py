"""A whole training with adapted weights, and the same by hand in NumPy: equal numbers on every lane."""

import keras
import numpy as np
from scipy.optimize import brentq
from toy import compiled

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight


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


def test_losses_and_adapted_weights_equal_a_training_by_hand(x, y):
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
