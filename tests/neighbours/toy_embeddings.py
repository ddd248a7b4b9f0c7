"""Embeddings with many ties, and at all scales."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def lattices(draw):
    """Embeddings on a small grid, away from the origin: ties and duplicates everywhere."""
    n, dim = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    rows = st.lists(st.integers(1, 3), min_size=dim, max_size=dim)
    return (
        np.array(draw(st.lists(rows, min_size=n, max_size=n)), np.float32),
        np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))),
    )


def noisy_classes(n=160, classes=9, dim=6, noise=1.0, seed=0):
    """Random class centres plus noise, in random order: embeddings `(n, dim)` float64 and codes `(n,)`."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, classes, n)
    return rng.normal(size=(classes, dim))[codes] + noise * rng.normal(size=(n, dim)), codes


KINDS = {
    "plain": lambda x: x,
    "single precision": lambda x: x.astype(np.float32),
    "offset": lambda x: (x * 1e-3 + 1000).astype(np.float32),
    "offset in double precision": lambda x: x * 1e-9 + 1000,
    "duplicates": lambda x: np.resize(x[:30], x.shape),
    "half of them at one place": lambda x: np.where(np.arange(len(x))[:, None] % 2, x, 1.0),
    "an outlier": lambda x: np.where(np.arange(len(x))[:, None] == 7, 1e8, x),
    "far apart scales": lambda x: x * 10.0 ** (np.arange(len(x))[:, None] % 5),
    "tiny": lambda x: x * 1e-100,
    "huge": lambda x: x * 1e100,
    "ordered": lambda x: np.sort(x, axis=0),
}
