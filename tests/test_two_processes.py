"""Two processes that train together do what one does, and what they cannot do is an error and no hang."""

import contextlib
import json
import random
import re
import socket

import keras
import numpy as np
import pytest
import two_processes
from fresh_process import output, start
from toy import BACKEND

import keras_balanced_siamese as kbs

# `MultiWorkerMirroredStrategy` of Keras 3 fails with Keras's own losses too
lacking = BACKEND == "tensorflow" and hasattr(keras, "ops")
pytestmark = pytest.mark.skipif(lacking, reason="Keras trains in one process only here")


def free_ports(number):
    """Ports that no process uses; until they are, the system gives higher ones to others."""
    free = []
    for port in random.SystemRandom().sample(range(20_000, 30_000), 20):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.append(port)
    return free[:number]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of two processes finds, by rank, with the folder into which it may write."""
    ports, folder = free_ports(two_processes.COUNT), tmp_path_factory.mktemp("ranks")
    processes = [
        start(two_processes.__file__, rank, ports[0], folder / str(rank), **two_processes.variables(rank, ports))
        for rank in range(two_processes.COUNT)
    ]
    try:
        found = [json.loads(output(process).splitlines()[-1]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return found, folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process finds that gets the batches of both."""
    return two_processes.fitted(two_processes.pairs(), tmp_path_factory.mktemp("alone"))


def test_two_processes_train_as_one(ranks, alone):
    for found in (one["trained"] for one in ranks[0]):
        assert found["epoch"] == alone["epoch"] == two_processes.EPOCHS
        for name in ("weights", "class_weight", "data_weight"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-4, atol=1e-5, err_msg=name)
        assert found["logs"] == pytest.approx(alone["logs"], rel=1e-4, abs=1e-5)
    assert alone["class_weight"] != [1.0, 1.0]
    assert alone["logs"]["mining/fraction"] > 0.3


def test_one_process_prints_and_writes(ranks, alone):
    found, folder = ranks
    assert [one["trained"]["lines"] for one in found] == [alone["lines"], 0]
    assert [(folder / str(rank) / "reports.jsonl").exists() for rank in range(2)] == [True, False]


def test_each_epoch_is_drawn(ranks):
    """Each process draws a half of each batch on JAX, and all of it where the strategy divides it."""
    size = 4 if BACKEND == "jax" else 8
    for found in (one["drawn"] for one in ranks[0]):
        assert found["epoch"] == 3
        epochs, sizes = zip(*found["drawn"], strict=True)
        assert set(sizes) == {size}
        assert [epochs.count(epoch) for epoch in (1, 2)] == [6, 6]
        assert 6 <= epochs.count(0) <= 8  # Keras may look at some batches


@pytest.mark.skipif(BACKEND == "torch", reason="`fit` trains in one process only")
def test_batches_of_classes_are_divided(ranks):
    keras.utils.set_random_seed(0)
    expected = two_processes.batches(0, None)
    for found in ranks[0]:
        assert found["batches"] == pytest.approx(expected, rel=1e-5)
        assert not found["drawn"]["warnings"]


@pytest.mark.skipif(BACKEND != "torch", reason="Keras divides the data and averages the gradients")
def test_processes_that_train_alone_are_warned_and_share_metrics_on_request(ranks):
    metric, data = kbs.VerificationAUC(), two_processes.pairs()
    for k in range(len(data)):
        (left, right), similar, _ = data[k]
        metric.update_state(similar, np.square(left - right).sum(axis=1))
    for rank, found in enumerate(ranks[0]):
        (warning,) = found["drawn"]["warnings"]
        assert "2 processes are connected, but this `fit` neither divides" in warning
        assert f"shard({rank}, 2)" in warning
        assert found["measured"] == pytest.approx(float(metric.result()), abs=1e-6)


DIFFERENT = {
    "seed": "their `seed` differ.* seed 0 in rank 0, 1 in rank 1",
    "no seed": "their `seed` differ. Pass the same arguments and the same `seed`, a number",
    "batch size": "their `batch_size` differ.* 8 in rank 0, 10 in rank 1",
    "labels": "their `y` differ",
    "samples": "their number of samples differ.* 59 in rank 0, 54 in rank 1",
    "shuffled": r"their states of Python's `random`.* differ. Call `keras.utils.set_random_seed`",
    "other place": "rank 0 in callback 0, rank 1 in callback 1",
}
UNEVEN = {
    "jax": "2 processes cannot share each batch equally.*35 items in batches of 7",
    "torch": "2 processes cannot share each batch equally.*35 items in batches of 7",
    "tensorflow": "none",  # the strategy divides any batch
}
TWICE = {
    "jax": "none",  # a part is what a process draws
    "torch": "A part cannot be divided again",
    "tensorflow": "would be divided twice: pass the whole sequence",
}


def test_processes_that_differ_are_refused(ranks):
    expected = {**DIFFERENT, "uneven": UNEVEN[BACKEND], "twice": TWICE[BACKEND]}
    for found in (one["refused"] for one in ranks[0]):
        assert found["together"] == [0, 1]
        for name, pattern in expected.items():
            assert re.search(pattern, found[name]), (name, found[name])


def test_a_process_does_not_wait_for_ever(ranks):
    assert re.search(r"Rank 0 of 2 .* in AdaptiveClassWeight.*nothing for 0.5 seconds", ranks[0][0]["refused"]["alone"])
