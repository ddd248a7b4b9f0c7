"""All pairs of labelled samples, or a weighted random sample of them."""

import numpy as np


def choose_pairs(codes: np.ndarray, max_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the two samples of each pair, `(p, 2)`, and weights of the pairs, `(p,)`.

    Args:
        codes: `(n,)` class codes.
        max_pairs: Largest number of pairs. If there are more, up to half that number of similar and of different pairs
            are sampled.
        rng: Random generator of the sample.
    """
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes).astype(np.int64)
    n, ends = len(codes), np.cumsum(counts)[codes[order]]
    of_class = counts * (counts - 1) // 2
    n_different = int(n * (n - 1) // 2 - of_class.sum())
    whole = n * (n - 1) // 2 <= max_pairs
    half = max_pairs // 2
    if whole or of_class.sum() <= half:
        similar, weight = _ranges(np.arange(n) + 1, ends), np.ones(int(of_class.sum()))
    else:
        similar, weight = _draw_similar(counts, half, rng)
    if whole or n_different <= 2 * half:
        different = _ranges(ends, np.full(n, n))
        if not whole and n_different > half:
            different = different[rng.choice(n_different, half, replace=False)]
    else:
        different = _draw_different(counts, ends, half, rng)
    weights = [weight, np.full(len(different), n_different / max(len(different), 1))]
    return order[np.concatenate([similar, different])], np.concatenate(weights)


def _ranges(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Pairs of each position `i` with `starts[i]` to `ends[i] - 1`, `(p, 2)`."""
    lengths = ends - starts
    first = np.repeat(np.arange(len(starts)), lengths)
    return np.stack(
        [first, np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - starts, lengths)], axis=1
    )


def _draw_similar(counts: np.ndarray, n_pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sample distinct similar pairs, up to the same number from each class, from positions sorted by class."""
    available = counts * (counts - 1) // 2
    limit = _level(available, n_pairs)
    pairs, weights = [], []
    for start, n_available in zip(np.cumsum(counts) - counts, available, strict=True):
        n_drawn = min(int(n_available), limit)
        if n_drawn:
            pairs.append(start + _unrank(rng.choice(int(n_available), n_drawn, replace=False)))
            weights.append(np.full(n_drawn, n_available / n_drawn))
    return np.concatenate(pairs), np.concatenate(weights)


def _level(available: np.ndarray, n_pairs: int) -> int:
    """Largest limit per class, at least 1, with which all classes together give at most `n_pairs` pairs."""
    rising = np.sort(available)
    left = n_pairs
    for k, n_available in enumerate(rising):
        share = left // (len(rising) - k)
        if n_available > share:
            return max(int(share), 1)
        left -= int(n_available)
    return int(rising[-1])


def _unrank(rank: np.ndarray) -> np.ndarray:
    """Pairs `i < j`, `(p, 2)`, from their ranks in the order (0, 1), (0, 2), (1, 2), (0, 3), ..."""
    rank = rank.astype(np.int64)
    j = ((1 + np.sqrt(1 + 8 * rank.astype(np.float64))) / 2).astype(np.int64)
    j += (j + 1) * j // 2 <= rank  # the root may be off by one
    j -= j * (j - 1) // 2 > rank
    return np.stack([rank - j * (j - 1) // 2, j], axis=1)


def _draw_different(counts: np.ndarray, ends: np.ndarray, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Sample distinct different pairs, all equally likely, from positions sorted by class."""
    n = len(ends)
    starts = ends - counts.repeat(counts)
    others = np.cumsum(n - (ends - starts))  # running number of partners
    found = np.zeros(0, np.int64)
    while len(found) < n_pairs:
        rank = rng.integers(others[-1], size=n_pairs + n_pairs // 8)
        left = np.searchsorted(others, rank, side="right")
        right = rank - (others[left] - (n - ends[left] + starts[left]))
        right = np.where(right < starts[left], right, right + ends[left] - starts[left])
        found = np.unique(np.append(found, np.minimum(left, right) * n + np.maximum(left, right)))
    found = rng.choice(found, n_pairs, replace=False)
    return np.stack([found // n, found % n], axis=1)
