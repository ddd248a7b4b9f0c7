"""Pairs to evaluate: ties, classes of different difficulty, and small lists of distances."""

import numpy as np
from hypothesis import strategies as st

import keras_balanced_siamese as kbs

scores = st.lists(st.integers(0, 8), min_size=1, max_size=25)  # many ties


def report(similar, different, **kwargs):
    kwargs.setdefault("n_resamples", 0)
    return kbs.evaluate_pairs([*similar, *different], [1] * len(similar) + [0] * len(different), **kwargs)


def random_pairs(n=600, n_classes=6, seed=0):
    """Distances with ties, classes of different difficulty, and which samples they are of."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(n_classes, size=(n, 2))
    classes[: n // 2, 1] = classes[: n // 2, 0]
    similar = classes[:, 0] == classes[:, 1]
    offset = np.linspace(-0.3, 0.3, n_classes)[classes].mean(axis=1)
    distances = np.abs(rng.normal(1.0 - 0.5 * similar + offset, 0.3)).round(2)
    samples = classes * 10 + rng.integers(10, size=(n, 2))
    return {"distances": distances, "similar": similar, "classes": classes, "samples": samples}
