"""Does `AdaptiveClassWeight` help, and does it ever hurt? Paired runs with it and without it, five data sets.

Run with `python benchmarks/adaptive.py --data fashion_mnist.npz --json FILE`, which goes on from what the file holds
already. The file of the data holds `x` (n, 28, 28) and `y` (n,), such as `keras.datasets.fashion_mnist` returns; the
digits are those of scikit-learn.

Data sets (three orders of the classes, which seed % 3 chooses; a seed draws images, weights and batches):

- fashion 100, fashion 10: Fashion-MNIST, from 4,000 images of the commonest class down to 40 or 400.
- digits 64, digits 10: 128 images of the commonest class down to 2 or 13 (there are no more than 174 of each).
- hard: Fashion-MNIST, 400 images of each class, in one of which a fifth has the labels of other classes.
- noisy tail: fashion 100, and a tenth of the images of the second rarest class is of other classes.

Batches:

- in-batch: `WeightedBatchContrastiveLoss` on natural batches. The errors are the losses of the training.
- in-batch, validation: the same with the errors on the validation images.
- pairs: `BalancedPairSequence(class_sampling="natural")`, errors on the validation images.
- balanced: the same with its default class sampling.

Each trains from weights of 1, and from static ones, `class_weights(y)`; without and with the callback. The validation
images, 25 of each class (10 of the digits), are given to no arm for training and choose nothing. Figures are those of
the test images after the last step: equal error rate, AUC of the classes (mean, worst, four rarest), worst error of a
class at the threshold of all, recall@1 of the four rarest.
"""

import argparse
import itertools
import json
import pathlib
import sys
import time

import keras
import numpy as np
from scipy import stats
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

STEPS = 500  # about, as epochs are whole
FIGURES = ("eer", "macro_auc", "worst_auc", "tail_auc", "worst_error", "tail_recall")
UP = {"eer": -1, "macro_auc": 1, "worst_auc": 1, "tail_auc": 1, "worst_error": -1, "tail_recall": 1}
SETS = {  # images of the commonest and the rarest class, items in a batch, test and validation images of each class
    "fashion 100": (4000, 40, 256, 500, 25),
    "fashion 10": (4000, 400, 256, 500, 25),
    "digits 64": (128, 2, 64, 36, 10),
    "digits 10": (128, 13, 64, 36, 10),
    "hard": (400, 400, 256, 500, 25),
    "noisy tail": (4000, 40, 256, 500, 25),
}
BATCHES = ("in-batch", "in-batch, validation", "pairs", "balanced")
STARTS = ("1", "static")
STRATEGIES = {
    "none": None,
    "default": {},
    "cdb": {"strategy": "cdb", "tau": "dynamic"},
    "group_dro": {"strategy": "group_dro", "tau": 0.1},
    "deferred": {"strategy": "deferred", "bounds": (0.01, 100.0), "max_step": None},
    "sampling": {"adapt": "sampling"},  # of the default strategy
}


class Data:
    """Images for training, validation and test, the same for all arms of a seed."""

    def __init__(self, name, path, seed):
        common, rare, self.batch_size, n_test, n_val = SETS[name]
        if name.startswith("digits"):
            digits = load_digits()
            x, y = digits.images / 16, digits.target
        else:
            with np.load(path) as file:
                x, y = file["x"] / 255, file["y"].astype(int)
        self.x = x[..., None].astype("float32")
        rng = np.random.default_rng(seed)
        self.sizes = np.geomspace(common, rare, 10).round().astype(int)
        self.sizes = self.sizes[np.random.default_rng(seed % 3).permutation(10)]
        own = [np.random.default_rng(2024).permutation(np.flatnonzero(y == label)) for label in range(10)]
        self.test = np.concatenate([one[:n_test] for one in own])
        free = [rng.permutation(one[n_test:]) for one in own]
        self.val = np.concatenate([one[:n_val] for one in free])
        self.train = np.concatenate([one[n_val : n_val + size] for one, size in zip(free, self.sizes, strict=True)])
        self.y, self.given = y, y.copy()  # true labels, and those that training sees
        if name in ("hard", "noisy tail"):
            noisy = seed % 10 if name == "hard" else np.argsort(self.sizes)[1]
            mine, others = self.train[y[self.train] == noisy], self.train[y[self.train] != noisy]
            n = round(len(mine) * (0.2 if name == "hard" else 0.1))
            other = rng.choice(others, n, replace=False)
            if name == "hard":
                self.given[mine[:n]] = y[other]
            else:
                self.given[other] = noisy


def make_encoder(shape):
    """Two convolutions and one dense layer."""
    layers = [keras.Input(shape)]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D()]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(32)], name="encoder")


