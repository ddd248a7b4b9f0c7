"""A step of several devices, each with a part of the batch, equals that of one device with the whole batch."""

import contextlib
import json
import socket

import keras
import numpy as np
import pytest
from fresh_process import output, start
from losses import gathered_steps
from losses.gathered_steps import FEW, LOSSES, RARE, divides_losses, evaluated_by_one, run_alone
from toy import BACKEND

KINDS = [(n, kind.replace("-", "_")) for n, kinds in ((2, LOSSES), (4, FEW)) for kind in kinds if kind != "alone"]
SAME = [kind for kind in LOSSES if kind not in ("sum", "weighted-mean", "alone")]
pytestmark = pytest.mark.skipif(
    not divides_losses(), reason="this Keras adds the gradients of the replicas, of any loss"
)


@pytest.fixture(scope="module")
def several():
    """What each device, or all together, found: number of devices -> runs."""
    calls = [["2"], ["4"]] if BACKEND == "tensorflow" else [["2", "4"]]
    processes = [start(gathered_steps.__file__, *call, **gathered_steps.VARIABLES) for call in calls]
    found = {}
    for process in processes:
        found |= json.loads(output(process).splitlines()[-1])
    return {int(n): runs if isinstance(runs, list) else [runs] for n, runs in found.items()}


@pytest.fixture(scope="module")
def alone():
    return run_alone()


@pytest.mark.parametrize(("count", "kind"), KINDS)
def test_weights_after_steps_of_several_devices_equal_those_of_one(several, alone, count, kind):
    for run in several[count]:
        np.testing.assert_allclose(run["weights"][kind], alone["weights"][kind], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [2, 4])
def test_the_record_of_each_class_counts_each_item_once(several, alone, count):
    for kind in several[count][0]["counts"].keys() - {"alone"}:
        counts, means = (np.array([run[field][kind] for run in several[count]]) for field in ("counts", "means"))
        np.testing.assert_array_equal(counts.sum(axis=0), alone["counts"][kind])
        totals = np.multiply(alone["counts"][kind], alone["means"][kind])
        np.testing.assert_allclose((counts * means).sum(axis=0), totals, rtol=1e-5, atol=1e-5)
    assert alone["counts"]["supervised"][RARE] == 2


def test_without_gathering_each_device_compares_its_own_items(several, alone):
    changes = [np.abs(np.subtract(run["weights"]["alone"], alone["weights"]["alone"])).max() for run in several[2]]
    if BACKEND == "jax":  # its arrays are those of all devices
        assert max(changes) < 1e-5
        return
    assert min(changes) > 0.01
    assert sum(run["counts"]["alone"][RARE] for run in several[2]) < alone["counts"]["alone"][RARE]


def test_reported_losses_are_those_of_one_device(several, alone):
    if BACKEND == "torch":  # each rank has the mean over its own items
        for kind in {kind.replace("-", "_") for kind in SAME}:
            total = sum(run["losses"][kind] for run in several[2])
            assert total == pytest.approx(alone["losses"][kind], rel=1e-5)
        return
    np.testing.assert_allclose(several[2][0]["reported"], alone["reported"], rtol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="one process runs the steps of all devices")
class TestRanks:
    def test_a_rank_that_others_wait_for_is_named_after_the_timeout(self, several):
        for rank, run in enumerate(several[4]):
            if rank != 2:
                assert f"Rank {rank} waited" in run["absent"]
                assert "did not come: [2]" in run["absent"]
                assert "gather=False" in run["absent"]

    def test_one_rank_may_evaluate_alone(self, several):
        assert several[2][0]["evaluated"] == pytest.approx(evaluated_by_one(), rel=1e-6)

    def test_embeddings_of_different_lengths_are_refused_on_all_ranks(self, several):
        for run in several[2]:
            assert "rank 0: length 3, 32 bits, rank 1: length 4, 32 bits" in run["lengths"]


@pytest.mark.skipif(hasattr(keras, "ops"), reason="of the engines here, only TensorFlow 2.15 trains in two processes")
def test_two_processes_of_tensorflow_train_as_one_device(alone):
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("localhost", 0))
        cluster = {"worker": [f"localhost:{one.getsockname()[1]}" for one in sockets]}
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}}) for rank in range(2)]
    processes = [start(gathered_steps.__file__, "worker", TF_CONFIG=task) for task in tasks]
    for process in processes:
        found = json.loads(output(process).splitlines()[-1])
        for kind in found["weights"]:
            np.testing.assert_allclose(found["weights"][kind], alone["weights"][kind], rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(found["counts"][kind], alone["counts"][kind])
