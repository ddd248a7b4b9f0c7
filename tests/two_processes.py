"""Trainings of two processes that talk to each other, each started as `two_processes.py RANK PORT FOLDER`.

Each prints what it has found as JSON in the last line.
"""

import contextlib
import importlib
import json
import os
import random
import sys
import time
import warnings
from pathlib import Path

import keras
import numpy as np
from toy import BACKEND, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import _backend

COUNT = 2
X, Y = clusters()
EPOCHS = 3


class Lines:
    """A sink that counts its lines; a copy for another training is the same object."""

    def __init__(self):
        self.number = 0

    def __call__(self, line):
        self.number += 1


class Drawn(kbs.BalancedPairSequence):
    """Pairs that record the epochs that were drawn, and how many items."""

    def __getitem__(self, index):
        batch = super().__getitem__(index)
        vars(self).setdefault("drawn", []).append((self.epoch, len(batch[1])))
        return batch


def pairs(cls=kbs.BalancedPairSequence, **options):
    return cls(X, Y, **{"batch_size": 8, "steps_per_epoch": 6, "class_sampling": "natural", "seed": 0, **options})


def callbacks_on(data, sink, folder):
    """Adapted weights of the loss and of the sequence, mined pairs, and a report that is printed and written."""
    return [
        kbs.AdaptiveClassWeight(verbose=1, sink=sink),
        kbs.AdaptiveClassWeight(data, validation_data=(X, Y)),
        kbs.HardPairMining(data, ramp_epochs=1),
        kbs.VerificationReport((X, Y), every=EPOCHS, verbose=1, sink=sink, filepath=folder / "reports.jsonl"),
    ]


def fitted(data, folder, sink=None, more=()):
    """Train a model with all callbacks, and return what is left."""
    model, sink = compiled(metrics=[kbs.VerificationAUC()]), sink or Lines()
    callbacks = [*callbacks_on(data, sink, folder), *more]
    if BACKEND == "torch":
        logs = loop(model, data, callbacks)
    else:
        logs = model.fit(data, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks).history
    return {
        "logs": {key: float(values[-1]) for key, values in logs.items()},
        "weights": np.concatenate([one.reshape(-1) for one in model.get_weights()]).tolist(),
        "class_weight": list(model.loss.class_weight.values()),
        "data_weight": list(data.class_weight.values()),
        "epoch": data.epoch,
        "lines": sink.number,
    }


def loop(model, data, callbacks):
    """`fit` of released Keras does not average the gradients of processes on PyTorch: a plain loop does."""
    torch = importlib.import_module("torch")
    parallel = torch.nn.parallel.DistributedDataParallel(model) if connected() else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    history = keras.callbacks.History()
    calls = keras.callbacks.CallbackList([*callbacks, history], model=model)
    calls.on_train_begin()
    for epoch in range(EPOCHS):
        logs = {}
        calls.on_epoch_begin(epoch, logs)
        for k in range(len(data)):
            x, similar, weight = data[k]
            optimizer.zero_grad()
            loss = model.compute_loss(x=x, y=similar, y_pred=parallel(x), sample_weight=weight)
            loss.backward()
            optimizer.step()
        data.on_epoch_end()
        calls.on_epoch_end(epoch, logs)
    calls.on_train_end()
    return history.history


def connected():
    return _backend.processes().number > 1


def connect(rank, port):
    """Connect this process to the others; return the scope in which models are constructed and trained."""
    if BACKEND == "torch":
        torch = importlib.import_module("torch")
        address = f"tcp://127.0.0.1:{port}"
        torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=COUNT)
        return contextlib.nullcontext()
    if BACKEND == "jax":
        jax = importlib.import_module("jax")
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", COUNT, rank, initialization_timeout=60)
        return keras.distribution.DataParallel(auto_shard_dataset=False).scope()
    tf = importlib.import_module("tensorflow")
    return tf.distribute.MultiWorkerMirroredStrategy().scope()


def variables(rank, ports):
    """The environment of a process."""
    workers = [f"127.0.0.1:{port}" for port in ports]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}}
    return {"TF_CONFIG": json.dumps(config)} if BACKEND == "tensorflow" else {}


class Broken(Exception):
    """The end of a training that is continued later."""


