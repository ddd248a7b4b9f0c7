"""Distances of similar and different pairs to calibrate, and their error rates."""

from statistics import NormalDist

import numpy as np


def gaussians(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    similar = np.arange(n) < n // 2
    return np.where(similar, rng.normal(1.0, 0.4, n), rng.normal(2.2, 0.4, n)), similar


def quantiles(mean, deviation, n):
    """The `n` mid-quantiles of a normal distribution."""
    return np.array([NormalDist(mean, deviation).inv_cdf((k + 0.5) / n) for k in range(n)])


def rates(distances, similar, threshold):
    return np.mean(distances[~similar] <= threshold), np.mean(distances[similar] > threshold)
