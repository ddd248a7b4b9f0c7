"""Pairs per second: against a bare gather of the same rows, against rivals, in `fit`, and with many labels.

Run with `python benchmarks/pairs_per_second.py`, or with `--only gather rivals fit labels`. The rivals need torch,
pytorch-metric-learning and imbalanced-learn; one that is not installed is left out, and said so. Contenders take
turns, every other round in the opposite order, and the best round of each counts. In `fit` the difference is small
beside the noise: there are 30 rounds, and "more" is the median of their ratios, less 1. `--json FILE` writes the
figures too.
"""

import argparse
import importlib
import json
import random
import resource
import subprocess
import sys
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs

PARTS = ("gather", "rivals", "fit", "labels")


def timed(rounds, contenders):
    """The seconds of each round of each; they take turns, every other round in the opposite order."""
    seconds = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def best_of(rounds, contenders, units):
    """Microseconds per unit, the best round of each."""
    return {name: 1e6 * min(seconds) / units for name, seconds in timed(rounds, contenders).items()}


def gather(x, y, batch_size, steps, rounds, **kwargs):
    """Our batches, the drawing of each epoch included, against the rows alone."""
    pairs = kbs.BalancedPairSequence(x, y, batch_size, steps_per_epoch=steps, seed=0, **kwargs)
    drawn = [pairs.indices(k)[:2] for k in range(steps)]
    flat = [np.concatenate(sides) for sides in drawn]
    out = np.empty((2 * batch_size, *x.shape[1:]), x.dtype)

    def ours():
        pairs.set_epoch(pairs.epoch + 1)
        for k in range(steps):
            pairs[k]

    def bare():
        for left, right in drawn:
            x[left], x[right]

    def preallocated():
        for both in flat:
            np.take(x, both, axis=0, out=out, mode="clip")

    found = best_of(rounds, {"ours": ours, "bare": bare, "preallocated take": preallocated}, steps)
    found["against bare"] = found["bare"] / found["ours"]
    found["against preallocated"] = found["preallocated take"] / found["ours"]
    return found


def all_gathers(rounds):
    """The two sizes that the targets speak of."""
    rng = np.random.default_rng(0)
    small, large = rng.random((60_000, 28, 28), np.float32), rng.integers(0, 255, (4000, 224, 224, 3), np.uint8)
    y, z = rng.integers(0, 10, 60_000), rng.integers(0, 10, 4000)
    weights = {c: 1.0 + c for c in range(10)}
    return {
        "28 x 28 float32, 64 pairs": gather(small, y, 64, 900, rounds),
        "the same, class weights": gather(small, y, 64, 900, rounds, class_weight=weights),
        "224 x 224 x 3 uint8, 64 pairs": gather(large, z, 64, 62, rounds),
        "224 x 224 x 3 uint8, 16 pairs": gather(large, z, 16, 250, rounds),
    }


def make_pairs(x, y):
    """Pairs as in the Keras example on Siamese networks with a contrastive loss: one of each kind for every sample."""
    classes = [np.flatnonzero(y == c) for c in range(y.max() + 1)]
    pairs, labels = [], []
    for i in range(len(x)):
        j = random.choice(classes[y[i]])
        pairs.append([x[i], x[j]])
        labels.append(1)
        other = random.randint(0, y.max())
        while other == y[i]:
            other = random.randint(0, y.max())
        pairs.append([x[i], x[random.choice(classes[other])]])
        labels.append(0)
    return np.array(pairs), np.array(labels)


