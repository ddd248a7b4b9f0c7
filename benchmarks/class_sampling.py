"""Comparison of `class_sampling` on long-tailed Fashion-MNIST: error rate and AUC, plain random pairs included.

Run with `python benchmarks/class_sampling.py --data fashion_mnist.npz`. The file holds `x` (n, 28, 28) and `y` (n,),
such as `keras.datasets.fashion_mnist` returns. `--json FILE` writes the figures too, after each run.

- Training: 4,000 images of the most common class down to 40 of the rarest; each seed draws which class is which, the
  images, the initial weights and the pairs. For one seed all arms have the same images and initial weights.
- Test: 1,000 other images of each class. As many similar pairs of each class, and as many different pairs of any two
  classes, the same pairs for all arms and seeds.
- Encoder, optimizer (Adam, 0.001), margin (1), budget (500 steps of 128 pairs) and all else were fixed before any
  result was seen, and nothing was tuned. The test pairs choose nothing: figures are those after the last step.

The AUC of a class is that of its similar pairs against the different pairs with it on either side.

All arms have `max_repeats=3`, the default when the table in the docs was measured, except "uncapped", which is
"balanced" without a limit; "oversample" is "balanced" with `resampling="oversample"`. Here both draw the very pairs
of "balanced": even 40 images form 780 pairs, of which an epoch draws 320, and the shares of the classes are equal
already. Their rows differ from it only if the arithmetic of the backend does from run to run.
"""

import argparse
import json
import sys
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs

PAIRS = 128  # in a batch
EPOCH = 50  # steps
TEST_IMAGES = 1000  # of each class
ARMS = {
    "natural": {"class_sampling": "natural"},
    "sqrt": {"class_sampling": "sqrt"},
    "balanced": {"class_sampling": "balanced"},
    "progressive": {"class_sampling": "progressive"},
    "plain": None,  # any two samples
    "mining": {"class_sampling": "balanced"},  # with HardPairMining
    "uncapped": {"class_sampling": "balanced", "max_repeats": None},
    "undersample": {"class_sampling": "balanced", "resampling": "undersample"},
    "oversample": {"class_sampling": "balanced", "resampling": "oversample"},
}
FIGURES = {"eer": "equal error rate", "macro_auc": "AUC, mean of the classes", "tail_auc": "AUC, four rarest classes"}


class PlainPairs(keras.utils.PyDataset):
    """What one writes without the package: any two samples, half of the pairs similar."""

    def __init__(self, x, y, steps, seed):
        super().__init__()
        self.x, self.y, self.steps, self.seed = x, y, steps, seed

    def __len__(self):
        return self.steps

    def indices(self, index):
        """The samples of a batch and whether they are similar: any similar pair and any different pair is as likely."""
        rng = np.random.default_rng([self.seed, index])
        pairs = rng.integers(len(self.y), size=(40 * PAIRS, 2))
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        similar = self.y[pairs[:, 0]] == self.y[pairs[:, 1]]
        half = PAIRS // 2
        chosen = np.concatenate([np.flatnonzero(similar)[:half], np.flatnonzero(~similar)[:half]])
        assert len(chosen) == PAIRS
        return pairs[chosen, 0], pairs[chosen, 1], similar[chosen].astype("float32")

    def __getitem__(self, index):
        left, right, similar = self.indices(index)
        return (self.x[left], self.x[right]), similar[:, None]


def held_out(y):
    """The test images and pairs of them: positions (m, 2) and whether they are similar."""
    rng = np.random.default_rng(2024)
    images = [rng.permutation(np.flatnonzero(y == label))[:TEST_IMAGES] for label in range(10)]
    pairs = [rng.choice(own, 2, replace=False) for own in images for _ in range(900)]
    n_similar = len(pairs)
    for a in range(10):
        for b in range(a):
            pairs += zip(rng.choice(images[a], 200), rng.choice(images[b], 200), strict=True)
    return np.concatenate(images), np.array(pairs), np.arange(len(pairs)) < n_similar


