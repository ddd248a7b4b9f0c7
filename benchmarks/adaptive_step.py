"""Time of `AdaptiveClassWeight` in a training step: the record of each class's loss, and the update after the epoch.

Run with `KERAS_BACKEND=tensorflow python benchmarks/adaptive_step.py` (or jax, or torch). Two models of one form train
on the same batches, held in memory, one with the callback and one without. They take turns, an epoch each, every other
time in the opposite order; the figures are the medians, and the median of the ratios. `--json FILE` writes them too.
"""

import argparse
import json
import statistics
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs

layers = keras.layers
CLASSES = 32


def encoder():
    """Two convolutions on 28 x 28."""
    body = []
    for filters in (16, 32):
        body += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    return keras.Sequential([keras.Input((28, 28, 1)), *body, layers.Flatten(), layers.Dense(64)])


def on_batches(batch, rng):
    """An encoder with a loss on class labels, and images."""
    model, y = encoder(), np.arange(20 * batch) % CLASSES
    model.compile("adam", kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(range(CLASSES), 1.0)))
    return model, rng.normal(size=(20 * batch, 28, 28, 1)).astype("float32"), y


def on_pairs(batch, rng):
    """A model of two sides with a loss on pairs, and pairs."""
    model = kbs.siamese_model(encoder())
    model.compile("adam", kbs.WeightedContrastiveLoss())
    sides = tuple(rng.normal(size=(20 * batch, 28, 28, 1)).astype("float32") for _ in range(2))
    return model, sides, rng.integers(0, 2, (20 * batch, 1)).astype("float32")


def compare(make, batch, rounds):
    """Seconds of an epoch of 20 steps without and with the callback, and the median ratio."""
    rng = np.random.default_rng(0)
    models = {name: make(batch, rng) for name in ("without", "with")}
    callbacks = {"without": [], "with": [kbs.AdaptiveClassWeight()]}
    seconds = {name: [] for name in models}
    for number in range(rounds + 1):
        for name in list(models)[:: -1 if number % 2 else 1]:
            model, x, y = models[name]
            start = time.perf_counter()
            model.fit(
                x, y, batch_size=batch, epochs=number + 1, initial_epoch=number, verbose=0, callbacks=callbacks[name]
            )
            seconds[name].append(time.perf_counter() - start)
    seconds = {name: values[1:] for name, values in seconds.items()}  # the first one compiles
    ratios = [b / a for a, b in zip(seconds["without"], seconds["with"], strict=True)]
    return {**{name: statistics.median(values) for name, values in seconds.items()}, "ratio": statistics.median(ratios)}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json")
    given = parser.parse_args()
    print(keras.backend.backend(), "and Keras", keras.__version__)
    found = {}
    for title, make, batch in (("256 images, loss on class labels", on_batches, 256), ("128 pairs", on_pairs, 128)):
        found[title] = one = compare(make, batch, given.rounds)
        print(f"{title:36} without {one['without']:.3f} s, with {one['with']:.3f} s, median ratio {one['ratio']:.3f}")
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
