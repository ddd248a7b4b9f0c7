"""Labels and the wishes for an epoch -> what each class gets in it, and its pairs."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._class_sampler import ClassSampler
from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._pair_plan import PairPlan, negative_marginals, plan_pairs, positives_before
from keras_balanced_siamese._pool import Pool
from keras_balanced_siamese._quotas import fill
from keras_balanced_siamese._typing import ClassSampling
from keras_balanced_siamese.resampling import natural_fraction


class Drawing(NamedTuple):
    """What one epoch draws from, and in which proportions."""

    pool: Pool
    codes: np.ndarray  # (N,) class of each sample
    made: np.ndarray | None  # (N, d) the samples, if a sampler made them
    shares: np.ndarray  # (C,) of the classes
    fraction: float  # of positive pairs
    repeats: float  # how often a positive pair may come
    expected: np.ndarray  # (C,) positive pairs of each class


class PairSampler:
    """Draws the pairs of each epoch; the same ones for the same epoch.

    The arguments are those of `BalancedPairSequence`.
    """

    def __init__(
        self,
        labels: Labels,
        x: Any,
        class_sampling: ClassSampling,
        resampling: Any,
        positive_fraction: float | None,
        max_repeats: int | None,
        epochs: int | None,
        seed: int,
    ):
        self.source = ClassSampler(labels, x, class_sampling, resampling, epochs, seed)
        self.labels = labels
        self.positive_fraction = positive_fraction
        self.max_repeats = None if max_repeats is None else whole("max_repeats", max_repeats, 1)
        self.seed = seed
        self.total = self.source.total  # pairs in an epoch

    def drawing(self, epoch: int) -> Drawing:
        """What the epoch draws from.

        Raises:
            ValueError: If the shares leave too few classes for the pairs that are wanted.
        """
        pool, codes, made, shares = self.source.offer(epoch)
        fraction = self.positive_fraction
        if fraction is None:
            fraction = natural_fraction(shares, pool.count)
        if fraction < 1 and (shares > 0).sum() < 2:
            raise ValueError(
                "Different pairs need at least two classes with a share above 0. "
                f"Received: class_sampling={self.source.class_sampling!r}"
            )
        able = np.where(pool.count > 1, shares, 0.0)
        if fraction > 0 and not able.any():
            raise ValueError(
                "Pairs of one class need a class of two or more samples with a share above 0. Collect more samples, or "
                f"pass positive_fraction=0. Received: {len(shares)} classes of {pool.count.max()} samples at most"
            )
        n_positive = int(positives_before(self.total, fraction))
        distinct = pool.count * (pool.count - 1) // 2
        repeats = np.inf if self.max_repeats is None else float(self.max_repeats)
        if n_positive:  # a cap that cannot hold is raised
            repeats = max(repeats, float(-(-n_positive // int(distinct[able > 0].sum()))))
        expected = fill(n_positive, able, np.where(distinct > 0, repeats, 0.0) * np.maximum(distinct, 1))
        return Drawing(pool, codes, made, shares, fraction, repeats, expected)

    def plan(self, epoch: int) -> PairPlan:
        """The pairs of the epoch."""
        drawing = self.drawing(epoch)
        pairs, similar = plan_pairs(
            drawing.pool, drawing.fraction, drawing.expected, drawing.shares, self.total, epoch, self.seed
        )
        return PairPlan(pairs, similar, drawing.codes, drawing.made)

    def warn(self) -> None:
        """Warn of what the first epoch cannot do."""
        counts, drawing = self.labels.counts, self.drawing(0)
        if drawing.fraction == 0:
            return
        single = [
            label for label, n, v in zip(self.labels.classes, counts, drawing.shares, strict=True) if n == 1 and v
        ]
        if single:
            named = ", ".join(map(repr, single[:10])) + (", ..." if len(single) > 10 else "")
            warnings.warn(
                f"{len(single)} of {len(counts)} classes have one sample and form no pair of one class, only pairs of "
                f"different classes: {named}",
                stacklevel=3,
            )
        if self.max_repeats is not None and drawing.repeats > self.max_repeats:
            warnings.warn(
                f"An epoch has {drawing.expected.sum():,.0f} pairs of one class, and the samples form so few that each "
                f"comes up to {drawing.repeats:g} times instead of max_repeats={self.max_repeats}. Pass a smaller "
                "`steps_per_epoch`, or max_repeats=None",
                stacklevel=3,
            )

    def class_distribution(self, epoch: int) -> np.ndarray:
        """The share `(C,)` of each class among the members of all pairs, with the sum 1."""
        drawing = self.drawing(epoch)
        n_positive = drawing.expected.sum()
        members = drawing.expected + (self.total - n_positive) * negative_marginals(drawing.shares)
        return members / self.total
