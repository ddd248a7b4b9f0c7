"""Streaming metrics: how far from the exact values, and what they cost in a step of `fit`.

Run with `python benchmarks/streaming_metrics.py`, or with `--only error` or `--only time`.
"""

import argparse
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs
from keras_balanced_siamese import (
    BalancedPairAccuracy,
    EqualErrorRate,
    TrueAcceptRate,
    VerificationAUC,
    VerificationPRAUC,
)

METRICS = {
    "AUC": VerificationAUC,
    "EER": EqualErrorRate,
    "PR AUC": VerificationPRAUC,
    "TAR@1%": TrueAcceptRate,
}


def sigmoid(logits):
    """Probabilities in float32."""
    return 1 / (1 + np.exp(-logits.astype("float32")))


# distances of n similar and n different pairs; scores that grow with likeness are negated
DISTRIBUTIONS = {
    "spread 1": lambda n, z: (abs(z(1, 1, n)), abs(z(2, 1, n))),
    "unit norm, 1.36 and 1.41 +- 0.03": lambda n, z: (z(1.36, 0.03, n), z(1.41, 0.03, n)),
    "unit norm, 0.9 and 1.2 +- 0.1": lambda n, z: (z(0.9, 0.1, n), z(1.2, 0.1, n)),
    "unnormalised, 3.0 and 3.1 +- 0.1": lambda n, z: (z(3, 0.1, n), z(3.1, 0.1, n)),
    "unnormalised, 20.5 and 22 +- 0.7": lambda n, z: (z(20.5, 0.7, n), z(22, 0.7, n)),
    "unnormalised, 960 and 1000 +- 30": lambda n, z: (z(960, 30, n), z(1000, 30, n)),
    "unnormalised, 99 and 101 +- 1": lambda n, z: (z(99, 1, n), z(101, 1, n)),
    "unnormalised, 4950 and 5050 +- 50": lambda n, z: (z(4950, 50, n), z(5050, 50, n)),
    "unnormalised, 4700 and 5300 +- 300": lambda n, z: (z(4700, 300, n), z(5300, 300, n)),
    "squared, 18000 and 22000 +- 2000": lambda n, z: (z(18000, 2000, n), z(22000, 2000, n)),
    "squared, 90000 and 94000 +- 3000": lambda n, z: (z(90000, 3000, n), z(94000, 3000, n)),
    "small, 0.001 and 0.0015 +- 30 %": lambda n, z: (z(1e-3, 3e-4, n), z(1.5e-3, 4.5e-4, n)),
    "small, 0.001 and 0.0011 +- 5 %": lambda n, z: (z(1e-3, 5e-5, n), z(1.1e-3, 5.5e-5, n)),
    "lognormal, sigma 3": lambda n, z: (np.exp(z(-1, 3, n)), np.exp(z(1, 3, n))),
    "probabilities, logits +-8 +- 3": lambda n, z: (-sigmoid(z(8, 3, n)), -sigmoid(z(-8, 3, n))),
    "probabilities, logits 8 and 6 +- 3": lambda n, z: (-sigmoid(z(8, 3, n)), -sigmoid(z(6, 3, n))),
    "probabilities, 0.51 and 0.49 +- 0.02": lambda n, z: (-z(0.51, 0.02, n), -z(0.49, 0.02, n)),
    "cosine, 0.60 and 0.57 +- 0.03": lambda n, z: (-z(0.6, 0.03, n), -z(0.57, 0.03, n)),
    "cosine, 0.8 and 0.2": lambda n, z: (-np.clip(z(0.8, 0.15, n), -1, 1), -z(0.2, 0.2, n)),
    "squared distances to 100": lambda n, z: (np.minimum(z(5, 2, n) ** 2, 100), np.minimum(z(7, 2, n) ** 2, 100)),
    "constant": lambda n, _: (np.full(n, 0.7), np.full(n, 0.7)),
    "whole numbers": lambda n, z: (np.round(z(3, 2, n)), np.round(z(5, 2, n))),
    "whole numbers, 60 and 70 +- 10": lambda n, z: (np.round(z(60, 10, n)), np.round(z(70, 10, n))),
    "float16, 1.36 and 1.41 +- 0.03": lambda n, z: tuple(z(mean, 0.03, n).astype("float16") for mean in (1.36, 1.41)),
}


