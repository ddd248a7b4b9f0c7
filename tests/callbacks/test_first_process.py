"""All processes go on with what the first one has found."""

import importlib

import keras
import numpy as np
import pytest
from toy import clusters, compiled

import keras_balanced_siamese as kbs


@pytest.fixture
def received(monkeypatch):
    """Stand in for another first process, which has found something else; return what was found there, by callback."""
    found = {}

    def other_process(own, place):
        changes = {"pairs": own.pairs[:, ::-1]} if place == "HardPairMining" else {"values": own.values[::-1] + 0.5}
        found[place] = own._replace(**changes)
        return found[place]

    for module in ("callbacks._mining", "callbacks.adaptive._callback"):
        place = importlib.import_module(f"keras_balanced_siamese.{module}")
        monkeypatch.setattr(place, "of_first_process", other_process)
    return found


def test_pairs_and_errors_are_those_of_the_first_process(received):
    pairs = kbs.BalancedPairSequence(*clusters(), batch_size=8, steps_per_epoch=6, seed=0)
    mining = kbs.HardPairMining(pairs, warmup_epochs=0, ramp_epochs=1)
    adapting = kbs.AdaptiveClassWeight(pairs, validation_data=clusters(), warmup_epochs=0)
    drawn = []
    reading = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: drawn.append(pairs.plan.pairs))
    compiled().fit(pairs, epochs=1, shuffle=False, verbose=0, callbacks=[mining, adapting, reading])
    np.testing.assert_array_equal(drawn[0], received["HardPairMining"].pairs)
    errors = list(adapting.history_[-1]["errors"].values())
    np.testing.assert_array_equal(errors, received["AdaptiveClassWeight"].values)
