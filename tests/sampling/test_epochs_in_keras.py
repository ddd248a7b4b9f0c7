"""Which epoch `fit`, `evaluate` and `predict` draw, and which one `indices` answers for."""

import threading

import keras
import numpy as np
import pytest
from toy import BACKEND, clusters, compiled

import keras_balanced_siamese as kbs

X, Y = clusters()
SEQUENCES = [(kbs.BalancedPairSequence, (8,)), (kbs.BalancedBatchSequence, (2, 4))]


def pairs_of(**kwargs):
    return kbs.BalancedPairSequence(X, Y, **{"batch_size": 8, "seed": 0, **kwargs})


class Records(kbs.BalancedPairSequence):
    """Pairs that record the epochs whose batches were read."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def __getitem__(self, index):
        self.seen.append(self.epoch)
        return super().__getitem__(index)


def distances(model, pairs):
    """The distances by the encoder alone, in the order of `indices`."""
    left, right, _ = pairs.indices()
    a, b = (model.get_layer("encoder").predict(X[side], verbose=0) for side in (left, right))
    return np.sqrt(np.square(a - b).sum(axis=1))


@pytest.mark.parametrize("workers", [1, 2])
def test_indices_are_those_of_the_pairs_that_predict_scored(workers):
    model, test = compiled(), pairs_of(workers=workers)
    before = test.indices()
    for _ in range(2):
        scores = model.predict(test, verbose=0)[:, 0]
        np.testing.assert_allclose(scores, distances(model, test), rtol=1e-4, atol=1e-5)
        model.evaluate(test, verbose=0)
        np.testing.assert_array_equal(test.indices()[0], before[0])
        by_batch = [np.concatenate(part) for part in zip(*map(test.indices, range(len(test))), strict=True)]
        for found, expected in zip(by_batch, test.indices(), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert test.epoch == 0
    assert test.batches_served == 0


@pytest.mark.parametrize("shuffle", [False, True])
def test_fit_draws_each_epoch_and_validation_stays(shuffle):
    train, other, own = Records(X, Y, 8, seed=0), pairs_of(seed=1), keras.callbacks.Callback()
    model, epochs = compiled(), []
    model.evaluate(train, verbose=0)
    train.seen.clear()
    own.on_epoch_begin = lambda epoch, logs=None: epochs.append((train.epoch, other.epoch))
    own.on_epoch_end = lambda epoch, logs=None: model.predict(train, verbose=0) if epoch == 1 else None
    model.fit(train, epochs=3, validation_data=other, shuffle=shuffle, verbose=0, callbacks=[own])
    assert epochs == [(0, 0), (1, 0), (2, 0)]
    assert (train.epoch, other.epoch) == (3, 0)
    for fetched_for_shapes in (other.batches_served, train.batches_served - 3 * len(train)):
        assert 0 <= fetched_for_shapes <= 2


def test_validation_on_the_training_pairs_does_not_stop_the_epochs():
    train, model = pairs_of(), compiled()
    model.fit(train, epochs=3, validation_data=train, verbose=0)
    assert train.epoch == 3


def test_the_epoch_stays_when_keras_runs_in_a_thread():
    model, test = compiled(), pairs_of()
    model.predict(test, verbose=0)
    thread = threading.Thread(target=lambda: model.predict(test, verbose=0))
    thread.start()
    thread.join()
    assert test.epoch == 0


@pytest.mark.parametrize(("cls", "shape"), SEQUENCES)
def test_indices_of_the_whole_epoch_are_those_of_all_batches(cls, shape):
    whole = cls(X, Y, *shape, steps_per_epoch=6, seed=3)
    for one in (whole, whole.shard(1, 2)):
        one.set_epoch(2)
        found = one.indices() if isinstance(one.indices(), tuple) else (one.indices(),)
        batches = [one.indices(k) if len(found) > 1 else (one.indices(k),) for k in range(len(one))]
        for part, expected in zip(found, zip(*batches, strict=True), strict=True):
            np.testing.assert_array_equal(part, np.concatenate(expected))


def test_a_last_batch_that_is_smaller_is_part_of_the_epoch():
    pairs = pairs_of(batch_size=9)
    assert len(pairs.indices()[0]) == len(Y) == 59
    assert len(pairs.indices(-1)[0]) == 59 % 9


@pytest.mark.skipif(BACKEND != "tensorflow", reason="`fit` of a `tf.data.Dataset`")
def test_fit_of_a_tf_dataset_draws_each_epoch():
    train, model = Records(X, Y, 8, seed=0), compiled()
    data = train.to_tf_dataset()
    model.predict(data, verbose=0)
    model.predict(data, verbose=0)
    assert (train.epoch, train.batches_served) == (0, 1)  # 1 for the shapes
    train.seen.clear()
    model.fit(data, epochs=3, validation_data=pairs_of(seed=1).to_tf_dataset(), shuffle=False, verbose=0)
    assert train.seen == np.repeat([0, 1, 2], len(train)).tolist()
    assert train.batches_served == 3 * len(train) + 1
    scores = model.predict(data, verbose=0)[:, 0]
    np.testing.assert_allclose(scores, distances(model, train), rtol=1e-4, atol=1e-5)
    train.seen.clear()
    set_epoch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: train.set_epoch(epoch))
    model.fit(data, initial_epoch=4, epochs=6, shuffle=False, verbose=0, callbacks=[set_epoch])
    assert train.seen == np.repeat([4, 5], len(train)).tolist()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="`fit` of a `tf.data.Dataset`")
@pytest.mark.parametrize("way", ["plain", "prefetch", "repeat"])
def test_a_tf_dataset_serves_the_mined_pairs(way):
    train, model = pairs_of(), compiled()
    data, read = train.to_tf_dataset(), []
    more = {"steps_per_epoch": len(train)} if way == "repeat" else {}
    data = data if way == "plain" else data.prefetch(1) if way == "prefetch" else data.repeat()
    data = data.map(lambda x, similar, weight: (x, similar, weight))
    mining = kbs.HardPairMining(train, warmup_epochs=0, ramp_epochs=1, fraction=1.0)
    spy = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: read.append(train.indices()))
    model.fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[mining, spy], **more)
    assert train.batches_served >= 2 * len(train)
    mined, plain = read[1], pairs_of()
    plain.set_epoch(1)
    assert (mined[1] != plain.indices()[1]).mean() > 0.3


def test_an_epoch_that_is_read_in_part_is_not_over():
    pairs = pairs_of()
    for epoch in range(3):
        for k in range(len(pairs)):
            pairs.on_epoch_end()
            assert pairs.epoch == epoch
            pairs[k]
        pairs.on_epoch_end()
    assert pairs.epoch == 3


def test_a_batch_that_is_read_ahead_while_a_callback_predicts_counts():
    train, model, served = pairs_of(), compiled(), []

    def read_in_another_thread(batch, logs=None):
        before = train.batches_served
        thread = threading.Thread(target=lambda: train[0])
        thread.start()
        thread.join()
        served.append(train.batches_served - before)

    def predict(epoch, logs):
        ahead = keras.callbacks.Callback()
        ahead.on_predict_batch_begin = read_in_another_thread
        model.predict((X[:4], X[:4]), batch_size=4, verbose=0, callbacks=[ahead])

    model.fit(train, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=predict)])
    assert served == [1]
    model.evaluate(
        train, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_test_batch_begin=read_in_another_thread)]
    )
    assert set(served[1:]) == {0}