def trained(rank, folder):
    """A training in two processes; where `fit` trains, one that breaks off and is continued by other objects."""
    if BACKEND == "torch":
        return fitted(pairs().shard(rank, COUNT), folder)
    # the processes of TensorFlow save one backup together
    backup = str((folder.parent if BACKEND == "tensorflow" else folder) / "backup")

    def stop(epoch, logs=None):
        if epoch == EPOCHS - 1:
            raise Broken

    sink, stopping = Lines(), keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    with contextlib.suppress(Broken):
        fitted(pairs(), folder, sink, more=[keras.callbacks.BackupAndRestore(backup), stopping])
    return fitted(pairs(), folder, sink, more=[keras.callbacks.BackupAndRestore(backup)])


def drawn(rank, folder):
    """The epochs of a training and the sizes of its batches; on PyTorch the warning that there is only one process."""
    data = pairs(Drawn)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled().fit(data, epochs=3, shuffle=False, verbose=0)
    found = [str(one.message) for one in caught if "processes are connected" in str(one.message)]
    return {"epoch": data.epoch, "drawn": data.drawn, "warnings": found}


def measured(rank, folder):
    """A metric of the pairs of both processes, in a loop of one's own on PyTorch."""
    metric, data = kbs.VerificationAUC(), pairs()
    part = data.shard(rank, COUNT)
    for k in range(len(part)):
        (left, right), similar, _ = part[k]
        metric.update_state(similar, np.square(left - right).sum(axis=1))
    if BACKEND == "torch":
        importlib.import_module("torch").distributed.all_reduce(metric.histogram.value.data)
    return float(metric.result())


def batches(rank, folder):
    """Batches of classes, with a loss on the label of each item, so that a wrong order would be seen."""
    weights = {"common": 1, "medium": 2, "rare": 3}
    data = kbs.BalancedBatchSequence(X, Y, 2, 4, steps_per_epoch=6, seed=0, class_weight=weights)
    encoder = linear_encoder(width=1)
    encoder.compile("sgd", "mse")
    return encoder.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"]


def error_of(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def use(data):
    """Begin to use a sequence as each process does."""
    if BACKEND == "torch":
        return data.shard(_backend.processes().rank, COUNT)
    return compiled().fit(data, shuffle=False, verbose=0)


def refused(rank, folder):
    """The errors of processes that do not do the same."""
    more = 5 * rank
    found = {
        "seed": error_of(lambda: use(pairs(seed=rank))),
        "no seed": error_of(lambda: use(pairs(seed=None))),
        "batch size": error_of(lambda: use(pairs(batch_size=8 + 2 * rank))),
        "labels": error_of(lambda: use(kbs.BalancedPairSequence(X, np.roll(Y, more), 8, steps_per_epoch=6, seed=0))),
        "samples": error_of(lambda: use(kbs.BalancedPairSequence(X[more:], Y[more:], 8, steps_per_epoch=6, seed=0))),
        "uneven": error_of(lambda: use(pairs(batch_size=7, steps_per_epoch=5))),
        "twice": error_of(lambda: use(pairs().shard(rank, COUNT))),
    }
    model, data = compiled(), pairs().shard(rank, COUNT) if BACKEND == "torch" else pairs()
    random.seed(rank)
    found["shuffled"] = error_of(lambda: model.fit(data, verbose=0))
    exchange = importlib.import_module("keras_balanced_siamese._backend._processes")
    found["other place"] = error_of(lambda: exchange.exchange(1, f"callback {rank}"))
    found["together"] = exchange.exchange(rank, "the end")
    done = folder.parent / "done"
    if rank == 0:  # the other process does not come
        exchange.TIMEOUT = 0.5
        found["alone"] = error_of(lambda: exchange.exchange(1, "AdaptiveClassWeight"))
        done.touch()
    while not done.exists():
        time.sleep(0.1)
    return found


ON_TORCH = (trained, drawn, measured, refused)
CHECKS = ON_TORCH if BACKEND == "torch" else (trained, drawn, batches, refused)

if __name__ == "__main__":
    rank, port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(exist_ok=True)
    with connect(rank, port):
        keras.utils.set_random_seed(0)
        found = {check.__name__: check(rank, folder) for check in CHECKS}
    print(json.dumps(found), flush=True)  # noqa: T201
    (folder.parent / f"{rank}.done").touch()
    deadline = time.monotonic() + 60.0
    while len(list(folder.parent.glob("*.done"))) < COUNT and time.monotonic() < deadline:
        time.sleep(0.05)  # JAX ends all processes when the first one has ended
    os._exit(0)  # a thread waits for the other process
