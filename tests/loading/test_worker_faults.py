"""Workers that die, and workers that nobody needs any more."""

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest
from fresh_process import output, start
from toy import clusters

import keras_balanced_siamese as kbs
from keras_balanced_siamese.loading import _workers

pytestmark = [
    pytest.mark.numpy_only,
    pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning"),
]

X, Y = clusters()
PROCESSES = {"workers": 2, "use_multiprocessing": True}
KINDS = [{"workers": 2}, PROCESSES, {"workers": 1, "use_multiprocessing": True}]


def sequence(**kwargs):
    return kbs.BalancedPairSequence(X, Y, **{"batch_size": 8, "seed": 0, **kwargs})


def all_batches(pairs):
    return [pairs[i] for i in range(len(pairs))]


def within(seconds, work):
    """The result of `work()`, or an error if it does not return in time."""
    future = Future()

    def run():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def workers_alive():
    """The worker threads and processes of this package, after those that are about to end have done so."""
    gc.collect()
    for _ in range(200):
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("kbs_loader")]
        children = multiprocessing.active_children()
        if not threads and not children:
            break
        time.sleep(0.02)
    return threads + children


class DiesOnce:
    """A transform that kills its process, as the system does when memory runs out; once for each file."""

    def __init__(self, path):
        self.path = path

    def __call__(self, item):
        try:
            os.remove(self.path)
        except FileNotFoundError:
            return item
        return os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_an_error_and_the_next_try_works(tmp_path):
    path = tmp_path / "alive"
    pairs, plain = sequence(transform=DiesOnce(path), **PROCESSES), sequence()

    def twelve_rounds():
        for killed in range(12):
            assert workers_alive() == []  # none of the last round comes across the file
            path.touch()
            message = ""
            try:
                all_batches(pairs)
            except RuntimeError as error:
                message = str(error)
            assert "A worker process died while it loaded batch " in message, f"no error in round {killed}"
            assert "exit code -9" in message
            for found, expected in zip(all_batches(pairs), all_batches(plain), strict=True):
                np.testing.assert_array_equal(found[0][0], expected[0][0])
        return True

    assert within(60, twelve_rounds)


def test_processes_killed_between_batches_are_an_error_too():
    pairs = sequence(max_queue_size=1, **PROCESSES)

    def work():
        pairs[0]
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        with pytest.raises(RuntimeError, match=r"batch \d of epoch 0.*exit code -9"):
            all_batches(pairs)
        return all_batches(pairs)

    assert len(within(60, work)) == len(pairs)


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(one)
        self.lock = threading.Lock()


class Broken:
    """A source whose errors, and whose samples, cannot go from one process to another."""

    shape, dtype = X.shape, X.dtype

    def __init__(self, kind):
        self.kind = kind

    def __getitem__(self, index):
        if self.kind == "exit":
            raise SystemExit(3)
        raise Unpicklable("broken", "file")


@pytest.mark.parametrize("kind", ["exit", "error"])
def test_any_error_in_a_process_reaches_the_caller(kind):
    pairs = kbs.BalancedPairSequence(Broken(kind), Y, batch_size=8, seed=0, **PROCESSES)

    def work():
        try:
            pairs[0]
        except BaseException as error:
            return repr(error)

    assert ("SystemExit(3)" if kind == "exit" else "lock") in within(60, work)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_workers_end_with_the_epoch(kind):
    pairs = sequence(**kind)
    for _ in range(3):
        all_batches(pairs)
        assert workers_alive() == []
        pairs.on_epoch_end()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_workers_end_with_the_sequence(kind):
    pairs = sequence(**kind)
    pairs[0]
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("kbs_loader")]
    del pairs
    assert workers_alive() == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_idle_workers_end_and_new_ones_start(kind, monkeypatch):
    monkeypatch.setattr(_workers, "IDLE", 0.1)
    pairs, plain = sequence(**kind), sequence()
    for index in range(2):
        np.testing.assert_array_equal(pairs[index][0][0], plain[index][0][0])
        assert workers_alive() == []
    np.testing.assert_array_equal(pairs[5][0][0], plain[5][0][0])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda pairs: pickle.loads(pickle.dumps(pairs))])
def test_copies_of_a_sequence_at_work_have_their_own_workers(kind, how):
    pairs, plain = sequence(**kind), sequence()
    pairs[0]
    other = how(pairs)
    for index in (1, 0, 2):
        for one in (other, pairs):
            np.testing.assert_array_equal(one[index][0][0], plain[index][0][0])
    assert other.batches_served == 3
    assert pairs.batches_served >= 4


def test_one_worker_loads_ahead_only_in_a_process():
    assert workers_alive() == []
    for kind, expected in (({"workers": 1}, 0), ({"workers": 0, "use_multiprocessing": True}, 0), (KINDS[2], 1)):
        pairs = sequence(**kind)
        pairs[0]
        assert len(multiprocessing.active_children()) == expected
        del pairs
        assert workers_alive() == []


EXIT = """
import atexit, time
atexit.register(lambda: print(time.time()))  # called last
import numpy as np, keras_balanced_siamese as kbs
def slow(item):
    time.sleep(0.2)
    return item
y = np.repeat([0, 1], 200)
pairs = kbs.BalancedPairSequence(np.arange(400.0), y, 2, seed=0, transform=slow, workers=2, use_multiprocessing={})
pairs[0]
print(time.time())
"""


def test_the_interpreter_exits_without_loading_the_rest():
    for running in [start("-W", "ignore", "-c", EXIT.format(processes)) for processes in (False, True)]:
        begun, end = map(float, output(running).split()[-2:])
        assert end - begun < 6  # the ten batches that wait would take 8 seconds more


def test_batches_that_another_process_serves_are_counted():
    pairs = sequence()
    process = multiprocessing.get_context("fork").Process(target=all_batches, args=(pairs,))
    process.start()
    process.join()
    assert pairs.batches_served == len(pairs)
    pickle.dumps(pairs)  # as for a process that is not forked
    assert pairs.batches_served == len(pairs) + 1


PARENT = """
import multiprocessing, os, signal, numpy as np, keras_balanced_siamese as kbs
y = np.repeat([0, 1], 200)
pairs = kbs.BalancedPairSequence(np.arange(400.0), y, 2, seed=0, workers=2, use_multiprocessing=True)
pairs[0]
print(*[child.pid for child in multiprocessing.active_children()], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks at processes as Linux shows them")
def test_processes_end_when_the_main_process_is_killed():
    with start("-W", "ignore", "-c", PARENT) as running:
        children = [int(pid) for pid in running.stdout.readline().split()]
    assert len(children) == 2
    for _ in range(500):
        alive = [pid for pid in children if os.path.exists(f"/proc/{pid}") and "Z" not in state_of(pid)]
        if not alive:
            break
        time.sleep(0.02)
    assert alive == []


def state_of(pid):
    """The letter of the state of a process, as Linux shows it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"
