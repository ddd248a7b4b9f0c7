"""Two training steps of all losses on batches, on one device or on several with a part of each batch.

As a script: the steps on several devices of the CPU, printed as JSON in the last line. Arguments: numbers of devices,
or "worker" in one of the processes that the environment variable TF_CONFIG lists.
"""

import contextlib
import importlib
import json
import multiprocessing
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import keras
import numpy as np
from losses.references import KINDS, WEIGHTS
from toy import BACKEND, linear_encoder

import keras_balanced_siamese as kbs

BATCH, LAST = 16, {"jax": 8}.get(BACKEND, 5)  # JAX refuses parts of different sizes
PARTS = {  # sizes of the parts of the last batch on PyTorch, where the caller divides the batches
    1: [LAST],
    2: [5, 0],
    4: [2, 2, 1, 0],
}
LOSSES = {
    **{kind: KINDS[kind] for kind in KINDS if not kind.endswith(("-margins", "-cosine", "-soft", "-unmined"))},
    "sum": lambda **k: kbs.WeightedTripletLoss(mining="hard", reduction="sum", **k),
    "weighted-mean": lambda **k: kbs.WeightedTripletLoss(mining="hard", reduction="mean_with_sample_weight", **k),
    "alone": lambda **k: kbs.WeightedSupervisedContrastiveLoss(gather=False, **k),
}
if not hasattr(keras, "ops"):  # this Keras does not divide means of this name by the number of replicas
    LOSSES.pop("weighted-mean")
FEW = ("contrastive-active", "triplet-semi-hard", "supervised-transfer", "multi-similarity")  # on four devices
RARE = 3  # a class of the first and the last item of the first batch, so of no two items of one device