def exact_values(distance, similar):
    """The four values from the sorted distances."""
    order = np.argsort(distance, kind="stable")
    last = np.flatnonzero(np.append(np.diff(distance[order]) > 0, True))
    tar = np.append(0, np.cumsum(similar[order])[last]) / similar.sum()
    far = np.append(0, np.cumsum(1 - similar[order])[last]) / (1 - similar).sum()
    found, accepted = tar[1:] * similar.sum(), last + 1
    auc = np.sum(np.diff(far) * (tar[1:] + tar[:-1]) / 2)
    eer = np.interp(0.0, far + tar - 1, far)
    k = np.argmax(far > 0.01)
    return {"AUC": auc, "EER": eer, "PR AUC": np.sum(np.diff(tar) * found / accepted), "TAR@1%": tar[k - 1]}


def print_errors(pairs, resolutions, seeds):
    """A table for each resolution."""
    print(f"Largest error in {seeds} draws of {pairs:,} pairs, and the largest bound, in thousandths\n")
    similar = np.repeat([1, 0], pairs // 2)
    for resolution in resolutions:
        names = "".join(f"{name:>18}" for name in METRICS)
        print(f"resolution {resolution}\n{'':36}{names}")
        for title, draw in DISTRIBUTIONS.items():
            worst = dict.fromkeys(METRICS, (0.0, 0.0))
            for seed in range(seeds):
                distance = np.concatenate(draw(pairs // 2, np.random.default_rng(seed).normal)).astype("float32")
                exact = exact_values(distance, similar)
                for name, cls in METRICS.items():
                    metric = cls(resolution=resolution)
                    metric.update_state(similar, distance)
                    error = abs(float(metric.result()) - exact[name])
                    worst[name] = max(worst[name][0], error), max(worst[name][1], metric.error_bound())
            cells = "".join(f"{1e3 * error:9.2f} <={1e3 * bound:6.1f}" for error, bound in worst.values())
            print(f"{title:36}{cells}")
        print()


def tiny_model():
    """One small layer, so that the metrics are what takes the time."""
    return kbs.siamese_model(keras.Sequential([keras.Input((16,)), keras.layers.Dense(8)]), probability=True)


def first_column(labels, probability):
    """The loss of labels that have the classes beside them."""
    return keras.losses.binary_crossentropy(labels[:, :1], probability)


def print_times(batch, steps, rounds):
    """A line for each choice of metrics."""
    backend = keras.backend.backend()
    print(f"Milliseconds a step of {batch} pairs, best of {rounds} epochs of {steps} steps, {backend}\n")
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=(batch * steps, 16)).astype("float32") for _ in range(2)]
    labels = (rng.random((batch * steps, 1)) < 0.5).astype("float32")
    classes = list(range(10))
    with_codes = np.concatenate([labels, rng.integers(0, 10, (batch * steps, 2))], axis=1).astype("float32")
    choices = {
        "no metric": (list, labels),
        "keras.metrics.AUC(200)": (lambda: [keras.metrics.AUC(num_thresholds=200)], labels),
        **{cls.__name__: (lambda cls=cls: [cls(higher_is_similar=True)], labels) for cls in METRICS.values()},
        "BalancedPairAccuracy, 10 classes": (
            lambda: [BalancedPairAccuracy(0.5, higher_is_similar=True, classes=classes)],
            with_codes,
        ),
        **{
            f"{cls.__name__}, 10 classes": (lambda cls=cls: [cls(higher_is_similar=True, classes=classes)], with_codes)
            for cls in METRICS.values()
        },
    }
    for jit in (False, True) if backend == "tensorflow" else (None,):
        models = {}
        for name, (metrics, truth) in choices.items():
            model = tiny_model()
            model.compile("sgd", first_column, metrics=metrics(), **({} if jit is None else {"jit_compile": jit}))
            model.fit(pairs, truth, batch_size=batch, verbose=0)
            models[name] = model, truth
        best = dict.fromkeys(models, float("inf"))
        for _ in range(rounds):
            for name, (model, truth) in models.items():
                start = time.perf_counter()
                model.fit(pairs, truth, batch_size=batch, verbose=0)
                best[name] = min(best[name], time.perf_counter() - start)
        print(f"jit_compile={jit}" if jit is not None else "default compile")
        for name, seconds in best.items():
            extra = (seconds - best["no metric"]) / steps
            print(f"{name:36}{1e3 * seconds / steps:9.3f}{1e3 * extra:+9.3f}")
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", choices=["error", "time"])
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.only != "time":
        print_errors(given.pairs, given.resolutions, given.seeds)
    if given.only != "error":
        print_times(given.batch, given.steps, given.rounds)
