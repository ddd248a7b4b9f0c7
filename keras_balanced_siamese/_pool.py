"""Labels and a way of resampling -> the samples that an epoch may draw, on one ring for each class."""

import copy
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._labels import Labels

RESAMPLING = ("undersample", "oversample")


class Pool(NamedTuple):
    """The samples of an epoch. Each class has a ring; the epoch's samples follow one another on it."""

    ring: np.ndarray  # (N,) samples, class after class, each class in random order
    start: np.ndarray  # (C,) where the ring of a class begins
    size: np.ndarray  # (C,) samples on it
    turn: np.ndarray  # (C,) place on it where the epoch's samples begin
    count: np.ndarray  # (C,) how many there are
    drawn: np.ndarray  # (C,) for how many samples the class counts

    def samples(self, owner: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The samples at places 0 to `count - 1` of their classes."""
        if self.turn.any():
            place = (self.turn[owner] + place) % self.size[owner]
        return self.ring[self.start[owner] + place]


def whole_pool(codes: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> Pool:
    """All samples, each class in random order."""
    ring = _shuffled_by_class(codes, len(counts), rng)
    return Pool(ring, np.cumsum(counts) - counts, counts, np.zeros_like(counts), counts, counts)


def resample(pool: Pool, resampling: str, epoch: int) -> Pool:
    """The epoch's part of all samples.

    - `"undersample"`: as many of each class as the smallest has. Each epoch goes on where the last one ended, so all
      samples of a class have had their turn after `ceil(n_c / smallest)` epochs.
    - `"oversample"`: all samples; each class counts as if it had as many as the largest.
    """
    if resampling == "oversample":
        return pool._replace(drawn=np.full_like(pool.drawn, pool.drawn.max()))
    smallest = np.full_like(pool.count, pool.count.min())
    gone = epoch * smallest
    turn = (gone + gone // pool.size) % pool.size  # each lap begins at another place, so neighbours change
    return pool._replace(turn=turn, count=smallest, drawn=smallest)


def sampled_pool(
    sampler: Any, x: Any, labels: Labels, seed: np.random.SeedSequence
) -> tuple[Pool, np.ndarray, np.ndarray | None]:
    """What a sampler of imbalanced-learn makes of the samples.

    Args:
        sampler: Anything with `fit_resample`; its `random_state`, if it has one, is set from `seed`.
        x: The samples: `(n, d)` numbers, or anything for samplers that draw at random.
        labels: Their labels.
        seed: Of this epoch.

    Returns:
        The pool, the class of each of its samples, and for a sampler that makes new samples all of them `(N, d)`, to
        which the pool's indices then refer.

    Raises:
        ValueError: If the sampler needs a matrix and `x` is none, or leaves a class without samples.
    """
    sampler = copy.deepcopy(sampler)
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=int(seed.generate_state(1)[0]))
    matrix = isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind in "fiub"
    at_random = any(cls.__name__ in ("RandomUnderSampler", "RandomOverSampler") for cls in type(sampler).__mro__)
    if not (matrix or at_random):
        received = f"an array of shape {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise ValueError(
            f"`resampling={type(sampler).__name__}()` compares or mixes the samples themselves, so `x` must be a "
            "matrix of numbers, shape (n, d). Pass embeddings or features as `x`, or resample by 'undersample', "
            f"'oversample' or a random sampler, which take any samples. Received: x={received}"
        )
    features = np.arange(len(labels.codes))[:, None] if at_random else x
    new_x, new_codes = sampler.fit_resample(features, labels.codes)
    index = getattr(sampler, "sample_indices_", None)
    codes = labels.codes
    if index is None:
        index, codes = np.arange(len(new_x)), np.asarray(new_codes, np.int32)
    drawn = np.bincount(codes[index], minlength=len(labels.classes))
    if not drawn.all():
        lost = [label for label, n in zip(labels.classes, drawn, strict=True) if n == 0]
        raise ValueError(f"`resampling={sampler!r}` leaves no sample of the classes {lost[:10]}")
    members = np.unique(index)
    count = np.bincount(codes[members], minlength=len(labels.classes))
    rng = np.random.default_rng(seed)
    pool = whole_pool(codes[members], count, rng)._replace(drawn=drawn)
    made = None if hasattr(sampler, "sample_indices_") else np.asarray(new_x)
    return pool._replace(ring=members[pool.ring]), codes, made


def check_resampling(resampling: Any) -> None:
    """Refuse what is neither a name nor a sampler."""
    named = isinstance(resampling, str) and resampling in RESAMPLING
    if not (resampling is None or named or callable(getattr(resampling, "fit_resample", None))):
        error = ValueError if isinstance(resampling, str) else TypeError
        raise error(
            f"`resampling` must be None, one of {RESAMPLING} or a sampler of imbalanced-learn. "
            f"Received: resampling={resampling!r}"
        )


def _shuffled_by_class(codes: np.ndarray, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """All positions, class after class, each class in random order: one sort of [class, random bits, position]."""
    n = len(codes)
    for_position, for_class = int(n - 1).bit_length(), int(n_classes - 1).bit_length()
    keys = rng.integers(0, 2 ** (64 - for_position - for_class), n, np.uint64)
    keys <<= np.uint64(for_position)
    step = 2**20
    for begin in range(0, n, step):  # part by part: no second array of this size
        part = slice(begin, min(begin + step, n))
        keys[part] |= np.arange(part.start, part.stop, dtype=np.uint64)
        keys[part] |= codes[part].astype(np.uint64) << np.uint64(64 - for_class) if for_class else np.uint64(0)
    keys.sort()
    keys &= np.uint64(2**for_position - 1)
    return keys.astype(np.int32 if n < 2**31 else np.int64)
