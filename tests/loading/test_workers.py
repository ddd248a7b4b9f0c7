"""Batches are the same for any number of workers."""

import random
import threading

import numpy as np
import pytest
from toy import clusters

import keras_balanced_siamese as kbs
from keras_balanced_siamese.loading._prefetch import Prefetch

pytestmark = pytest.mark.numpy_only

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
def test_pairs_are_the_same_for_any_workers(workers):
    one, other = sequence(**WORKERS[0]), sequence(**workers)
    for _ in range(2):
        for a, b in zip(all_batches(one), all_batches(other), strict=True):
            for x, y in zip([*a[0], *a[1:]], [*b[0], *b[1:]], strict=True):
                np.testing.assert_array_equal(x, y)
        one.on_epoch_end()
        other.on_epoch_end()
        assert one.epoch == other.epoch


class Slow:
    """A source that records the thread of each reading."""

    def __init__(self):
        self.loaded, self.shape, self.dtype = [], X.shape, X.dtype

    def __getitem__(self, index):
        self.loaded.append(threading.current_thread())
        return X[index]


@pytest.mark.parametrize("shuffle", [False, True])
def test_workers_load_only_the_next_batches(shuffle):
    source = Slow()
    pairs = kbs.BalancedPairSequence(source, Y, batch_size=4, seed=0, workers=2, max_queue_size=3)
    order = list(range(len(pairs)))  # as Keras does it: it reads the number of batches, and then shuffles
    if shuffle:
        random.shuffle(order)
    for k, index in enumerate(order):
        pairs[index]
        assert len(source.loaded) <= min(k + 4, len(order))
    assert len(source.loaded) == len(order)  # no guess was wrong
    assert threading.main_thread() not in source.loaded


def test_batches_are_right_in_any_order():
    pairs, plain = sequence(workers=2), sequence()
    for index in (3, 0, 5, 5, 1, len(plain) - 1, 0, 1, 2):
        for a, b in zip(pairs[index][0], plain[index][0], strict=True):
            np.testing.assert_array_equal(a, b)
    pairs.set_epoch(4)
    plain.set_epoch(4)
    np.testing.assert_array_equal(pairs[3][0][0], plain[3][0][0])


@pytest.mark.parametrize("workers", WORKERS, ids=str)
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_an_error_in_a_worker_names_the_sample(workers):
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
    assert len(all_batches(part)) == 6


def test_batches_are_right_for_concurrent_threads():
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
