"""Harder partners for pairs, of the same classes."""

from typing import NamedTuple

import numpy as np

SCRATCH = 2**25  # bytes for the embeddings of a block of candidates


class SampleEmbeddings(NamedTuple):
    """Embeddings of some of the samples."""

    points: np.ndarray  # (m, d)
    row: np.ndarray  # (n,) row in `points` of each sample, -1 without one


class MinedPairs(NamedTuple):
    """Pairs with harder partners."""

    pairs: np.ndarray  # (m, 2)
    changed: np.ndarray  # (m,) whether the right sample is another one
    distance: np.ndarray  # (m,) of changed pairs, else NaN


class ClassMembers(NamedTuple):
    """The samples with embeddings, sorted by class."""

    samples: np.ndarray  # (m,)
    start: np.ndarray  # (C,) position of the first sample of each class
    size: np.ndarray  # (C,) number of samples


def harder_pairs(
    pairs: np.ndarray,
    similar: np.ndarray,
    codes: np.ndarray,
    embeddings: SampleEmbeddings,
    share: float,
    candidates: int,
    skip: float,
    max_repeats: float,
    rng: np.random.Generator,
) -> MinedPairs:
    """Replace the right sample of a share of the pairs by a harder one of the same class.

    - A positive pair gets the farthest of some candidates, except that the share `skip` of the largest positive
      distances of the class is not used, since it contains wrong labels.
    - A negative pair gets the nearest candidate that is farther than the mean of the left sample's own class
      (semi-hard), or the farthest one if there is none.

    Args:
        pairs: `(m, 2)` samples.
        similar: `(m,)` 1 for positive pairs.
        codes: `(n,)` classes.
        embeddings: Pairs without embeddings are not changed, and candidates have embeddings.
        share: Share of the pairs of each kind that get a new partner, from 0 to 1.
        candidates: Number of candidates for each pair.
        skip: Share of the positive pairs that are not used.
        max_repeats: How often a positive pair may occur.
        rng: Source of all randomness.
    """
    chosen = _choose(pairs, similar, codes, embeddings, share, rng)
    mined, distance = pairs.copy(), np.full(len(pairs), np.nan)
    members = _members(codes, embeddings)
    for kind in (0, 1):
        where = np.flatnonzero(chosen & (similar == kind))
        if not len(where):
            continue
        left, right = pairs[where].T
        others, distances = _draw_candidates(members, embeddings, left, codes[right], candidates, rng)
        if kind:
            best = _hard_positives(distances, codes[right], skip)
        else:
            _, own = _draw_candidates(members, embeddings, left, codes[left], candidates, rng)
            best = _semi_hard_negatives(distances, _row_means(own))
        found = best >= 0
        mined[where[found], 1] = others[found, best[found]]
        distance[where[found]] = distances[found, best[found]]
    _limit_repeats(mined, pairs, similar, max_repeats)
    changed = mined[:, 1] != pairs[:, 1]
    return MinedPairs(mined, changed, np.where(changed, distance, np.nan))


def _choose(
    pairs: np.ndarray,
    similar: np.ndarray,
    codes: np.ndarray,
    embeddings: SampleEmbeddings,
    share: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return which pairs `(m,)` get a new partner: the share of each kind, at random."""
    has_row = embeddings.row >= 0
    possible = has_row[pairs[:, 0]]
    possible &= np.bincount(codes[has_row], minlength=codes.max() + 1)[codes[pairs[:, 1]]] > 0
    chosen = np.zeros(len(pairs), bool)
    for kind in (0, 1):
        where = np.flatnonzero(similar == kind)
        selected = rng.permutation(where)[: round(share * len(where))]
        chosen[selected] = possible[selected]
    return chosen


def _members(codes: np.ndarray, embeddings: SampleEmbeddings) -> ClassMembers:
    samples = np.flatnonzero(embeddings.row >= 0)
    samples = samples[np.argsort(codes[samples], kind="stable")]
    size = np.bincount(codes[samples], minlength=codes.max() + 1)
    return ClassMembers(samples, np.cumsum(size) - size, size)


def _draw_candidates(
    members: ClassMembers,
    embeddings: SampleEmbeddings,
    left: np.ndarray,
    class_of: np.ndarray,
    number: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw samples of the classes `(m,)`; return them and their distances from the left samples, `(m, number)` each.

    The distance of a left sample from itself is NaN.
    """
    offset = (rng.random((len(class_of), number)) * members.size[class_of, None]).astype(np.intp)
    drawn = members.samples[members.start[class_of, None] + offset]
    distances = _distances(embeddings, left, drawn)
    distances[drawn == left[:, None]] = np.nan
    return drawn, distances


def _distances(embeddings: SampleEmbeddings, left: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances `(m, k)` of each left sample from its candidates."""
    points, row = embeddings
    distances = np.empty(others.shape)
    step = max(1, SCRATCH // (others.shape[1] * points.shape[1] * points.itemsize))
    for start in range(0, len(left), step):
        block = slice(start, start + step)
        gaps = points[row[others[block]]] - points[row[left[block]], None]
        distances[block] = np.sqrt(np.einsum("mkd,mkd->mk", gaps, gaps))
    return distances


def _hard_positives(distances: np.ndarray, class_of: np.ndarray, skip: float) -> np.ndarray:
    """Return the farthest candidate `(m,)` of each row within the limit of its class; -1 if there is none."""
    # by class, then by distance, NaN last
    order = np.lexsort((distances.reshape(-1), np.repeat(class_of, distances.shape[1])))
    count = np.bincount(class_of, weights=(~np.isnan(distances)).sum(axis=1)).astype(np.intp)
    size = np.bincount(class_of) * distances.shape[1]
    last = np.cumsum(size) - size + np.maximum(np.ceil(count * (1.0 - skip)).astype(np.intp) - 1, 0)
    limit = distances.reshape(-1)[order][np.minimum(last, distances.size - 1)]
    allowed = np.where(distances <= limit[class_of, None], distances, -1.0)
    best = allowed.argmax(axis=1)
    return np.where(allowed[np.arange(len(best)), best] >= 0, best, -1)


def _semi_hard_negatives(distances: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the nearest candidate `(m,)` of each row beyond `own`, or else the farthest."""
    beyond = np.where(distances > own[:, None], distances, np.inf)
    return np.where(np.isfinite(beyond).any(axis=1), beyond.argmin(axis=1), distances.argmax(axis=1))


def _row_means(distances: np.ndarray) -> np.ndarray:
    """Return the mean of each row without NaN; the overall mean for a row without any."""
    number = (~np.isnan(distances)).sum(axis=1)
    sums = np.nansum(distances, axis=1)
    overall = sums.sum() / max(number.sum(), 1)
    return np.where(number > 0, sums / np.maximum(number, 1), overall)


def _limit_repeats(mined: np.ndarray, pairs: np.ndarray, similar: np.ndarray, max_repeats: float) -> None:
    """Undo changes of positive pairs, in place, until no pair occurs too often because of them."""
    where = np.flatnonzero(similar == 1)
    while True:
        ends = np.sort(mined[where], axis=1)
        _, same = np.unique(ends[:, 0] * (mined.max() + 1) + ends[:, 1], return_inverse=True)
        changed = mined[where, 1] != pairs[where, 1]
        order = np.lexsort((changed, same.reshape(-1)))  # unchanged pairs first
        begins = np.flatnonzero(np.diff(same.reshape(-1)[order], prepend=-1))
        occurrence = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
        undone = order[(occurrence >= max_repeats) & changed[order]]
        if not len(undone):
            return
        mined[where[undone], 1] = pairs[where[undone], 1]
