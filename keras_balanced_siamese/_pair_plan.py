"""Which samples meet in one epoch: exact shares, distinct pairs before repeats, every sample before any twice."""

from typing import NamedTuple

import numpy as np


class PairPlan(NamedTuple):
    """The pairs of one epoch as sample indices, positives and negatives apart, each in random order."""

    positives: np.ndarray  # (n_positive, 2)
    negatives: np.ndarray  # (n_negative, 2)


def plan_pairs(
    codes: np.ndarray,
    shares: np.ndarray,
    positive_shares: np.ndarray,
    n_positive: int,
    n_negative: int,
    rng: np.random.Generator,
) -> PairPlan:
    """Draw the pairs of one epoch.

    - The samples of each class are put into a random order, the class's circle.
    - Positives: class `c` gets `n_positive * positive_shares[c]` pairs, rounded up or down. They are the rounds of a
      round-robin tournament over the circle, so each of the `n_c (n_c - 1) / 2` pairs comes once before any comes
      again, and each sample once before any comes again (with an odd `n_c` one sample sits out a round and opens
      the next).
    - Negatives: the first class by `v_a (1 - v_a)`, the second by `v_b` among the others, so that an unordered pair of
      classes has the probability `2 v_a v_b / (1 - sum of v_c ** 2)`. The samples of a class take turns in them,
      those that the positives used least first.

    Args:
        codes: `(n,)` class of each sample, 0 to C - 1.
        shares: `(C,)` shares `v` of the classes among negatives.
        positive_shares: `(C,)` shares of the classes among positives; 0 for classes of one sample.
        n_positive: Number of positive pairs.
        n_negative: Number of negative pairs.
        rng: Source of all randomness.
    """
    counts = np.bincount(codes, minlength=len(shares))
    circle = np.argsort(codes + rng.random(len(codes)), kind="stable")  # classes one after the other, each shuffled
    start = np.cumsum(counts) - counts
    quotas = _round_to_sum(n_positive * positive_shares, n_positive, rng)
    positives = _tournament_pairs(counts, start, quotas)
    negatives = _class_pairs(shares, n_negative, rng)
    used = np.bincount(positives.reshape(-1), minlength=len(codes))
    turns = circle[np.lexsort((-used, codes[circle]))]  # the most used of each class first, but the turn is after them
    members = _take_turns(negatives.reshape(-1), counts, 2 * quotas, rng)
    negatives = (start[negatives.reshape(-1)] + members).reshape(-1, 2)
    return PairPlan(_shuffled(circle[positives], rng), turns[negatives])


def negative_marginals(shares: np.ndarray) -> np.ndarray:
    """The share of each class among the members of negative pairs, `v_c (1 - v_c)` scaled to the sum 1."""
    marginals = shares * (1.0 - shares)
    return marginals / (marginals.sum() or 1.0)  # one class with the whole share has no negative pair


def _round_to_sum(expected: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers with the sum `total`, unbiased, each within 1 of what is expected, 0 where that is 0."""
    wanted = np.flatnonzero(expected > 0)
    edges = np.minimum(np.floor(np.cumsum(expected[wanted]) + rng.random()), total)
    edges[-1:] = total
    rounded = np.zeros(len(expected), np.int64)
    rounded[wanted] = np.diff(edges, prepend=0.0)
    return rounded


def _tournament_pairs(counts: np.ndarray, start: np.ndarray, quotas: np.ndarray) -> np.ndarray:
    """The first `quotas[c]` pairs `(sum, 2)` of a round-robin tournament in each class, as positions on the circle."""
    owner = np.repeat(np.arange(len(quotas)), quotas)
    n = counts[owner]
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(quotas) - quotas, quotas)
    nth %= n * (n - 1) // 2
    turning = n - 1 + n % 2  # even: all but one turn around the one that stays; odd: all turn, one sits out
    matches = n // 2
    turn, match = nth // np.maximum(matches, 1), nth % np.maximum(matches, 1)
    match += n % 2  # odd: match 0 would be the one that sits out
    left = (turn + match) % turning
    right = np.where(match == 0, n - 1, (turn - match) % turning)
    return np.stack([start[owner] + left, start[owner] + right], axis=1)


def _class_pairs(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """`(total, 2)` pairs of different classes in random order."""
    quotas = _round_to_sum(total * negative_marginals(shares), total, rng)
    first = rng.permutation(np.repeat(np.arange(len(shares)), quotas))
    # a point on the line of all shares with the first class's stretch cut out, spread evenly over the epoch
    edges = np.cumsum(shares)
    point = (rng.permutation(total) + rng.random(total)) / max(total, 1) * (1.0 - shares[first])
    point += np.where(point >= edges[first] - shares[first], shares[first], 0.0)
    second = np.searchsorted(edges, point, side="right")
    # rounding at the edges of a stretch can still hit the first class or the end of the line
    wrong = (second == first) | (second >= len(shares))
    if wrong.any():
        open_classes = np.flatnonzero(shares > 0)
        second[wrong] = np.where(first[wrong] == open_classes[0], open_classes[1], open_classes[0])
    return np.stack([first, second], axis=1)


def _take_turns(owners: np.ndarray, counts: np.ndarray, used: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each visit to a class the number of a sample: all in turn, on from where `used` visits have led."""
    order = np.argsort(owners, kind="stable")
    visits = np.bincount(owners, minlength=len(counts))
    nth = np.arange(len(owners)) - np.repeat(np.cumsum(visits) - visits, visits)
    n = np.repeat(counts, visits)
    nth += np.repeat(used, visits)
    # within each lap the order is random, or small classes would always meet the same partners
    lap = np.cumsum(np.diff(nth // np.maximum(n, 1), prepend=0) != 0) + np.repeat(np.arange(len(counts)), visits)
    shuffled = np.argsort(lap + rng.random(len(nth)), kind="stable")
    members = np.empty_like(owners)
    members[order] = (nth % np.maximum(n, 1))[shuffled]
    return members


def _shuffled(pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The pairs in random order, each way round with equal chance."""
    pairs = rng.permutation(pairs)
    swap = rng.random(len(pairs)) < 0.5
    pairs[swap] = pairs[swap, ::-1]
    return pairs
