"""Time of a loss, forward and backward, against a minimal loss written by hand, pytorch-metric-learning and TFA.

Run with `KERAS_BACKEND=... python benchmarks/loss_step.py`. In one run the contenders of a row take turns, every other
round in the opposite order, and the best round of each counts. Compiled: XLA on JAX and TensorFlow; PyTorch is eager,
as Keras runs it unless told otherwise. `--memory` gives the peak memory of the batch losses instead, each in a process
of its own. `--json FILE` writes the figures too.

- "by hand" is the formula without checks or care: no guard against NaN, the expansion for distances, no anchor left
  out, and no class weights but for the pair losses. Ours has class weights, and the digits of a difference.
- The rivals are used if they are installed: pytorch-metric-learning with PyTorch, tensorflow-addons with TensorFlow.
  Those that enumerate triplets are left out where the batch has too many of them for 20 GB.

The batches hold 32 classes, embeddings have 128 dimensions.
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops

SIZES = (256, 1024, 4096)
CLASSES = 32
WEIGHTS = {c: 0.5 + c / (CLASSES - 1) for c in range(CLASSES)}
BATCH_LOSSES = {
    "contrastive": kbs.WeightedBatchContrastiveLoss,
    "triplet, semi-hard": kbs.WeightedTripletLoss,
    "triplet, hard": lambda **k: kbs.WeightedTripletLoss(mining="hard", **k),
    "triplet, all": lambda **k: kbs.WeightedTripletLoss(mining="all", **k),
    "supervised contrastive": kbs.WeightedSupervisedContrastiveLoss,
    "multi-similarity": kbs.WeightedMultiSimilarityLoss,
}


class ByHand(keras.losses.Loss):
    """A pair loss as one writes it: two constant weights, no checks."""

    def __init__(self, name):
        super().__init__()
        self.formula = {
            "contrastive": lambda s, d: s * ops.square(d) + (1.0 - s) * ops.square(ops.maximum(1.0 - d, 0.0)),
            "cosine": lambda s, d: s * d + (1.0 - s) * ops.maximum(1.0 - d, 0.0),
            "cross-entropy": lambda s, p: -s * ops.log(p) - (1.0 - s) * ops.log(1.0 - p),
        }[name]

    def call(self, y_true, y_pred):
        s, d = y_true[:, 0], y_pred[:, 0]
        return (2.0 * s + 0.5 * (1.0 - s)) * self.formula(s, d)


def by_hand(name):
    """The batch losses in a few lines each; `None` for those that take more."""

    def masks(labels):
        same = ops.cast(ops.equal(labels[:, None], labels[None, :]), "float32")
        place = ops.arange(ops.shape(labels)[0])
        return same - ops.cast(ops.equal(place[:, None], place[None, :]), "float32"), 1.0 - same

    def distances(x):
        size = ops.sum(ops.square(x), axis=1)
        return ops.sqrt(ops.maximum(size[:, None] + size[None, :] - 2.0 * (x @ ops.transpose(x)), 1e-12))

    def cosines(x):
        x = x / ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True))
        return x @ ops.transpose(x)

    def contrastive(labels, x):
        positive, negative = masks(labels)
        d = distances(x)
        pull = ops.sum(positive * ops.square(d)) / ops.sum(positive)
        return 0.5 * (pull + ops.sum(negative * ops.square(ops.maximum(1.0 - d, 0.0))) / ops.sum(negative))

    def hard(labels, x):
        positive, negative = masks(labels)
        d = distances(x)
        nearest = ops.min(d + 1e9 * (1.0 - negative), axis=1)
        return ops.mean(ops.maximum(ops.max(d * positive, axis=1) - nearest + 1.0, 0.0))

    def supervised(labels, x):
        positive, negative = masks(labels)
        s = cosines(x) / 0.1
        total = ops.logsumexp(s - 1e9 * (1.0 - positive - negative), axis=1)
        return ops.mean(total - ops.sum(positive * s, axis=1) / ops.sum(positive, axis=1))

    def similarity(labels, x):
        positive, negative = masks(labels)
        s = cosines(x)
        nearest = ops.max(s - 1e9 * (1.0 - negative), axis=1, keepdims=True)
        farthest = ops.min(s + 1e9 * (1.0 - positive), axis=1, keepdims=True)
        positive = positive * ops.cast(s < nearest + 0.1, "float32")
        negative = negative * ops.cast(s > farthest - 0.1, "float32")
        pull = ops.log(1.0 + ops.sum(positive * ops.exp(-2.0 * (s - 0.5)), axis=1)) / 2.0
        return ops.mean(pull + ops.log(1.0 + ops.sum(negative * ops.exp(50.0 * (s - 0.5)), axis=1)) / 50.0)

    known = {"contrastive": contrastive, "triplet, hard": hard, "supervised contrastive": supervised}
    return {**known, "multi-similarity": similarity}.get(name)


def rivals(name, size):
    """What another package has for it."""
    found = {}
    backend = keras.backend.backend()
    if backend == "torch" and importlib.util.find_spec("pytorch_metric_learning"):
        losses = importlib.import_module("pytorch_metric_learning.losses")
        miners = importlib.import_module("pytorch_metric_learning.miners")
        euclidean = importlib.import_module("pytorch_metric_learning.distances").LpDistance(normalize_embeddings=False)
        triplet, triplets = losses.TripletMarginLoss(1.0, distance=euclidean), size**3 // CLASSES
        theirs = {
            "contrastive": losses.ContrastiveLoss(0.0, 1.0, distance=euclidean),
            "triplet, hard": mined(triplet, miners.BatchHardMiner(distance=euclidean)),
            "supervised contrastive": losses.SupConLoss(0.1),
            "multi-similarity": mined(losses.MultiSimilarityLoss(2, 50, 0.5), miners.MultiSimilarityMiner(0.1)),
        }
        if triplets < 5e7:
            semi_hard = miners.TripletMarginMiner(1.0, "semihard", distance=euclidean)
            theirs |= {"triplet, semi-hard": mined(triplet, semi_hard), "triplet, all": lambda y, x: triplet(x, y)}
        if name in theirs:
            loss = theirs[name]
            found["pytorch-metric-learning"] = loss if name.startswith("triplet") else lambda y, x: loss(x, y)
        if name == "multi-similarity":
            found["pytorch-metric-learning"] = loss
    if importlib.util.find_spec("tensorflow_addons") and size**3 < 2e9:
        addons = importlib.import_module("tensorflow_addons").losses
        theirs = {"triplet, semi-hard": addons.TripletSemiHardLoss(), "triplet, hard": addons.TripletHardLoss()}
        if name in theirs:
            found["tensorflow-addons"] = theirs[name]
    return found


def mined(loss, miner):
    """A loss of pytorch-metric-learning on what a miner finds, called as a Keras loss."""
    return lambda y, x: loss(x, y, miner(x, y))


def step(function, y, x):
    """A call that does one forward and backward pass."""
    backend = keras.backend.backend()
    module = importlib.import_module(backend)
    if backend == "jax":
        both = module.jit(module.value_and_grad(lambda x, y: function(y, x)))
        x, y = module.numpy.asarray(x), module.numpy.asarray(y)
        return lambda: module.block_until_ready(both(x, y))
    if backend == "torch":
        x, y = module.tensor(x), module.tensor(y)

        def eager():
            leaf = x.detach().requires_grad_()
            function(y, leaf).backward()

        return eager
    x, y = module.constant(x), module.constant(y)

    def graph(x, y):
        with module.GradientTape() as tape:
            tape.watch(x)
            value = function(y, x)
        return value, tape.gradient(value, x)

    compiled = module.function(graph, jit_compile=hasattr(keras, "ops"))  # as Keras does, each of the two
    return lambda: [one.numpy() for one in compiled(x, y)]


def compare(contenders, seconds=2.0):
    """Milliseconds of the best round of each."""
    for run in contenders.values():
        run()
    start = time.perf_counter()
    for run in contenders.values():
        run()
    rounds = int(np.clip(seconds / (time.perf_counter() - start), 3, 300))
    best = dict.fromkeys(contenders, float("inf"))
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            for _ in range(repeats := 1 if best[name] > 2e-3 else 5):
                contenders[name]()
            best[name] = min(best[name], (time.perf_counter() - start) / repeats)
    return {name: 1000 * value for name, value in best.items()}


def show(title, found):
    """One line a row: milliseconds, and ours against each other one."""
    others = ", ".join(f"{k} {v:.3g} (ours {found['ours'] / v:.2f} times)" for k, v in found.items() if k != "ours")
    print(f"{title:36} ours {found['ours']:.3g} ms; {others}", flush=True)


def data(size):
    """Labels and embeddings of a batch."""
    rng = np.random.default_rng(0)
    y = np.arange(size) % CLASSES
    return y.astype("float32"), (rng.normal(size=(size, 128)) * 0.1 + rng.normal(size=(CLASSES, 128))[y] * 0.05).astype(
        "float32"
    )


def all_pairs():
    """The losses on pairs."""
    rng = np.random.default_rng(0)
    found = {}
    weights = {0: 0.5, 1: 2.0}
    ours = {
        "contrastive": kbs.WeightedContrastiveLoss(class_weight=weights),
        "cosine": kbs.WeightedCosineLoss(class_weight=weights),
        "cross-entropy": kbs.WeightedBinaryCrossentropy(weights),
    }
    for name, loss in ours.items():
        for size in (256, 65536):
            y, x = rng.integers(0, 2, (size, 1)).astype("float32"), rng.uniform(0.05, 0.95, (size, 1)).astype("float32")
            runs = {"ours": step(loss, y, x), "by hand": step(ByHand(name), y, x)}
            title = f"{name}, {size} pairs"
            found[title] = compare(runs)
            show(title, found[title])
    return found


def all_batches(sizes, names):
    """The losses on batches."""
    found = {}
    for size in sizes:
        y, x = data(size)
        for name in names:
            runs = {"ours": step(BATCH_LOSSES[name](class_weight=WEIGHTS), y, x)}
            runs["ours, no weights"] = step(BATCH_LOSSES[name](), y, x)
            if (hand := by_hand(name)) is not None:
                runs["by hand"] = step(hand, y, x)
            runs |= {rival: step(theirs, y, x) for rival, theirs in rivals(name, size).items()}
            title = f"{name}, {size}"
            found[title] = compare(runs)
            show(title, found[title])
    return found


def memory(name, size):
    """Peak memory in MB of a step, beyond that of a step of 32 items."""
    loss = BATCH_LOSSES[name](class_weight=WEIGHTS)
    y, x = data(32)
    step(loss, y, x)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    y, x = data(size)
    step(loss, y, x)()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000


def all_memory(sizes, names):
    """Each in a process of its own."""
    found = {}
    for size in sizes:
        for name in names:
            command = [sys.executable, __file__, "--memory-of", name, str(size)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            mb = float(answer.stdout.splitlines()[-1])
            found[f"{name}, {size}"] = {"MB": mb, "bytes a pair": 1e6 * mb / size**2}
            print(f"{name}, {size}: {mb:.0f} MB, {1e6 * mb / size**2:.0f} bytes a pair", flush=True)
    return found


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--losses", nargs="+", choices=list(BATCH_LOSSES), default=list(BATCH_LOSSES))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_of:
        print(memory(given.memory_of[0], int(given.memory_of[1])))
        return
    print(keras.backend.backend(), "and Keras", keras.__version__)
    found = (
        all_memory(given.sizes, given.losses)
        if given.memory
        else {**all_pairs(), **all_batches(given.sizes, given.losses)}
    )
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