def data():
    """Samples `(n, 4)`, labels `(n,)` and sample weights `(n,)` of two batches, the last one smaller."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, BATCH + LAST)
    labels[[0, BATCH - 1]] = RARE
    x, weights = rng.normal(size=(len(labels), 4)), rng.uniform(0.5, 1.5, len(labels))
    return x.astype("float32"), labels.astype("float32"), weights.astype("float32")


def heads(kinds):
    """A model with a linear encoder for each loss, and the losses."""
    given = keras.Input((4,))
    made = {kind.replace("-", "_"): LOSSES[kind](class_weight=WEIGHTS) for kind in kinds}
    model = keras.Model(given, {kind: keras.layers.Dense(3, use_bias=False, name=kind)(given) for kind in made})
    start = np.random.default_rng(1).normal(size=(4, 3)).astype("float32") * 0.3
    model.set_weights([start] * len(made))
    for loss in made.values():
        if loss.live_weights is not None:
            loss.live_weights.attach_to(model)
    return model, made


def result(model, losses, values):
    """Weights of the encoders, losses, and what the losses recorded for each class."""
    records = {kind: loss.live_weights.means_and_counts() for kind, loss in losses.items() if loss.live_weights}
    return {
        "weights": {kind: model.get_layer(kind).get_weights()[0].tolist() for kind in losses},
        "losses": {kind: float(values[kind]) for kind in losses},
        "means": {kind: np.nan_to_num(means).tolist() for kind, (means, _) in records.items()},
        "counts": {kind: counts.tolist() for kind, (_, counts) in records.items()},
    }


def fitted(scope, kinds=LOSSES, **options):
    """The two steps by `fit`."""
    with scope():
        model, losses = heads(kinds)
        model.compile(keras.optimizers.SGD(0.1), losses, **options)
    x, y, weights = data()
    targets, factors = (dict.fromkeys(losses, one) for one in (y, weights))
    found = model.fit(x, targets, sample_weight=factors, batch_size=BATCH, shuffle=False, verbose=0).history
    values = {kind: found[f"{kind}_loss"][0] for kind in losses}
    return result(model, losses, values) | {"reported": None if kinds is FEW else reported(scope, **options)}


def reported(scope, **options):
    """The loss of an epoch and of an evaluation: Keras averages it over the items if there is one output only."""
    with scope():
        model = linear_encoder()
        model.compile(keras.optimizers.SGD(0.1), kbs.WeightedSupervisedContrastiveLoss(), **options)
    x, y, _ = data()
    found = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
    return [*found, model.evaluate(x, y, batch_size=BATCH, verbose=0)]


def divides_losses():
    """Whether this Keras divides any loss by the number of replicas whose gradients it adds; Keras 3.7 does not."""
    return BACKEND != "tensorflow" or tuple(map(int, keras.__version__.split(".")[:2])) != (3, 7)


def looped(rank, count):
    """The two steps in a loop of PyTorch."""
    torch = importlib.import_module("torch")
    model, losses = heads(FEW if count == 4 else LOSSES)
    module = torch.nn.parallel.DistributedDataParallel(model) if count > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    totals = dict.fromkeys(losses, 0.0)
    ends = np.cumsum([0] + [BATCH // count] * count), BATCH + np.cumsum([0, *PARTS[count]])
    for bounds in ends:
        part = slice(bounds[rank], bounds[rank + 1])
        x, y, weights = (torch.tensor(one[part]) for one in data())
        outputs = module(x)
        values = {kind: loss(y, outputs[kind], weights) for kind, loss in losses.items()}
        optimizer.zero_grad()
        sum(values.values()).backward()
        optimizer.step()
        for kind, loss in losses.items():
            totals[kind] += values[kind].item() * (1 if loss.reduction == "sum" else len(x) / (BATCH + LAST))
    return result(model, losses, totals)


def run_alone():
    """The two steps on one device."""
    return looped(0, 1) if BACKEND == "torch" else fitted(contextlib.nullcontext, run_eagerly=BACKEND != "jax")


def tensorflow_runs(counts):
    """One strategy: TensorFlow refuses two of different sizes in one process."""
    (count,) = counts
    tf = importlib.import_module("tensorflow")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(count)])
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # which takes long
    return {count: fitted(strategy.scope, FEW if count == 4 else LOSSES)}


def jax_runs(counts):
    devices = importlib.import_module("jax").devices("cpu")
    scopes = {n: keras.distribution.DataParallel(devices=devices[:n]).scope for n in counts}
    return {n: fitted(scope, FEW if n == 4 else LOSSES) for n, scope in scopes.items()}


def torch_runs(counts):
    """Fork the ranks before PyTorch starts threads."""
    folder, fork = Path(tempfile.mkdtemp()), multiprocessing.get_context("fork")
    ranks = [fork.Process(target=torch_rank, args=(folder, rank, n)) for n in counts for rank in range(n)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert not any(rank.exitcode for rank in ranks)
    return {n: [json.loads((folder / f"{n}_{rank}").read_text()) for rank in range(n)] for n in counts}


def torch_rank(folder, rank, count):
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    with process_group(folder / f"steps_{count}", rank, count, seconds=60):
        found = looped(rank, count)
        if count == 2:
            found["evaluated"] = evaluated_by_one() if rank == 0 else None
            found["lengths"] = message(ValueError, 3 + rank)
    if count == 4:
        with process_group(folder / "absent", rank, count, seconds=2):
            found["absent"] = None if rank == 2 else message(RuntimeError, 3)
            (folder / f"waited_{rank}").touch()
            while not all((folder / f"waited_{k}").exists() for k in range(count)):
                time.sleep(0.05)
    (folder / f"{count}_{rank}").write_text(json.dumps(found))


@contextlib.contextmanager
def process_group(file, rank, count, seconds):
    distributed = importlib.import_module("torch.distributed")
    options = {"init_method": f"file://{file}", "rank": rank, "world_size": count}
    distributed.init_process_group("gloo", timeout=timedelta(seconds=seconds), **options)
    yield
    distributed.destroy_process_group()


def evaluated_by_one():
    """What a rank that evaluates alone finds for the first batch."""
    x, y, _ = data()
    model, losses = heads(FEW)
    with importlib.import_module("torch").no_grad():
        outputs = model(x[:BATCH])
        return {kind: float(loss(y[:BATCH], outputs[kind])) for kind, loss in losses.items()}


def message(error, width):
    """The message of the error that a loss of embeddings of a length raises."""
    x = importlib.import_module("torch").ones((4, width), requires_grad=True)
    try:
        kbs.WeightedTripletLoss()(np.array([0, 0, 1, 1]), x)
    except error as caught:
        return str(caught)
    return None


def worker_run():
    """The two steps in one of several processes."""
    tf = importlib.import_module("tensorflow")
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return fitted(strategy.scope, FEW)


RUNS = {"tensorflow": tensorflow_runs, "jax": jax_runs, "torch": torch_runs}
# read when the backend starts; NPROC: threads of XLA (with one for each core, devices can wait for each other for ever)
VARIABLES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "NPROC": "16"}

if __name__ == "__main__":
    counts = sys.argv[1:]
    found = worker_run() if counts == ["worker"] else RUNS[BACKEND](list(map(int, counts)))
    print(json.dumps(found))  # noqa: T201
