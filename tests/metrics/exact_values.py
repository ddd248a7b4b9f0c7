"""Exact values of the metrics, found by walking over the thresholds one by one, and data for them."""

from bisect import bisect_left, bisect_right
from functools import cache

import numpy as np
import pytest
from toy import COUNTS, clusters

import keras_balanced_siamese as kbs


def walk(similar, different):
    """(accepted similar, accepted different) after each threshold, from none to all."""
    similar, different = sorted(similar), sorted(different)
    yield 0, 0
    for threshold in sorted({*similar, *different}):
        yield bisect_right(similar, threshold), bisect_right(different, threshold)


def exact_auc(similar, different, _):
    similar = sorted(similar)
    won = sum(bisect_left(similar, d) + bisect_right(similar, d) for d in different)
    return won / (2 * len(similar) * len(different))


def exact_eer(similar, different, _):
    last = (0.0, 1.0)
    for accepted, wrong in walk(similar, different):
        far, frr = wrong / len(different), 1 - accepted / len(similar)
        if far >= frr:
            step = (last[1] - last[0]) / ((last[1] - last[0]) + (far - frr))
            return last[0] + step * (far - last[0])
        last = (far, frr)
    raise AssertionError


def exact_precision(similar, different, _):
    total, last = 0.0, 0
    for accepted, wrong in walk(similar, different):
        if accepted > last:
            total += (accepted - last) * accepted / (accepted + wrong)
        last = accepted
    return total / len(similar)


def exact_tar(level):
    def exact(similar, different, _):
        within = [accepted for accepted, wrong in walk(similar, different) if wrong <= level * len(different)]
        return within[-1] / len(similar)

    return exact


def exact_far(_, different, threshold):
    return sum(d <= threshold for d in different) / len(different)


def exact_frr(similar, _, threshold):
    return sum(d > threshold for d in similar) / len(similar)


def exact_accuracy(similar, different, threshold):
    return 1 - (exact_far(similar, different, threshold) + exact_frr(similar, different, threshold)) / 2


def exact_mcc(similar, different, threshold):
    truth = [1] * len(similar) + [0] * len(different)
    decision = [int(d <= threshold) for d in [*similar, *different]]
    return float(np.corrcoef(truth, decision)[0, 1]) if 0 < sum(decision) < len(decision) else 0.0


EXACT = {
    "EqualErrorRate": exact_eer,
    "VerificationAUC": exact_auc,
    "VerificationPRAUC": exact_precision,
    "TrueAcceptRate": exact_tar(0.01),
    "FalseRejectRate": exact_frr,
    "FalseAcceptRate": exact_far,
    "BalancedPairAccuracy": exact_accuracy,
    "MatthewsCorrelation": exact_mcc,
}
RANKING = ["EqualErrorRate", "VerificationAUC", "VerificationPRAUC", "TrueAcceptRate"]
CLASSES = {name: getattr(kbs, name) for name in EXACT}
every_metric = pytest.mark.parametrize("name", EXACT)


def make(metric, threshold=0.5, **kwargs):
    return CLASSES[metric](**({} if metric in RANKING else {"threshold": threshold}), **kwargs)


def value(metric, labels, scores, *weights):
    """The value after one batch more."""
    metric.update_state(labels, scores, *weights)
    return float(metric.result())


def labelled(similar, different):
    """Labels and scores of two lists of scores."""
    return np.repeat([1.0, 0.0], [len(similar), len(different)]), np.array([*similar, *different], "float32")


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype("float32")))


DISTRIBUTIONS = {  # (similar, different), and whether higher is similar
    "spread 1": lambda n, z: (abs(z(1, 1, n)), abs(z(2, 1, n)), False),
    "unit norm": lambda n, z: (z(1.36, 0.03, n), z(1.41, 0.03, n), False),
    "hundred": lambda n, z: (z(99, 1, n), z(101, 1, n), False),
    "high-dimensional": lambda n, z: (z(960, 30, n), z(1000, 30, n), False),
    "thousands": lambda n, z: (z(4950, 50, n), z(5050, 50, n), False),
    "thousands, wide": lambda n, z: (z(4700, 300, n), z(5300, 300, n), False),
    "squared pixels": lambda n, z: (z(18000, 2000, n), z(22000, 2000, n), False),
    "thousandths": lambda n, z: (z(1e-3, 3e-4, n), z(1.5e-3, 4.5e-4, n), False),
    "thousandths, narrow": lambda n, z: (z(1e-3, 5e-5, n), z(1.1e-3, 5.5e-5, n), False),
    "undecided": lambda n, z: (z(0.51, 0.02, n), z(0.49, 0.02, n), True),
    "lognormal": lambda n, z: (np.exp(z(-1, 3, n)), np.exp(z(1, 3, n)), False),
    "saturated": lambda n, z: (sigmoid(z(8, 3, n)), sigmoid(z(-8, 3, n)), True),
    "both saturated": lambda n, z: (sigmoid(z(8, 3, n)), sigmoid(z(6, 3, n)), True),
    "cosine": lambda n, z: (np.clip(z(0.8, 0.15, n), -1, 1), z(0.2, 0.2, n), True),
    "squared": lambda n, z: (np.minimum(z(5, 2, n) ** 2, 100), np.minimum(z(7, 2, n) ** 2, 100), False),
    "constant": lambda n, z: (np.full(n, 0.7), np.full(n, 0.7), False),
    "ties": lambda n, z: (np.round(z(3, 2, n)), np.round(z(5, 2, n)), False),
    "half precision": lambda n, z: (*(z(mean, 0.03, n).astype("float16") for mean in (1.36, 1.41)), False),
}


@cache
def samples_of(distribution):
    """Scores of 10,000 similar and of 10,000 different pairs, and whether higher is similar."""
    similar, different, higher = DISTRIBUTIONS[distribution](10_000, np.random.default_rng(1).normal)
    return similar.astype("float32"), different.astype("float32"), higher


def tied(seed=0, n=60):
    """Labels and scores of which many are equal."""
    rng = np.random.default_rng(seed)
    return (rng.random(n) < 0.4).astype("float32"), rng.integers(0, 9, n).astype("float32") / 8


def pairs_of_clusters(n=80, seed=0):
    """Pairs of `toy.clusters`: left, right, and `(n, 3)` labels."""
    x, y = clusters()
    codes = np.array([list(COUNTS).index(label) for label in y])
    rng = np.random.default_rng(seed)
    left = rng.integers(0, len(y), n)
    right = np.array([rng.choice(np.flatnonzero((codes == codes[k]) == (i % 2))) for i, k in enumerate(left)])
    similar = codes[left] == codes[right]
    return x[left], x[right], np.stack([similar, codes[left], codes[right]], 1).astype("float32")