def long_tail(y, free, sizes, seed):
    """Training images, and how many each class has."""
    rng = np.random.default_rng(seed)
    sizes = sizes[rng.permutation(10)]
    own = [rng.permutation(free[y[free] == label])[:size] for label, size in enumerate(sizes)]
    return np.concatenate(own), sizes


def make_encoder():
    """Two convolutions and one dense layer."""
    layers = [keras.Input((28, 28, 1))]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D()]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(32)], name="encoder")


def train(arm, x, y, steps, seed):
    """An encoder after `steps` batches of pairs."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    encoder = make_encoder()
    model = kbs.siamese_model(encoder)
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss=kbs.WeightedContrastiveLoss(margin=1.0))
    if ARMS[arm] is None:
        model.fit(PlainPairs(x, y, steps, seed), verbose=0)
        return encoder
    epoch = min(EPOCH, steps)
    options = {**ARMS[arm], "epochs": steps // epoch if arm == "progressive" else None}
    pairs = kbs.BalancedPairSequence(
        x, y, batch_size=PAIRS, steps_per_epoch=epoch, seed=seed, **{"max_repeats": 3, **options}
    )
    callbacks = [kbs.HardPairMining(pairs)] if arm == "mining" else []
    model.fit(pairs, epochs=steps // epoch, verbose=0, callbacks=callbacks)
    return encoder


def judge(encoder, x, y, pairs, similar, sizes):
    """The figures of the test pairs."""
    used, place = np.unique(pairs, return_inverse=True)
    points = encoder.predict(x[used], batch_size=1000, verbose=0)
    left, right = points[place.reshape(-1, 2)].swapaxes(0, 1)
    distances = np.linalg.norm(left - right, axis=1)
    report = kbs.evaluate_pairs(distances, similar, classes=y[pairs], n_resamples=0)
    tail = [report.per_class[label]["roc_auc"] for label in np.argsort(sizes)[:4].tolist()]
    return {"eer": report.eer, "macro_auc": report.macro["roc_auc"], "tail_auc": float(np.mean(tail))}


def spread(values):
    """Mean +- standard deviation (of a sample), and each value."""
    sd = f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else "?"
    return f"{np.mean(values):7.3f} +- {sd}  (" + " ".join(f"{value:6.3f}" for value in values) + ")"


def tables(runs):
    """One table for each figure: of each arm, and less that of natural classes for the same seed."""
    for figure, title in FIGURES.items():
        print(f"\n{title}\n{'':12} mean +- sd over seeds, each seed; less natural, the same")
        for arm, by_seed in runs.items():
            values = [one[figure] for one in by_seed]
            line = f"{arm:12}{spread(values)}"
            if arm != "natural" and "natural" in runs:
                natural = [one[figure] for one in runs["natural"]]
                line += "   " + spread([a - b for a, b in zip(values, natural, strict=True)])
            print(line)


def main():
    """Train each arm for each seed and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500, help=f"up to {EPOCH}, or a multiple of it")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if arguments.steps > EPOCH and arguments.steps % EPOCH:
        parser.error(f"--steps must be up to {EPOCH}, or a multiple of it. Received: {arguments.steps}")
    with np.load(arguments.data) as file:
        x, y = file["x"].astype("float32")[..., None] / 255, file["y"].astype(int)
    images, pairs, similar = held_out(y)
    free = np.setdiff1d(np.arange(len(y)), images)
    sizes = np.geomspace(4000, 40, 10).round().astype(int)
    print(f"{sizes.tolist()} images, {arguments.steps} steps of {PAIRS} pairs, {len(similar)} test pairs", flush=True)
    runs = {}
    for arm in arguments.arms:
        for seed in range(arguments.seeds):
            start = time.perf_counter()
            chosen, counts = long_tail(y, free, sizes, seed)
            encoder = train(arm, x[chosen], y[chosen], arguments.steps, seed)
            runs.setdefault(arm, []).append(judge(encoder, x, y, pairs, similar, counts))
            print(f"{arm}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
            if arguments.json:
                with open(arguments.json, "w") as file:
                    json.dump({"steps": arguments.steps, "pairs": PAIRS, "sizes": sizes.tolist(), "runs": runs}, file)
    tables(runs)


if __name__ == "__main__":
    main()
