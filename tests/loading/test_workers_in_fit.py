"""`fit` with workers: each batch once, with the newest weights."""

import multiprocessing
import os
import signal
import threading

import keras
import numpy as np
import pytest
from toy import clusters, linear_encoder

import keras_balanced_siamese as kbs

X, Y = clusters()
WORKERS = [{"workers": 0}, {"workers": 1}, {"workers": 4}, {"workers": 2, "use_multiprocessing": True}]


def noisy(item, rng):
    return item + rng.normal(size=item.shape).astype("float32")


def sequence(**kwargs):
    return kbs.BalancedPairSequence(X, Y, batch_size=8, seed=0, transform=noisy, **kwargs)


def all_batches(pairs):
    return [pairs[i] for i in range(len(pairs))]


class Reweigh(keras.callbacks.Callback):
    """Changes the class weights after each epoch."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs

    def on_epoch_begin(self, epoch, logs=None):
        self.pairs.set_epoch(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.pairs.class_weight = {c: 1.0 + (epoch + 1) * k for k, c in enumerate(self.pairs.classes)}


def losses_of_fit(workers, epochs=3):
    """The loss of each epoch at learning rate 0, of a model that `fit` has to build; and the model."""
    pairs = sequence(**workers)
    keras.utils.set_random_seed(0)
    encoder = linear_encoder()
    model = kbs.siamese_model(encoder)
    model.compile(keras.optimizers.SGD(0.0), kbs.WeightedContrastiveLoss())
    history = model.fit(pairs, epochs=epochs, verbose=0, callbacks=[Reweigh(pairs)])
    return history.history["loss"], model


def expected_losses(model, epochs=3):
    pairs, losses = sequence(), []
    for epoch in range(epochs):
        pairs.set_epoch(epoch)
        pairs.class_weight = {c: 1.0 + epoch * k for k, c in enumerate(pairs.classes)}
        weighted = []
        for (left, right), similar, weight in all_batches(pairs):
            d, s = model.predict_on_batch((left, right))[:, 0], similar[:, 0]
            weighted.append(weight * (s * d**2 + (1 - s) * np.maximum(1 - d, 0) ** 2))
        losses.append(np.concatenate(weighted).mean())
    return losses


@pytest.mark.parametrize("workers", WORKERS, ids=str)
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_fit_uses_each_batch_once_with_the_newest_weights(workers):
    found, model = losses_of_fit(workers)
    np.testing.assert_allclose(found, expected_losses(model), rtol=1e-4)


@pytest.mark.parametrize("workers", WORKERS[2:], ids=str)
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_no_workers_are_left_after_several_fits(workers):
    for _ in range(3):
        losses_of_fit(workers, epochs=2)
    assert_workers_end()


def assert_workers_end():
    for thread in threading.enumerate():
        if thread.name.startswith("kbs_loader"):
            thread.join(10)
            assert not thread.is_alive()
    assert multiprocessing.active_children() == []


def killed(item):
    return os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_a_killed_worker_ends_fit_with_an_error_that_names_the_batch():
    pairs = kbs.BalancedPairSequence(X, Y, batch_size=8, seed=0, transform=killed, **WORKERS[3])
    model = kbs.siamese_model(linear_encoder())
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    with pytest.raises(Exception, match=r"A worker process died while it loaded batch \d of epoch 0"):
        model.fit(pairs, epochs=2, verbose=0)
    assert_workers_end()  # a thread may start its process again before it hears of the end: not in the next test
