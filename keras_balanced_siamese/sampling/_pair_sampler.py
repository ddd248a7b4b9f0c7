"""Per-class quotas of positive pairs for one epoch, and the pairs drawn by them."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._text import count_and_names
from keras_balanced_siamese.sampling._class_sampler import ClassSampler, SamplingOptions
from keras_balanced_siamese.sampling._class_shares import natural_fraction
from keras_balanced_siamese.sampling._pair_plan import PairPlan, negative_marginals, plan_pairs, positives_before
from keras_balanced_siamese.sampling._quotas import fill
from keras_balanced_siamese.sampling._resampling import Pool


class PairQuotas(NamedTuple):
    """The samples of one epoch, and the expected number of positive pairs of each class."""

    pool: Pool
    codes: np.ndarray  # (N,) class of each sample
    synthetic: np.ndarray | None  # (N, d) the samples, if resampling generated them
    shares: np.ndarray  # (C,) share of each class
    fraction: float  # share of positive pairs
    repeats: float  # largest number of times that a positive pair comes
    expected: np.ndarray  # (C,) expected number of positive pairs of each class


class PairSampler:
    """Sampler of the pairs of each epoch, reproducible by epoch number.

    Args:
        labels: The labels of all samples.
        x: The samples, for a `resampling` that reads them.
        options: The options for drawing samples.
        positive_fraction: Share of pairs of one class; `None` means the natural fraction.
        seed: The seed of all epochs.
    """

    def __init__(self, labels: Labels, x: Any, options: SamplingOptions, *, positive_fraction: float | None, seed: int):
        self.class_sampler = ClassSampler(labels, x, options, seed)
        self.labels = labels
        self.options = options
        self.positive_fraction = positive_fraction
        self.seed = seed
        self.total = self.class_sampler.total  # pairs in an epoch

    def quotas(self, epoch: int) -> PairQuotas:
        """The expected number of positive pairs of each class in the epoch.

        Raises:
            ValueError: If the shares leave too few classes to form the pairs.
        """
        pool, codes, synthetic, shares = self.class_sampler.epoch_source(epoch)
        fraction = self.positive_fraction
        if fraction is None:
            fraction = natural_fraction(shares, pool.count)
        if fraction < 1 and (shares > 0).sum() < 2:
            raise ValueError(
                "Different pairs need at least two classes with a share above 0. "
                f"Received: class_sampling={self.class_sampler.class_sampling!r}"
            )
        able = np.where(pool.count > 1, shares, 0.0)
        if fraction > 0 and not able.any():
            raise ValueError(
                "Pairs of one class need a class of two or more samples with a share above 0. Collect more samples, or "
                f"pass positive_fraction=0. Received: {len(shares)} classes of {pool.count.max()} samples at most"
            )
        n_positive = int(positives_before(self.total, fraction))
        distinct = pool.count * (pool.count - 1) // 2
        repeats = self.options.repeats
        if n_positive:  # a limit that is too low is raised
            repeats = max(repeats, float(-(-n_positive // int(distinct[able > 0].sum()))))
        expected = fill(n_positive, able, np.where(distinct > 0, repeats, 0.0) * np.maximum(distinct, 1))
        return PairQuotas(pool, codes, synthetic, shares, fraction, repeats, expected)

    def plan(self, epoch: int) -> PairPlan:
        """The pairs of the epoch."""
        quotas = self.quotas(epoch)
        pairs, similar = plan_pairs(
            quotas.pool, quotas.fraction, quotas.expected, quotas.shares, self.total, epoch, self.seed
        )
        return PairPlan(pairs, similar, quotas.codes, quotas.synthetic)

    def warn(self) -> None:
        """Warn of classes of one sample, and of a limit that is too low, in the first epoch."""
        counts, quotas = self.labels.counts, self.quotas(0)
        if quotas.fraction == 0:
            return
        single = [label for label, n, v in zip(self.labels.classes, counts, quotas.shares, strict=True) if n == 1 and v]
        if single:
            warnings.warn(
                f"{count_and_names(single)} of {len(counts)} with only one sample: no pair of one class, only pairs of "
                "different classes",
                stacklevel=3,
            )
        if quotas.repeats > self.options.repeats:
            warnings.warn(
                f"An epoch has {quotas.expected.sum():,.0f} pairs of one class, but so few are different that each "
                f"comes up to {quotas.repeats:g} times instead of max_repeats={self.options.max_repeats}. Pass a "
                "smaller `steps_per_epoch`, or max_repeats=None",
                stacklevel=3,
            )

    def class_distribution(self, epoch: int) -> np.ndarray:
        """The share `(C,)` of each class among the members of all pairs, with the sum 1."""
        quotas = self.quotas(epoch)
        n_positive = quotas.expected.sum()
        members = quotas.expected + (self.total - n_positive) * negative_marginals(quotas.shares)
        return members / self.total