def all_rivals(rounds, batch=64):
    """Microseconds for one image delivered: half a pair for us, one of a batch of 128 for those without pairs."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), np.geomspace(5000, 50, 10).astype(int))
    x = rng.random((len(y), 28, 28), np.float32)
    pairs = kbs.BalancedPairSequence(x, y, batch, seed=0)
    images = 2 * batch * (len(y) // batch)

    def ours():
        pairs.set_epoch(pairs.epoch + 1)
        for k in range(len(y) // batch):
            pairs[k]

    def example():
        make_pairs(x[::8], y[::8])

    contenders, missing = {"ours": (ours, images), "make_pairs loop": (example, 4 * len(y[::8]))}, []
    try:
        from imblearn.keras import BalancedBatchGenerator

        flat = x.reshape(len(x), -1)  # it refuses images
        generator = BalancedBatchGenerator(flat, y, batch_size=2 * batch, random_state=0)

        def imbalanced():
            for _ in range(50):
                for k in range(len(generator)):
                    generator[k]

        contenders["imbalanced-learn"] = imbalanced, 50 * len(generator) * 2 * batch
    except ImportError as error:
        missing.append(f"imbalanced-learn ({error})")
    try:
        torch = importlib.import_module("torch")
        samplers = importlib.import_module("pytorch_metric_learning.samplers")
        sampler = samplers.MPerClassSampler(y, 8, 2 * 40, images // 80 * 80)
        data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        loader = torch.utils.data.DataLoader(data, batch_size=80, sampler=sampler)

        def metric_learning():
            for _ in loader:
                pass

        contenders["MPerClassSampler + DataLoader"] = metric_learning, images // 80 * 80
    except ImportError as error:
        missing.append(f"pytorch-metric-learning ({error})")
    runs = {name: run for name, (run, _) in contenders.items()}
    found = best_of(rounds, runs, 1)
    found = {name: found[name] / number for name, (_, number) in contenders.items()}
    for name in missing:
        print("not installed:", name)
    return {
        "microseconds an image": found,
        "times ours": {name: value / found["ours"] for name, value in found.items()},
    }


def in_fit(rounds, batch=64, steps=100):
    """Milliseconds of a step of `fit`, fed by us and fed with the same batches prepared in memory."""
    rng = np.random.default_rng(0)
    x, y = rng.random((6400, 28, 28, 1), np.float32), rng.integers(0, 10, 6400)
    pairs = kbs.BalancedPairSequence(x, y, batch, steps_per_epoch=steps, seed=0)

    class Prepared(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.batches = [pairs[k] for k in range(steps)]

        def __len__(self):
            return steps

        def __getitem__(self, index):
            return self.batches[index]

    layers = [keras.Input((28, 28, 1))]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 3, activation="relu"), keras.layers.MaxPooling2D()]
    encoder = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(32)])
    model = kbs.siamese_model(encoder)
    model.compile("adam", kbs.WeightedContrastiveLoss())
    prepared = Prepared()
    runs = {"ours": lambda: model.fit(pairs, verbose=0), "prepared": lambda: model.fit(prepared, verbose=0)}
    for run in runs.values():
        run()
    ms = {name: 1000 * np.array(seconds) / steps for name, seconds in timed(rounds, runs).items()}
    found = {}
    for name, values in ms.items():
        found |= {f"{name}, best": float(values.min()), f"{name}, median": float(np.median(values))}
    found["more"] = float(np.median(ms["ours"] / ms["prepared"])) - 1
    found["more, best of each"] = found["ours, best"] / found["prepared, best"] - 1
    return {f"{keras.backend.backend()}, ms a step": found}


def labels_alone(n, n_classes, steps):
    """One construction and the first batches, in this process: seconds, and memory beyond the labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n)
    x = np.broadcast_to(np.float32(0), (n, 1))  # no memory of its own
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    pairs = kbs.BalancedPairSequence(x, y, 64, steps_per_epoch=steps, seed=0)
    built = time.perf_counter()
    built_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pairs[0]
    first = time.perf_counter()
    for k in range(min(len(pairs), 1000)):
        pairs[k]
    rest = time.perf_counter()
    pairs.set_epoch(1)
    pairs[0]
    second = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "construction s": built - start,
        "bytes a sample": 1024 * (built_peak - before) / n,
        "first batch s": first - built,
        "us a batch": 1e6 * (rest - first) / min(len(pairs), 1000),
        "next epoch s": second - rest,
        "bytes a sample in all": 1024 * (peak - before) / n,
        "GB in all": peak / 1e6,
    }


def all_labels():
    """Each size in a process of its own, so that its peak memory can be read."""
    found = {}
    for title, *arguments in [
        ("10 million labels, 100,000 classes, epoch of 1,000 batches", 10_000_000, 100_000, 1000),
        ("10 million labels, 100,000 classes, whole epoch", 10_000_000, 100_000, 0),
        ("100 million labels, 100,000 classes, epoch of 10,000 batches", 100_000_000, 100_000, 10_000),
    ]:
        command = [sys.executable, __file__, "--labels-alone", *map(str, arguments)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        found[title] = json.loads(answer.stdout.splitlines()[-1])
    return found


def show(found):
    """One line for each case."""
    for title, row in found.items():
        print(title)
        print("   ", ", ".join(f"{name} {value:.3g}" for name, value in row.items()), flush=True)
    print()


def main():
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, help="7 by default, 30 in fit; 5 of the rivals at most")
    parser.add_argument("--json")
    parser.add_argument("--labels-alone", nargs=3, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.labels_alone:
        n, n_classes, steps = given.labels_alone
        print(json.dumps(labels_alone(n, n_classes, steps or None)))
        return
    rounds = given.rounds or 7
    runs = {
        "gather": ("microseconds a batch", lambda: all_gathers(rounds)),
        "rivals": ("rivals", lambda: all_rivals(min(rounds, 5))),
        "fit": ("in fit", lambda: in_fit(given.rounds or 30)),
        "labels": ("labels", all_labels),
    }
    figures = {}
    for part in given.only:
        title, run = runs[part]
        print(f"--- {title}")
        figures[part] = run()
        show(figures[part])
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()
