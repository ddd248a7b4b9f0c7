"""Train on two processes of this machine, and compare with one process: the losses are equal.

    KERAS_BACKEND=jax python examples/two_processes.py
    KERAS_BACKEND=torch python examples/two_processes.py
    python examples/two_processes.py  # TensorFlow, with Keras 2.15: pip install -e ".[addons]"

Each process takes its part of every batch, and the loss pairs the items of both parts. On several machines, start the
script's `train` once on each, with the address of the first one.

What to expect: the losses of each epoch, which differ by less than 0.001 %. The engines are `jax.distributed`,
`DistributedDataParallel` and `MultiWorkerMirroredStrategy`; with Keras 3, use `MirroredStrategy` in one process.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

BACKEND = keras.backend.backend()
EPOCHS = 4
COUNTS = (128, 64, 24, 16)  # samples of each class


def main() -> None:
    """Train on one process and on two, and compare."""
    if BACKEND == "tensorflow" and hasattr(keras, "ops"):
        sys.exit("With Keras 3, TensorFlow trains on one process only: use another backend, or Keras 2.15 (see above)")
    one, two = run(1), run(2)
    print("epoch  one process  two processes")
    for epoch, losses in enumerate(zip(one, two, strict=True)):
        print(f"{epoch:5}  {losses[0]:11.6f}  {losses[1]:13.6f}")
    np.testing.assert_allclose(one, two, rtol=1e-5)


def run(count: int) -> list[float]:
    """Start `count` processes on this machine, and return the losses that the first one prints."""
    addresses = free_addresses(count)
    commands = [[sys.executable, __file__, str(rank), *addresses] for rank in range(count)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        printed = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()  # the others, if one has failed
    if any(process.returncode for process in processes):
        sys.exit(f"exit codes: {[process.returncode for process in processes]}")
    return json.loads(printed[0].splitlines()[-1])


def train(rank: int, addresses: list[str]) -> None:
    """Train as process `rank` of those at `addresses`, and print the loss of each epoch."""
    count = len(addresses)
    scope = join(rank, addresses) if count > 1 else contextlib.nullcontext()
    keras.utils.set_random_seed(0)  # the same weights and data in each process
    batches = kbs.BalancedBatchSequence(*samples(), 4, 16, steps_per_epoch=10, seed=0)  # 16 samples of each
    with scope:
        losses = loop(batches.shard(rank, count), count) if BACKEND == "torch" else fit(batches)
    print(json.dumps(losses))


def join(rank: int, addresses: list[str]) -> contextlib.AbstractContextManager:
    """Connect to the other processes; return the scope in which to train."""
    if BACKEND == "jax":
        import jax

        jax.distributed.initialize(addresses[0], len(addresses), rank)
        return keras.distribution.DataParallel(devices=jax.devices(), auto_shard_dataset=False).scope()
    if BACKEND == "torch":
        import torch

        torch.distributed.init_process_group("gloo", f"tcp://{addresses[0]}", rank=rank, world_size=len(addresses))
        return contextlib.nullcontext()
    import tensorflow as tf

    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}})
    return tf.distribute.MultiWorkerMirroredStrategy().scope()


def fit(batches: kbs.BalancedBatchSequence) -> list[float]:
    """Train with `fit`; the adapted class weights are the same in each process."""
    model, loss = encoder(), kbs.WeightedSupervisedContrastiveLoss(class_weight=dict.fromkeys(batches.classes, 1.0))
    model.compile(keras.optimizers.SGD(0.1), loss)
    history = model.fit(batches, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[kbs.AdaptiveClassWeight()])
    return [float(loss) for loss in history.history["loss"]]


def loop(batches: kbs.BalancedBatchSequence, count: int) -> list[float]:
    """Train in a loop, since `fit` does not average the gradients of several processes on PyTorch."""
    import torch

    loss = kbs.WeightedSupervisedContrastiveLoss()
    model: torch.nn.Module = encoder()
    if count > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer, means = torch.optim.SGD(model.parameters(), 0.1), []
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        losses = []
        for x, y, _ in batches:
            optimizer.zero_grad()
            value = loss(y, model(torch.as_tensor(x)))
            value.backward()
            optimizer.step()
            losses.append(value.detach())
        mean = torch.stack(losses).mean()  # of this process's part
        if count > 1:
            torch.distributed.all_reduce(mean)
        means.append(float(mean) / count)
    if count > 1:
        torch.distributed.barrier()  # no process may end while another one still uses the connection
        torch.distributed.destroy_process_group()
    return means


def encoder() -> keras.Model:
    """A small network from a vector to its embedding."""
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(4)])


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Clusters of vectors, few of some classes."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(COUNTS)), COUNTS)
    return (rng.normal(size=(len(COUNTS), 8))[y] + rng.normal(size=(len(y), 8))).astype("float32"), y


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine that no process uses."""
    free = []
    for port in random.SystemRandom().sample(range(20_000, 30_000), 20):  # the system gives others higher ones
        with contextlib.suppress(OSError), socket.create_server(("localhost", port)):
            free.append(f"localhost:{port}")
    return free[:count]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        train(int(sys.argv[1]), sys.argv[2:])
    else:
        main()
