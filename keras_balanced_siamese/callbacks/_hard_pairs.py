"""Pairs and embeddings -> harder partners of the same classes."""

from typing import NamedTuple

import numpy as np

SCRATCH = 2**25  # bytes for the embeddings of a block of candidates


class Embedded(NamedTuple):
    """Embeddings of some of the samples."""

    points: np.ndarray  # (m, d)
    row: np.ndarray  # (n,) row in `points` of each sample, -1 without one


class Harder(NamedTuple):
    """New pairs, and what was changed."""

    pairs: np.ndarray  # (m, 2)
    changed: np.ndarray  # (m,) which have another right sample
    distance: np.ndarray  # (m,) of the pairs that are changed, else NaN


def harder_pairs(
    pairs: np.ndarray,
    similar: np.ndarray,
    codes: np.ndarray,
    embedded: Embedded,
    share: float,
    candidates: int,
    skip: float,
    repeats: float,
    rng: np.random.Generator,
) -> Harder:
    """Give a share of the pairs another right sample of the same class, so that what each class gets stays as it is.

    - Of a positive pair: the farthest of some candidates, but none farther than all but `skip` of the class's positive
      distances are: among those are wrong labels.
    - Of a negative pair: the nearest candidate that is still farther than the anchor's own class is on average
      (semi-hard), or the farthest if there is none.

    Args:
        pairs: `(m, 2)` samples.
        similar: `(m,)` 1 for positive pairs.
        codes: `(n,)` classes.
        embedded: Embeddings; pairs without them stay as they are, and candidates have them.
        share: Of the pairs of each kind, from 0 to 1.
        candidates: Looked at for each pair.
        skip: Share of the positives that are taken for errors.
        repeats: How often a positive pair may come.
        rng: Source of all randomness.
    """
    chosen = _choose(pairs, similar, codes, embedded, share, rng)
    harder, distance = pairs.copy(), np.full(len(pairs), np.nan)
    by_class = _by_class(codes, embedded)
    for kind in (0, 1):
        where = np.flatnonzero(chosen & (similar == kind))
        if not len(where):
            continue
        left, right = pairs[where].T
        found = _candidates(by_class, codes[right], candidates, rng)
        gaps = _distances(embedded, left, found)
        gaps[found == left[:, None]] = np.nan
        if kind:
            best = _hard_positives(gaps, codes[right], skip)
        else:
            own = _candidates(by_class, codes[left], candidates, rng)
            to_own = _distances(embedded, left, own)
            to_own[own == left[:, None]] = np.nan
            best = _semi_hard_negatives(gaps, _row_means(to_own))
        ok = best >= 0
        harder[where[ok], 1] = found[ok, best[ok]]
        distance[where[ok]] = gaps[ok, best[ok]]
    _keep_the_cap(harder, pairs, similar, repeats)
    changed = harder[:, 1] != pairs[:, 1]
    return Harder(harder, changed, np.where(changed, distance, np.nan))


def _choose(
    pairs: np.ndarray,
    similar: np.ndarray,
    codes: np.ndarray,
    embedded: Embedded,
    share: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Which pairs get a new partner: the share of each kind, at random."""
    known = embedded.row[pairs[:, 0]] >= 0
    known &= np.bincount(codes[embedded.row >= 0], minlength=codes.max() + 1)[codes[pairs[:, 1]]] > 0
    chosen = np.zeros(len(pairs), bool)
    for kind in (0, 1):
        where = np.flatnonzero(similar == kind)
        wanted = rng.permutation(where)[: round(share * len(where))]
        chosen[wanted] = known[wanted]
    return chosen


def _by_class(codes: np.ndarray, embedded: Embedded) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The samples with embeddings, class after class, where each class begins, and how many it has."""
    samples = np.flatnonzero(embedded.row >= 0)
    samples = samples[np.argsort(codes[samples], kind="stable")]
    count = np.bincount(codes[samples], minlength=codes.max() + 1)
    return samples, np.cumsum(count) - count, count


def _candidates(
    by_class: tuple[np.ndarray, np.ndarray, np.ndarray], owner: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """`(m, number)` samples of the classes."""
    samples, start, count = by_class
    return samples[start[owner, None] + (rng.random((len(owner), number)) * count[owner, None]).astype(np.intp)]


def _distances(embedded: Embedded, left: np.ndarray, others: np.ndarray) -> np.ndarray:
    """`(m, k)` Euclidean distances of each left sample from its candidates."""
    points, row = embedded
    found = np.empty(others.shape)
    step = max(1, SCRATCH // (others.shape[1] * points.shape[1] * points.itemsize))
    for start in range(0, len(left), step):
        part = slice(start, start + step)
        gaps = points[row[others[part]]] - points[row[left[part]], None]
        found[part] = np.sqrt(np.einsum("mkd,mkd->mk", gaps, gaps))
    return found


def _hard_positives(gaps: np.ndarray, owner: np.ndarray, skip: float) -> np.ndarray:
    """Which candidate of each row is the farthest within the class's limit; -1 for none."""
    order = np.lexsort((gaps.reshape(-1), np.repeat(owner, gaps.shape[1])))  # by class, then by distance, NaN last
    count = np.bincount(owner, weights=(~np.isnan(gaps)).sum(axis=1)).astype(np.intp)
    begin = np.cumsum(np.bincount(owner) * gaps.shape[1]) - np.bincount(owner) * gaps.shape[1]
    last = begin + np.maximum(np.ceil(count * (1.0 - skip)).astype(np.intp) - 1, 0)
    limit = gaps.reshape(-1)[order][np.minimum(last, gaps.size - 1)]
    allowed = np.where(gaps <= limit[owner, None], gaps, -1.0)
    best = allowed.argmax(axis=1)
    return np.where(allowed[np.arange(len(best)), best] >= 0, best, -1)


def _semi_hard_negatives(gaps: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Which candidate of each row is the nearest beyond `own`, or the farthest."""
    beyond = np.where(gaps > own[:, None], gaps, np.inf)
    return np.where(np.isfinite(beyond).any(axis=1), beyond.argmin(axis=1), gaps.argmax(axis=1))


def _row_means(gaps: np.ndarray) -> np.ndarray:
    """Mean of each row; of all, where the class has only the anchor itself."""
    number = (~np.isnan(gaps)).sum(axis=1)
    sums = np.nansum(gaps, axis=1)
    overall = sums.sum() / max(number.sum(), 1)
    return np.where(number > 0, sums / np.maximum(number, 1), overall)


def _keep_the_cap(harder: np.ndarray, pairs: np.ndarray, similar: np.ndarray, repeats: float) -> None:
    """Take new positive pairs back where one would come too often."""
    where = np.flatnonzero(similar == 1)
    while True:
        ends = np.sort(harder[where], axis=1)
        _, same = np.unique(ends[:, 0] * (harder.max() + 1) + ends[:, 1], return_inverse=True)
        changed = harder[where, 1] != pairs[where, 1]
        order = np.lexsort((changed, same.reshape(-1)))  # the unchanged ones first
        begins = np.flatnonzero(np.diff(same.reshape(-1)[order], prepend=-1))
        nth = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
        back = order[(nth >= repeats) & changed[order]]
        if not len(back):
            return
        harder[where[back], 1] = pairs[where[back], 1]