def train(data, batches, start, options, seed):
    """An encoder, and the factors that the callback ended with."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    encoder = make_encoder(data.x.shape[1:])
    x, y = data.x[data.train], data.given[data.train]
    weights = kbs.class_weights(y) if start == "static" else dict.fromkeys(range(10), 1.0)
    weights = {int(label): weight for label, weight in weights.items()}
    validation = (data.x[data.val], data.given[data.val])
    optimizer = keras.optimizers.Adam(0.001)
    callbacks, fit = [], {"verbose": 0}
    if batches.startswith("in-batch"):
        encoder.compile(
            optimizer=optimizer, loss=kbs.WeightedBatchContrastiveLoss(normalize="all", class_weight=weights)
        )
        if options is not None:
            extra = {"validation_data": validation} if "validation" in batches else {}
            callbacks = [kbs.AdaptiveClassWeight(**extra, **options)]
        epochs = round(STEPS / -(-len(y) // data.batch_size))
        encoder.fit(x, y, batch_size=data.batch_size, epochs=epochs, callbacks=callbacks, **fit)
    else:
        sampling = "natural" if batches == "pairs" else "balanced"
        # `class_weight` of the balanced arm corrects frequency twice, which is what it is to show
        pairs = kbs.BalancedPairSequence(
            x,
            y,
            data.batch_size // 2,
            steps_per_epoch=40,
            class_sampling=sampling,
            max_repeats=3,  # as when the tables in the docs were measured
            class_weight=weights,
            seed=seed,
        )
        model = kbs.siamese_model(encoder)
        model.compile(optimizer=optimizer, loss=kbs.WeightedContrastiveLoss())
        if options is not None:
            callbacks = [kbs.AdaptiveClassWeight(pairs, validation_data=validation, **options)]
        model.fit(pairs, epochs=STEPS // 40, callbacks=callbacks, **fit)
    return encoder, callbacks[0].history_ if callbacks else None


def judge(encoder, data):
    """The figures of the test images."""
    points = encoder.predict(data.x[data.test], batch_size=1000, verbose=0)
    report = kbs.evaluate_embeddings(points, data.y[data.test], k=(1,), n_resamples=0, max_pairs=200_000)
    rows = [report.per_class[label] for label in range(10)]
    tail = [rows[label] for label in np.argsort(data.sizes)[:4]]
    return {
        "eer": report.eer,
        "macro_auc": report.macro["roc_auc"],
        "worst_auc": min(row["roc_auc"] for row in rows),
        "tail_auc": float(np.mean([row["roc_auc"] for row in tail])),
        "worst_error": max(row["error"] for row in rows),
        "tail_recall": float(np.mean([row["recall@1"] for row in tail])),
    }


def interval(values):
    """Mean and half the width of its 95 % interval (Student's t)."""
    n = len(values)
    return np.mean(values), stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5 if n > 1 else np.nan


def table(runs):
    """For each data set, batches and start: the figures without, and the paired differences with each strategy."""
    for name, batches, start in itertools.product(SETS, BATCHES, STARTS):
        plain = runs.get(f"{name} | {batches} | {start} | none", {})
        if not plain:
            continue
        print(f"\n{name}, {batches}, from {start}; {len(plain)} runs; * better, ! worse than none beyond 95 %")
        print(f"{'':16}" + "".join(f"{figure:>19}" for figure in FIGURES))
        print(f"{'none':16}" + "".join(f"{np.mean([r[f] for r in plain.values()]):19.4f}" for f in FIGURES))
        for key, by_seed in runs.items():
            *arm, strategy = key.split(" | ")
            both = sorted(set(plain) & set(by_seed))
            if arm != [name, batches, start] or strategy == "none" or not both:
                continue
            line = f"{strategy:16}"
            for figure in FIGURES:
                mean, half = interval([by_seed[s][figure] - plain[s][figure] for s in both])
                mark = " " if not abs(mean) > half else "*" if mean * UP[figure] > 0 else "!"
                line += f"{mean:+10.4f} +-{half:.4f}{mark}"
            print(line)


def main():
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--batches", nargs="*", default=list(BATCHES), choices=BATCHES)
    parser.add_argument("--starts", nargs="*", default=list(STARTS), choices=STARTS)
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES), choices=STRATEGIES)
    options = parser.parse_args()
    runs = json.loads(options.json.read_text()) if options.json.exists() else {}
    arms = list(itertools.product(options.sets, options.batches, options.starts, options.strategies))
    for seed, (name, batches, start, strategy) in itertools.product(range(options.seeds), arms):
        done = runs.setdefault(f"{name} | {batches} | {start} | {strategy}", {})
        same = f"{name} | in-batch | {start} | none"
        if str(seed) in done or (strategy == "sampling" and batches.startswith("in-batch")):
            continue
        if batches == "in-batch, validation" and strategy == "none" and str(seed) in runs.get(same, {}):
            done[str(seed)] = runs[same][str(seed)]
            continue
        begin = time.perf_counter()
        data = Data(name, options.data, seed)
        encoder, history = train(data, batches, start, STRATEGIES[strategy], seed)
        done[str(seed)] = judge(encoder, data)
        if history:
            last = history[-1].get("weights") or history[-1]["shares"]
            done[str(seed)]["weights"] = [last[label] for label in np.argsort(-data.sizes).tolist()]
        options.json.write_text(json.dumps(runs, indent=1))
        print(name, batches, start, strategy, seed, f"{time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    table(runs)


if __name__ == "__main__":
    main()
