"""Time of a training step with both sides in one batch, and with one side after the other.

Run with `KERAS_BACKEND=tensorflow python benchmarks/one_pass.py` (or jax, or torch). Both forms of one encoder train on
the same pairs, held in memory. They take turns, and the best round of each counts. Beside it stand the medians over the
rounds of the ratios, of wall time and of the CPU time of all threads: on a busy machine the latter moves less.
`--json FILE` writes the figures too.
"""

import argparse
import json
import statistics
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs

layers = keras.layers


def small_cnn(shape):
    """Two convolutions."""
    body = []
    for filters in (16, 32):
        body += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    return keras.Sequential([keras.Input(shape), *body, layers.Flatten(), layers.Dense(32)])


def batchnorm_cnn(shape):
    """Four convolutions, each with a batch normalization."""
    body = []
    for filters, strides in ((16, 1), (32, 2), (32, 1), (64, 2)):
        convolution = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)
        body += [convolution, layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([keras.Input(shape), *body, layers.GlobalAveragePooling2D(), layers.Dense(32)])


def dense(shape):
    """One layer: hardly any work, so that what remains is the cost of the step itself."""
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(32)])


def against_each_other(build, batch, rounds, steps, shape=(28, 28, 1)):
    """Milliseconds of a step in both forms: the best round of each, and the median over the rounds of their ratio."""
    rng = np.random.default_rng(0)
    sides = tuple(rng.random((steps * batch, *shape), np.float32) for _ in range(2))
    similar = rng.integers(0, 2, (steps * batch, 1)).astype("float32")
    runs = {}
    for name, one_pass in (("two passes", False), ("one pass", True)):
        model = kbs.siamese_model(build(shape), one_pass=one_pass)
        model.compile("adam", kbs.WeightedContrastiveLoss())
        model.fit(sides, similar, batch_size=batch, verbose=0)
        runs[name] = model
    wall, cpu = {name: [] for name in runs}, {name: [] for name in runs}
    for _ in range(rounds):
        for name, model in runs.items():
            start = time.perf_counter(), time.process_time()
            model.fit(sides, similar, batch_size=batch, shuffle=False, verbose=0)
            wall[name].append(1000 * (time.perf_counter() - start[0]) / steps)
            cpu[name].append(1000 * (time.process_time() - start[1]) / steps)
    best = {f"{name}, ms a step": min(values) for name, values in wall.items()}
    two, one = best.values()
    medians = {f"median {kind} ratio": median_ratio(*times.values()) for kind, times in (("wall", wall), ("CPU", cpu))}
    return {**best, "times faster": two / one, **medians}


def median_ratio(two, one):
    """How many times as long two passes take as one, in the round in the middle."""
    return statistics.median(a / b for a, b in zip(two, one, strict=True))


def main():
    """Print one line for each encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--json")
    given = parser.parse_args()
    figures = {}
    for build in (small_cnn, batchnorm_cnn, dense):
        found = against_each_other(build, given.batch, given.rounds, given.steps)
        figures[build.__name__] = found
        row = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
        print(f"{keras.backend.backend()}, {build.__name__}, {given.batch} pairs: {row}", flush=True)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({keras.backend.backend(): figures}, file, indent=2)


if __name__ == "__main__":
    main()
