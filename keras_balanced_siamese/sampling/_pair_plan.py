"""Pairs of one epoch: exact shares, all pairs and all samples of a class before any comes twice."""

from typing import NamedTuple

import numpy as np

from keras_balanced_siamese.sampling._quotas import round_to_sum
from keras_balanced_siamese.sampling._resampling import Pool, nth_of_class


class PairPlan(NamedTuple):
    """The pairs of one epoch, in the order in which they are served."""

    pairs: np.ndarray  # (m, 2) indices of samples
    similar: np.ndarray  # (m,) float32
    codes: np.ndarray  # (N,) class of each sample
    synthetic: np.ndarray | None  # (N, d) the samples, if resampling generated them


def plan_pairs(
    pool: Pool, fraction: float, expected: np.ndarray, shares: np.ndarray, total: int, epoch: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the pairs of one epoch.

    - Pair `k` is positive where `floor(k fraction + 1/2)` grows. So the two kinds are spread evenly over the epoch,
      each batch and each replica's part of a batch.
    - Positives: class `c` gets `expected[c]` pairs, rounded up or down, in random order. They are matches of a
      round-robin tournament on the ring of the class. So all `n_c (n_c - 1) / 2` pairs come once before any comes
      again, and all samples once before any comes again (with an odd `n_c` one sample sits out a round and opens the
      next). The next epoch continues where this one ends.
    - Negatives: the first class is drawn by `v_a (1 - v_a)`, the second by `v_b` among the others, so an unordered pair
      of classes has the probability `2 v_a v_b / (1 - sum of v_c ** 2)`. The samples of a class take turns.

    Args:
        pool: The samples of the epoch.
        fraction: Share of the positives.
        expected: `(C,)` expected number of positives of each class, with the sum `positives_before(total, fraction)`; 0
            for classes of one sample.
        shares: `(C,)` shares `v` of the classes among negatives.
        total: Number of pairs.
        epoch: Number of the epoch.
        seed: The seed of all epochs.

    Returns:
        Samples `(total, 2)`, and float32 `(total,)` with 1 for a positive pair.
    """
    rng = np.random.default_rng([seed, epoch, 1])
    before = positives_before(np.arange(total + 1), fraction)
    positive, n_positive = before[1:] > before[:-1], int(before[-1])
    positives = _positives(pool, expected, n_positive, epoch, rng)
    negatives = _negatives(pool, shares, total - n_positive, epoch, rng)
    place = np.where(positive, before[:-1], n_positive + np.arange(total) - before[:-1])
    return np.concatenate([positives, negatives]).take(place, axis=0), positive.astype(np.float32)


def positives_before(k: np.ndarray | int, fraction: float) -> np.ndarray:
    """Number of positives among the first `k` pairs of an epoch."""
    return np.floor(np.asarray(k) * fraction + 0.5).astype(np.int64)


def negative_marginals(shares: np.ndarray) -> np.ndarray:
    """The share of each class among the members of negative pairs, `v_c (1 - v_c)` scaled to the sum 1."""
    marginals = shares * (1.0 - shares)
    return marginals / (marginals.sum() or 1.0)  # a single class with a share has no negative pair


def _positives(pool: Pool, expected: np.ndarray, total: int, epoch: int, rng: np.random.Generator) -> np.ndarray:
    """`(total, 2)` samples."""
    quotas = round_to_sum(expected, total, rng)
    class_of, nth = _line(quotas, rng)
    # an epoch uses at most ceil(expected) matches of the tournament
    begin = epoch * np.ceil(expected).astype(np.int64) % np.maximum(pool.count * (pool.count - 1) // 2, 1)
    places = _matches(pool.count[class_of], begin[class_of] + nth)
    one, other = (pool.samples(class_of, place) for place in places)
    swap = rng.random(total) < 0.5
    return np.stack([np.where(swap, other, one), np.where(swap, one, other)], axis=1)


def _line(quotas: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The class of each slot, in random order, and the index of the slot within its class."""
    place = rng.permutation(int(quotas.sum()))
    class_of = np.repeat(np.arange(len(quotas)), quotas)[place]
    return class_of, place - (np.cumsum(quotas) - quotas)[class_of]


def _matches(n: np.ndarray, nth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two places, each `(m,)`, in match number `nth` of a round-robin tournament of `n` players."""
    matches = n // 2  # in a round
    turn, match = np.divmod(nth, matches)
    turning = n - 1 + n % 2  # even: one stays and the others rotate; odd: all rotate and one sits out
    turn %= turning
    match += n % 2  # odd: match 0 is the player that sits out
    one, other = turn + match, turn - match  # at most one lap out of range, either way
    one -= turning * (one >= turning)
    other += turning * (other < 0)
    return one, np.where(match == 0, n - 1, other)


def _negatives(pool: Pool, shares: np.ndarray, total: int, epoch: int, rng: np.random.Generator) -> np.ndarray:
    """`(total, 2)` samples."""
    expected = total * negative_marginals(shares)
    quotas = round_to_sum(expected, total, rng)
    first, nth = _line(quotas, rng)
    second = _partners(first, shares, rng)
    nth_second = quotas[second] + nth_of_class(second, len(shares))
    begin = epoch * np.ceil(2 * expected).astype(np.int64)
    sides = [
        (first, nth),
        (second, nth_second),
    ]  # a class takes its turns as the first of a pair, then those as the second
    return np.stack(
        [pool.samples(class_of, (begin[class_of] + k) % pool.count[class_of]) for class_of, k in sides], axis=1
    )


def _partners(first: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A different class for each one in `first`, drawn by the shares."""
    edges = np.cumsum(shares)
    # a point on the line of all shares without the interval of the first class
    point = rng.random(len(first)) * (1.0 - shares[first])
    point += np.where(point >= edges[first] - shares[first], shares[first], 0.0)
    second = np.searchsorted(edges, point, side="right")
    # rounding at the edges of an interval can still hit the first class or the end of the line
    wrong = (second == first) | (second >= len(shares))
    if wrong.any():
        open_classes = np.flatnonzero(shares > 0)
        second[wrong] = np.where(first[wrong] == open_classes[0], open_classes[1], open_classes[0])
    return second
