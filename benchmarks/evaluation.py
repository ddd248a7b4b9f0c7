"""Time of `evaluate_pairs` on many pairs, beside the same curve figures from scikit-learn."""

import argparse
import time
from collections.abc import Callable

import numpy as np

import keras_balanced_siamese as kbs


def main() -> None:
    """Print one line for each way to evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    classes = rng.integers(options.classes, size=(options.pairs, 2))
    half = options.pairs // 2
    classes[:half, 1] = classes[:half, 0]
    similar = classes[:, 0] == classes[:, 1]
    distances = np.abs(rng.normal(1 - 0.5 * similar, 0.4))
    samples = classes * 100 + rng.integers(100, size=classes.shape)

    def scikit_learn() -> None:
        from sklearn.metrics import average_precision_score, roc_curve

        roc_curve(similar, -distances)
        average_precision_score(similar, -distances)

    ways: dict[str, Callable[[], object]] = {
        "all pairs": lambda: kbs.evaluate_pairs(distances, similar),
        "and each class": lambda: kbs.evaluate_pairs(distances, similar, classes=classes, n_resamples=0),
        "and intervals from 1,000 resamples": lambda: kbs.evaluate_pairs(distances, similar, classes=classes),
        "and intervals of each class": lambda: kbs.evaluate_pairs(distances, similar, classes=classes, samples=samples),
        "scikit-learn: ROC curve and average precision": scikit_learn,
    }
    print(f"{options.pairs:,} pairs of {options.classes:,} classes, best of {options.rounds}")
    for name, way in ways.items():
        print(f"  {name:46} {min(timed(way) for _ in range(options.rounds)):6.2f} s")


def timed(way: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
