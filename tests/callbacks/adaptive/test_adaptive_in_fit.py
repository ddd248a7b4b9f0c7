"""Adapted weights and shares in `fit`: they hold from the first step of the next epoch."""

import keras
import numpy as np
import pytest
from toy import WAYS_TO_COMPILE, clusters, compiled

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight
from keras_balanced_siamese.callbacks.adaptive._strategies import STRATEGIES

AT_ONCE = {"bounds": None, "max_step": None, "warmup_epochs": 0}


@pytest.mark.parametrize(("how", "validated"), [({}, True), *((how, False) for how in [{}, *WAYS_TO_COMPILE])], ids=str)
def test_a_loss_uses_new_weights_in_the_very_next_epoch(how, validated, x, y):
    def wanted(epoch):
        return {0: 1.0, 1: float(epoch + 2)}

    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, steps_per_epoch=4, seed=0)
    model = compiled(optimizer=keras.optimizers.SGD(0.0), **how)
    callback = AdaptiveClassWeight(strategy=lambda _errors, _weights, epoch: wanted(epoch), **AT_ONCE)
    data = kbs.BalancedPairSequence(x, y, batch_size=8, seed=1, redraw=False) if validated else None
    history = model.fit(pairs, epochs=4, verbose=0, validation_data=data, callbacks=[callback]).history
    for epoch in range(4):
        weights = {0: 1.0, 1: 1.0} if epoch == 0 else wanted(epoch - 1)
        scale = 2 / sum(weights.values())  # half of the pairs are similar
        expected = sum(history[f"class_loss/{k}"][epoch] * weights[k] * scale / 2 for k in (0, 1))
        assert history["loss"][epoch] == pytest.approx(expected, rel=1e-5)
        assert history["class_weight/1"][epoch] == pytest.approx(weights[1] * scale, rel=1e-6)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sequence_uses_new_weights_in_the_very_next_epoch(workers, x, y):
    def sequence():
        return kbs.BalancedPairSequence(x, y, batch_size=8, seed=0, workers=workers)

    def wanted(epoch):
        return {"common": 1.0, "medium": 2.0 + epoch, "rare": 4.0}

    pairs, model = sequence(), compiled(optimizer=keras.optimizers.SGD(0.0))
    callback = AdaptiveClassWeight(
        pairs, validation_data=(x, y), strategy=lambda _errors, _weights, epoch: wanted(epoch), **AT_ONCE
    )
    history = model.fit(pairs, epochs=3, verbose=0, callbacks=[callback]).history
    plain = sequence()
    for epoch in range(3):
        plain.set_epoch(epoch)
        plain.class_weight = dict.fromkeys(plain.classes, 1.0) if epoch == 0 else wanted(epoch - 1)
        sides, similar, weight = zip(*(plain[i] for i in range(len(plain))), strict=True)
        d = model.predict(tuple(np.concatenate(side) for side in zip(*sides, strict=True)), verbose=0).ravel()
        item = np.where(np.concatenate(similar).ravel() == 1, d**2, np.maximum(1 - d, 0) ** 2)
        assert history["loss"][epoch] == pytest.approx(np.mean(item * np.concatenate(weight)), rel=1e-5)


def test_adapted_shares_are_drawn_in_the_very_next_epoch(x, y):
    pairs, model = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0), compiled(run_eagerly=True)
    shares, plans = {"common": 0.0001, "medium": 0.5, "rare": 0.5}, []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: plans.append(pairs.plan))
    arguments = {"validation_data": (x, y), "strategy": lambda *_: shares, **AT_ONCE}
    callback = AdaptiveClassWeight(pairs, adapt="sampling", **arguments)
    model.fit(pairs, epochs=2, verbose=0, callbacks=[callback, spy])
    first, second = plans[0], plans[-1]
    assert (pairs.labels[first.pairs] == 0).mean() > 0.4
    assert (pairs.labels[second.pairs] == 0).mean() < 0.02


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


def test_the_sequence_is_set_to_the_epoch_of_fit(x, y, pairs):
    epochs = []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: epochs.append(pairs.epoch))
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    compiled(run_eagerly=True).fit(pairs, epochs=5, initial_epoch=3, verbose=0, callbacks=[callback, spy])
    assert set(epochs) == {3, 4}


def test_a_sequence_that_does_not_redraw_stays_at_its_epoch(x, y):
    pairs = kbs.BalancedPairSequence(x, y, seed=0, redraw=False)
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    compiled(run_eagerly=True).fit(pairs, epochs=3, verbose=0, callbacks=[callback])
    assert pairs.epoch == 0
