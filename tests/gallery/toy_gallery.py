"""Small galleries."""

import numpy as np

ITEMS = [[0.0, 0.0], [0.0, 2.0], [0.0, 4.0], [10.0, 0.0]]
NAMES = ["ann", "ann", "ann", "bob"]


def noisy_classes(n=200, classes=8, dim=5, seed=0):
    """Random class centres plus noise: embeddings `(n, dim)` float64 and labels `(n,)`."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, dim))[labels] + rng.normal(size=(n, dim)), labels
