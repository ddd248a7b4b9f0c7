"""Batches and weights are the same however they are loaded."""

import random
import threading

import keras
import numpy as np
import pytest
from toy import clusters, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese.loading._buffers import KEPT, WORTH_IT, Buffers
from keras_balanced_siamese.loading._prefetch import Prefetch

X, Y = clusters()
WORKERS = [{"workers": 0}, {"workers": 1}, {"workers": 4}, {"workers": 2, "use_multiprocessing": True}]


def noisy(item, rng):
    return item + rng.normal(size=item.shape).astype("float32")


def sequence(**kwargs):
    return kbs.BalancedPairSequence(X, Y, batch_size=8, seed=0, transform=noisy, **kwargs)


def all_batches(pairs):
    return [pairs[i] for i in range(len(pairs))]


@pytest.mark.parametrize("workers", WORKERS[1:], ids=str)
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_any_workers_give_the_same_batches(workers):
    one, other = sequence(**WORKERS[0]), sequence(**workers)
    for _ in range(2):
        for a, b in zip(all_batches(one), all_batches(other), strict=True):
            for x, y in zip([*a[0], *a[1:]], [*b[0], *b[1:]], strict=True):
                np.testing.assert_array_equal(x, y)
        one.on_epoch_end()
        other.on_epoch_end()
        assert one.epoch == other.epoch


class Reweigh(keras.callbacks.Callback):
    """Other weights after each epoch."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs

    def on_epoch_begin(self, epoch, logs=None):
        self.pairs.set_epoch(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.pairs.class_weight = {c: 1.0 + (epoch + 1) * k for k, c in enumerate(self.pairs.classes)}


def losses_of_fit(workers, epochs=3):
    """Loss of each epoch at learning rate 0, of a model that `fit` has to build."""
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
def test_fit_of_a_model_not_yet_built_sees_each_batch_once_with_the_newest_weights(workers):
    found, model = losses_of_fit(workers)
    np.testing.assert_allclose(found, expected_losses(model), rtol=1e-4)


class Slow:
    """A source that tells which samples it has loaded."""

    def __init__(self):
        self.loaded, self.shape, self.dtype = [], X.shape, X.dtype

    def __getitem__(self, index):
        self.loaded.append(threading.current_thread())
        return X[index]


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_next_batches_are_loaded_prefetch(shuffle):
    source = Slow()
    pairs = kbs.BalancedPairSequence(source, Y, batch_size=4, seed=0, workers=2, max_queue_size=3)
    order = list(range(len(pairs)))  # as Keras does it: first the number of batches, then the dice
    if shuffle:
        random.shuffle(order)
    for k, index in enumerate(order):
        pairs[index]
        assert len(source.loaded) <= min(k + 4, len(order))
    assert len(source.loaded) == len(order)  # no guess was wrong
    assert threading.main_thread() not in source.loaded


def test_a_wrong_guess_costs_nothing_but_time():
    pairs, plain = sequence(workers=2), sequence()
    for index in (3, 0, 5, 5, 1, len(plain) - 1, 0, 1, 2):
        for a, b in zip(pairs[index][0], plain[index][0], strict=True):
            np.testing.assert_array_equal(a, b)
    pairs.set_epoch(4)
    plain.set_epoch(4)
    np.testing.assert_array_equal(pairs[3][0][0], plain[3][0][0])


@pytest.mark.parametrize("workers", WORKERS, ids=str)
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_an_error_in_a_transform_names_the_sample(workers):
    paths = [f"{k}.png" for k in range(len(Y))]
    pairs = kbs.BalancedPairSequence(paths, Y, batch_size=4, seed=0, transform=fails_at_7, **workers)
    with pytest.raises(RuntimeError, match=r"`transform` failed on the sample x\[7\], '7.png', with OSError: broken"):
        all_batches(pairs)


def fails_at_7(path):
    if path == "7.png":
        raise OSError("broken")
    return np.zeros(2)


def test_copies_do_not_share_workers():
    pairs = sequence(workers=2)
    pairs[0]
    part = kbs.BalancedPairSequence(X, Y, batch_size=8, steps_per_epoch=6, seed=0, workers=2).shard(0, 2)
    assert part._prefetch is not pairs._prefetch
    assert isinstance(part._prefetch, Prefetch)
    assert len(all_batches(part)) == 3


def test_memory_is_used_again_only_when_nobody_looks_at_it():
    buffers, shape = Buffers(), (WORTH_IT // 8,)
    first = buffers.empty(shape, np.dtype("float64"))
    address, view = first.ctypes.data, first[10:20]
    del first
    second = buffers.empty(shape, np.dtype("float64"))
    assert second.ctypes.data != address  # the view still looks at it
    del view
    third = buffers.empty(shape, np.dtype("float64"))
    assert third.ctypes.data == address
    assert buffers.empty((WORTH_IT // 4,), np.dtype("float32")).ctypes.data != second.ctypes.data
    many = [buffers.empty(shape, np.dtype("float64")) for _ in range(3 * KEPT)]
    assert len({one.ctypes.data for one in [*many, second, third]}) == 3 * KEPT + 2


def test_batches_that_are_kept_never_change():
    x = np.random.default_rng(0).normal(size=(200, 4096)).astype("float32")  # large enough for memory to be kept
    pairs = kbs.BalancedPairSequence(x, np.arange(200) % 4, batch_size=16, seed=0)
    kept = [(pairs[i][0][0], x[pairs.indices(i)[0]]) for i in range(len(pairs))]
    for found, expected in kept:
        np.testing.assert_array_equal(found, expected)


def test_threads_that_ask_at_once_get_the_right_batches():
    pairs, plain = sequence(workers=2), sequence()
    expected, wrong = [plain[i][0][0] for i in range(len(plain))], []

    def ask(start):
        for k in range(len(expected)):
            index = (start + k) % len(expected)
            if (pairs[index][0][0] != expected[index]).any():
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
