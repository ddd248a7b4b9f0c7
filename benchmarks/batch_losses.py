"""Comparison of the losses on batches, on long-tailed Fashion-MNIST, in natural and in balanced batches.

Run with `python benchmarks/batch_losses.py --data fashion_mnist.npz`. Data, encoder, optimizer, seeds, test pairs and
figures are those of `benchmarks/class_sampling.py`; the budget is 500 steps of 256 images, the same number of images as
its 500 steps of 128 pairs. `--json FILE` writes the figures too, after each run.

- natural: batches of 256 images in random order, no weights.
- weighted: the same batches; `class_weight` has the inverse of the class counts, `class_weights(y)`.
- square root: the same with the square roots of these weights, so that a pair has the weight sqrt(w_a w_b).
- balanced: batches of 8 classes with 32 images each from `BalancedBatchSequence`, no weights.

The losses have their default arguments, except that a triplet loss has the margin 0.3 with `--unit`, which puts
`UnitNormalization` at the end of the encoder. After a loss on cosines the embeddings are scaled to length 1 for the
test in any case. The test pairs choose nothing: figures are those after the last step.
"""

import argparse
import json
import sys
import time

import keras
import numpy as np
from class_sampling import FIGURES, held_out, judge, long_tail, make_encoder, spread

import keras_balanced_siamese as kbs

IMAGES = 256  # in a batch
EPOCH = 50  # steps
LOSSES = {
    "contrastive": lambda **kwargs: kbs.WeightedBatchContrastiveLoss(normalize="all", **kwargs),
    "triplet, semi-hard": kbs.WeightedTripletLoss,
    "triplet, all": lambda **k: kbs.WeightedTripletLoss(mining="all", **k),
    "triplet, hard, soft": lambda **k: kbs.WeightedTripletLoss("soft", "hard", **k),
    "triplet, hard": lambda **k: kbs.WeightedTripletLoss(mining="hard", **k),
    "supervised contrastive": kbs.WeightedSupervisedContrastiveLoss,
    "multi-similarity": kbs.WeightedMultiSimilarityLoss,
}
ON_COSINES = ("supervised contrastive", "multi-similarity")
BATCHES = ("natural", "weighted", "square root", "balanced")


def train(loss, batches, unit, x, y, steps, seed):
    """An encoder after `steps` batches."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    encoder = make_encoder()
    if unit:
        encoder = keras.Sequential([encoder, keras.layers.UnitNormalization()])
    margin = {"margin": 0.3} if unit and loss in ("triplet, semi-hard", "triplet, all", "triplet, hard") else {}
    weights = None
    if batches in ("weighted", "square root"):
        power = 1.0 if batches == "weighted" else 0.5
        weights = {int(label): weight**power for label, weight in kbs.class_weights(y).items()}
    encoder.compile(optimizer=keras.optimizers.Adam(0.001), loss=LOSSES[loss](class_weight=weights, **margin))
    if batches == "balanced":
        sequence = kbs.BalancedBatchSequence(x, y, 8, 32, steps_per_epoch=min(EPOCH, steps), max_repeats=3, seed=seed)
        encoder.fit(sequence, epochs=steps // len(sequence), verbose=0)
    else:
        rng, n = np.random.default_rng(seed), steps * IMAGES
        order = np.concatenate([rng.permutation(len(y)) for _ in range(n // len(y) + 1)])[:n]
        encoder.fit(x[order], y[order], batch_size=IMAGES, shuffle=False, verbose=0)
    return keras.Sequential([encoder, keras.layers.UnitNormalization()]) if loss in ON_COSINES and not unit else encoder


def tables(runs):
    """One table for each figure."""
    for figure, title in FIGURES.items():
        print(f"\n{title}\n{'':38} mean +- sd over seeds, each seed")
        for arm, by_seed in runs.items():
            print(f"{arm:38}" + spread([one[figure] for one in by_seed]))


def main():
    """Train each arm for each seed and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500, help=f"up to {EPOCH}, or a multiple of it")
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--batches", nargs="+", choices=BATCHES, default=BATCHES)
    parser.add_argument("--unit", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    with np.load(arguments.data) as file:
        x, y = file["x"].astype("float32")[..., None] / 255, file["y"].astype(int)
    images, pairs, similar = held_out(y)
    free = np.setdiff1d(np.arange(len(y)), images)
    sizes = np.geomspace(4000, 40, 10).round().astype(int)
    print(f"{sizes.tolist()} images, {arguments.steps} steps of {IMAGES}, {len(similar)} test pairs", flush=True)
    runs = {}
    for loss in arguments.losses:
        for batches in arguments.batches:
            for seed in range(arguments.seeds):
                start = time.perf_counter()
                chosen, counts = long_tail(y, free, sizes, seed)
                encoder = train(loss, batches, arguments.unit, x[chosen], y[chosen], arguments.steps, seed)
                arm = f"{loss}; {batches}"
                runs.setdefault(arm, []).append(judge(encoder, x, y, pairs, similar, counts))
                print(f"{arm}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
                if arguments.json:
                    with open(arguments.json, "w") as file:
                        json.dump({"steps": arguments.steps, "images": IMAGES, "runs": runs}, file)
    tables(runs)


if __name__ == "__main__":
    main()
