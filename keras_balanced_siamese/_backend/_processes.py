"""The processes that train together, and values passed between them outside of a step."""

import importlib
import pickle
import sys
import threading
from typing import Any, NamedTuple

import keras
import numpy as np

TIMEOUT = 600.0  # seconds that a process waits for the others


class Processes(NamedTuple):
    """The number of processes, and which of them this one is."""

    rank: int
    number: int


ALONE = Processes(0, 1)


def processes() -> Processes:
    """Return the rank of this process and the number of processes that the backend has connected."""
    name = keras.backend.backend()
    module: Any = sys.modules.get(name)
    if name == "torch":
        connected = module.distributed.is_available() and module.distributed.is_initialized()
        return Processes(module.distributed.get_rank(), module.distributed.get_world_size()) if connected else ALONE
    if name == "jax":  # asked for its processes before they are connected, JAX could not connect them any more
        connected = getattr(module.distributed, "is_initialized", lambda: True)()
        return Processes(module.process_index(), module.process_count()) if connected else ALONE
    if module is None:
        return ALONE
    strategy = module.distribute.get_strategy()
    # the workers of other strategies run no `fit` of their own
    together = isinstance(strategy, module.distribute.MultiWorkerMirroredStrategy)
    return _workers(strategy) if together else ALONE


def exchange(value: Any, place: str) -> list[Any]:
    """Return the values of all processes by rank; each process must call this with the same `place`.

    Raises:
        RuntimeError: If a process is at another place, or does not arrive in time.
    """
    own = processes()
    if own.number == 1:
        return [value]
    arrived: list[Any] = []
    send = _sender()

    def run() -> None:
        try:
            arrived.append([pickle.loads(one) for one in send(pickle.dumps((place, value)))])
        except Exception as error:  # raised by the caller
            arrived.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    if not arrived or isinstance(arrived[0], Exception):
        raise RuntimeError(
            f"Rank {own.rank} of {own.number} has not got the values of the other processes in {place}. All processes "
            f"must do the same: `fit` the same data with the same callbacks, as often. Received: "
            f"{f'{type(arrived[0]).__name__}: {arrived[0]}' if arrived else f'nothing for {TIMEOUT:g} seconds'}"
        ) from (arrived[0] if arrived else None)
    places = [one[0] for one in arrived[0]]
    if set(places) != {place}:
        raise RuntimeError(
            "All processes must do the same: `fit` the same data with the same callbacks. Received: "
            + ", ".join(f"rank {rank} in {one}" for rank, one in enumerate(places))
        )
    return [one[1] for one in arrived[0]]


def of_first_process(value: Any, place: str) -> Any:
    """Return the value of the process of rank 0."""
    return exchange(value if processes().rank == 0 else None, place)[0]


def _sender() -> Any:
    """Return a function that gives the bytes of all processes by rank; called in any thread."""
    name = keras.backend.backend()
    module: Any = sys.modules[name]
    if name == "torch":
        cuda = module.cuda.current_device() if module.cuda.is_initialized() else None

        def send(text: bytes) -> list[bytes]:
            if cuda is not None:
                module.cuda.set_device(cuda)  # each thread has its own
            found: list[Any] = [None] * module.distributed.get_world_size()
            module.distributed.all_gather_object(found, text)
            return found

        return send
    gather = _gather_on_jax if name == "jax" else _gatherer_of(module, module.distribute.get_strategy())

    def send_padded(text: bytes) -> list[bytes]:
        lengths = [int(one[0]) for one in gather(np.array([len(text)], np.int32))]
        padded = text.ljust(-(-max(lengths) // 4) * 4)
        found = gather(np.frombuffer(padded, np.int32))
        return [one.tobytes()[:length] for one, length in zip(found, lengths, strict=True)]

    return send_padded


def _gather_on_jax(array: np.ndarray) -> list[np.ndarray]:
    multihost = importlib.import_module("jax.experimental.multihost_utils")
    return list(np.asarray(multihost.process_allgather(array, tiled=False)))


def _gatherer_of(tf: Any, strategy: Any) -> Any:
    own = _workers(strategy)
    of_each = strategy.num_replicas_in_sync // own.number

    def gather(array: np.ndarray) -> list[np.ndarray]:
        rows = np.zeros((own.number, len(array)), np.int32)
        rows[own.rank] = array

        def of_replica() -> Any:  # the first replica of each process counts
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.constant(rows) * tf.cast(place % of_each == 0, tf.int32)

        return list(strategy.reduce("SUM", strategy.run(of_replica), axis=None).numpy())

    return gather


def _workers(strategy: Any) -> Processes:
    """Return the processes of a `MultiWorkerMirroredStrategy`."""
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    chiefs, workers = (len(jobs.get(job, ())) for job in ("chief", "worker"))
    if chiefs + workers < 2:
        return ALONE
    first = chiefs if resolver.task_type == "worker" else 0
    return Processes(first + resolver.task_id, chiefs + workers)
