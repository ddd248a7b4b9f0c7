"""Labels and the wishes for an epoch -> in how many batches each class comes, and the batches."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._batch_plan import BatchPlan, compose, take_samples
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._class_sampler import ClassSampler, Offer
from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._quotas import fill, round_with_debts
from keras_balanced_siamese._summary_table import named
from keras_balanced_siamese._typing import ClassSampling
from keras_balanced_siamese._visits import Order, random_order


class Drawing(NamedTuple):
    """What one epoch draws from, and how often each class comes."""

    offer: Offer
    repeats: float  # how often two samples of a class may meet
    caps: np.ndarray  # (C,) batches in which the class may come
    expected: np.ndarray  # (C,) batches in which the class comes


class BatchSampler:
    """Draws the batches of each epoch; the same ones for the same epoch.

    The arguments are those of `BalancedBatchSequence`.
    """

    def __init__(
        self,
        labels: Labels,
        x: Any,
        classes_per_batch: int,
        samples_per_class: int,
        steps_per_epoch: int | None,
        class_sampling: ClassSampling,
        min_samples: int,
        max_repeats: int | None,
        resampling: Any,
        epochs: int | None,
        seed: int,
    ):
        self.p = whole("classes_per_batch", classes_per_batch, 2)
        self.k = whole("samples_per_class", samples_per_class, 2)
        self.source = ClassSampler(labels, x, class_sampling, resampling, epochs, seed)
        self.labels = labels
        self.min_samples = whole("min_samples", min_samples, 1)
        self.max_repeats = None if max_repeats is None else whole("max_repeats", max_repeats, 1)
        self.seed = seed
        self.steps = -(-self.source.total // (self.p * self.k))
        if steps_per_epoch is not None:
            self.steps = whole("steps_per_epoch", steps_per_epoch, 1)
        kept = resampling is None or (isinstance(resampling, str) and resampling == "oversample")
        self._fresh = not kept  # each epoch has samples of its own
        self._order: Order | None = None
        self._past: tuple[ClassSampler, int, np.ndarray, np.ndarray] | None = None

    def drawing(self, epoch: int) -> Drawing:
        """What the epoch draws from.

        Raises:
            ValueError: If too few classes can take part.
        """
        offer = self.source.offer(epoch)
        count = offer.pool.count
        able = np.where(count >= self.min_samples, offer.shares, 0.0)
        total, n_able = self.steps * self.p, int((able > 0).sum())
        if n_able < self.p:
            raise ValueError(
                f"A batch of {self.p} classes needs as many classes of at least {self.min_samples} samples with a "
                "share above 0. Pass a smaller `classes_per_batch` or `min_samples`, or collect more samples. "
                f"Received: {n_able} such classes of {len(count)}, classes_per_batch={self.p}"
            )
        pairs, a_visit = _pairs(count), _pairs(np.minimum(count, self.k))
        repeats = np.inf if self.max_repeats is None else float(self.max_repeats)
        caps = np.minimum(np.floor(repeats * pairs / a_visit), self.steps)
        if caps[able > 0].sum() >= total:
            return Drawing(offer, repeats, caps, fill(total, able, caps))
        # a cap that cannot hold is raised until it can, and then each class comes as often as it may
        expected = fill(total, np.where(able > 0, pairs / a_visit, 0.0), np.full(len(pairs), float(self.steps)))
        return Drawing(offer, float((expected * a_visit / pairs).max()), expected, expected)

    def plan(self, epoch: int) -> BatchPlan:
        """The batches of the epoch."""
        drawing = self.drawing(epoch)
        visits, owed = self._before(epoch)
        offer, now = drawing.offer, self._visits(drawing.expected, owed, epoch)
        owner = compose(now, self.steps, np.random.default_rng([self.seed, epoch, 7]))
        samples = take_samples(owner, visits, self.k, self._ordered(offer.pool.count, epoch), offer.pool)
        return BatchPlan(owner, samples, offer.codes, offer.made)

    def class_distribution(self, epoch: int) -> np.ndarray:
        """The share `(C,)` of each class in what is drawn, with the sum 1."""
        return self.drawing(epoch).expected / (self.steps * self.p)

    def warn(self) -> None:
        """Warn of what the first epoch cannot do."""
        drawing, classes = self.drawing(0), self.labels.classes
        count, wanted = drawing.offer.pool.count, drawing.offer.shares > 0
        left_out = np.flatnonzero(wanted & (count < self.min_samples))
        if len(left_out):
            _warn(
                f"{named([classes[c] for c in left_out])} of {len(classes)} left out: fewer samples than "
                f"min_samples={self.min_samples}"
            )
        short = np.flatnonzero((drawing.expected > 0) & (count < self.k))
        if len(short):
            _warn(
                f"{named([classes[c] for c in short])} of {len(classes)} with fewer samples than "
                f"samples_per_class={self.k}: a batch holds copies of them. Pass a smaller `samples_per_class`, or "
                f"min_samples={self.k} to leave them out"
            )
        if self.max_repeats is not None and drawing.repeats > self.max_repeats:
            _warn(
                f"An epoch of {self.steps:,} batches is so long that samples of a class meet up to "
                f"{drawing.repeats:.3g} times instead of max_repeats={self.max_repeats}. Pass a smaller "
                "`steps_per_epoch`, or max_repeats=None"
            )

    def _visits(self, expected: np.ndarray, owed: np.ndarray, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch, 6])
        return round_with_debts(expected, owed, self.steps * self.p, rng)

    def _before(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The visits `(C,)` of each class in all epochs before this one, and how many more it was to have."""
        n_classes = len(self.labels.classes)
        past = self._past
        if self._fresh or past is None or past[0] is not self.source or past[1] > epoch:  # other shares, or later
            past = (self.source, 0, np.zeros(n_classes, np.int64), np.zeros(n_classes))
        _, begin, visits, owed = past
        expected = None
        for e in range(begin, 0 if self._fresh else epoch):
            if expected is None or e <= self.source.last_epoch:
                expected = self.drawing(e).expected
            now = self._visits(expected, owed, e)
            visits, owed = visits + now, owed + expected - now
        self._past = (self.source, begin if self._fresh else epoch, visits, owed)
        return visits, owed

    def _ordered(self, count: np.ndarray, epoch: int) -> Order:
        if self._fresh or self._order is None:
            rng = np.random.default_rng([self.seed, epoch if self._fresh else 0, 8])
            self._order = random_order(count, rng)
        return self._order


def _pairs(count: np.ndarray) -> np.ndarray:
    """Pairs of `count` samples; a sample alone counts as one."""
    return np.maximum(count * (count - 1) // 2, 1)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
