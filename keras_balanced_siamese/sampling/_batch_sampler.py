"""Per-class quotas of batches for one epoch, and the batches drawn by them."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._text import count_and_names
from keras_balanced_siamese.sampling._batch_plan import BatchPlan, compose, take_samples
from keras_balanced_siamese.sampling._class_sampler import ClassSampler, EpochSource, SamplingOptions
from keras_balanced_siamese.sampling._quotas import fill, round_with_debts
from keras_balanced_siamese.sampling._sample_order import Order, random_order


class BatchQuotas(NamedTuple):
    """The samples of one epoch, and the number of batches that contain each class."""

    source: EpochSource
    repeats: float  # largest number of times that two samples of a class meet
    caps: np.ndarray  # (C,) largest number of batches that contain the class
    expected: np.ndarray  # (C,) expected number of batches that contain the class


class BatchSampler:
    """Sampler of the batches of each epoch, reproducible by epoch number.

    Args:
        labels: The labels of all samples.
        x: The samples, for a `resampling` that reads them.
        options: The options for drawing samples.
        classes_per_batch: P.
        samples_per_class: K.
        steps_per_epoch: Batches in an epoch; `None` means about as many samples as there are.
        min_samples: Classes of fewer samples are left out.
        seed: The seed of all epochs.
    """

    def __init__(
        self,
        labels: Labels,
        x: Any,
        options: SamplingOptions,
        *,
        classes_per_batch: int,
        samples_per_class: int,
        steps_per_epoch: int | None,
        min_samples: int,
        seed: int,
    ):
        self.classes_per_batch = whole("classes_per_batch", classes_per_batch, 2)
        self.samples_per_class = whole("samples_per_class", samples_per_class, 2)
        self.class_sampler = ClassSampler(labels, x, options, seed)
        self.labels = labels
        self.options = options
        self.min_samples = whole("min_samples", min_samples, 1)
        self.seed = seed
        self.steps = -(-self.class_sampler.total // (self.classes_per_batch * self.samples_per_class))
        if steps_per_epoch is not None:
            self.steps = whole("steps_per_epoch", steps_per_epoch, 1)
        kept = options.resampling is None or (
            isinstance(options.resampling, str) and options.resampling == "oversample"
        )
        self._fresh = not kept  # whether each epoch has its own samples
        self._order: Order | None = None
        self._past: tuple[ClassSampler, int, np.ndarray, np.ndarray] | None = None

    def quotas(self, epoch: int) -> BatchQuotas:
        """The number of batches in which each class comes.

        Raises:
            ValueError: If too few classes can take part.
        """
        source = self.class_sampler.epoch_source(epoch)
        count = source.pool.count
        able = np.where(count >= self.min_samples, source.shares, 0.0)
        total, n_able = self.steps * self.classes_per_batch, int((able > 0).sum())
        if n_able < self.classes_per_batch:
            raise ValueError(
                f"A batch of {self.classes_per_batch} classes needs {self.classes_per_batch} classes or more with a "
                f"share above 0 and at least {self.min_samples} samples. Pass a smaller `classes_per_batch` or "
                "`min_samples`, or collect more samples. "
                f"Received: {n_able} such classes of {len(count)}, classes_per_batch={self.classes_per_batch}"
            )
        pairs, a_visit = _pairs(count), _pairs(np.minimum(count, self.samples_per_class))
        repeats = self.options.repeats
        caps = np.minimum(np.floor(repeats * pairs / a_visit), self.steps)
        if caps[able > 0].sum() >= total:
            return BatchQuotas(source, repeats, caps, fill(total, able, caps))
        # if the caps are too low, they are raised, and each class then comes as often as its cap allows
        expected = fill(total, np.where(able > 0, pairs / a_visit, 0.0), np.full(len(pairs), float(self.steps)))
        return BatchQuotas(source, float((expected * a_visit / pairs).max()), expected, expected)

    def plan(self, epoch: int) -> BatchPlan:
        """The batches of the epoch."""
        quotas = self.quotas(epoch)
        visits, owed = self._before(epoch)
        source, now = quotas.source, self._visits(quotas.expected, owed, epoch)
        class_of = compose(now, self.steps, np.random.default_rng([self.seed, epoch, 7]))
        samples = take_samples(
            class_of, visits, self.samples_per_class, self._ordered(source.pool.count, epoch), source.pool
        )
        return BatchPlan(class_of, samples, source.codes, source.synthetic)

    def class_distribution(self, epoch: int) -> np.ndarray:
        """The share `(C,)` of each class among the samples of an epoch, with the sum 1."""
        return self.quotas(epoch).expected / (self.steps * self.classes_per_batch)

    def warn(self, copies_differ: bool) -> None:
        """Warn of classes that are left out or copied, and of a limit that is too low, in the first epoch."""
        quotas, classes = self.quotas(0), self.labels.classes
        count, with_share = quotas.source.pool.count, quotas.source.shares > 0
        left_out = np.flatnonzero(with_share & (count < self.min_samples))
        if len(left_out):
            _warn(
                f"{count_and_names([classes[c] for c in left_out])} of {len(classes)} left out: fewer samples than "
                f"min_samples={self.min_samples}"
            )
        short = np.flatnonzero((quotas.expected > 0) & (count < self.samples_per_class))
        if len(short) and not copies_differ:
            _warn(
                f"{count_and_names([classes[c] for c in short])} of {len(classes)} with fewer samples than "
                f"samples_per_class={self.samples_per_class}: a batch holds copies of their samples. Pass a "
                "`batch_transform` that changes each copy, such as `RandomAffine`, a smaller `samples_per_class`, or "
                f"min_samples={self.samples_per_class} to leave them out"
            )
        if quotas.repeats > self.options.repeats:
            _warn(
                f"An epoch of {self.steps:,} batches is so long that samples of a class meet up to "
                f"{quotas.repeats:.3g} times instead of max_repeats={self.options.max_repeats}. Pass a smaller "
                "`steps_per_epoch`, or max_repeats=None"
            )

    def _visits(self, expected: np.ndarray, owed: np.ndarray, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch, 6])
        return round_with_debts(expected, owed, self.steps * self.classes_per_batch, rng)

    def _before(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The visits `(C,)` of each class in all earlier epochs, and the visits still owed to it."""
        n_classes = len(self.labels.classes)
        past = self._past
        # no record, one of other shares, or one of a later epoch
        if self._fresh or past is None or past[0] is not self.class_sampler or past[1] > epoch:
            past = (self.class_sampler, 0, np.zeros(n_classes, np.int64), np.zeros(n_classes))
        _, begin, visits, owed = past
        expected = None
        for e in range(begin, 0 if self._fresh else epoch):
            if expected is None or e <= self.class_sampler.last_epoch:
                expected = self.quotas(e).expected
            now = self._visits(expected, owed, e)
            visits, owed = visits + now, owed + expected - now
        self._past = (self.class_sampler, begin if self._fresh else epoch, visits, owed)
        return visits, owed

    def _ordered(self, count: np.ndarray, epoch: int) -> Order:
        if self._fresh or self._order is None:
            rng = np.random.default_rng([self.seed, epoch if self._fresh else 0, 8])
            self._order = random_order(count, rng)
        return self._order


def _pairs(count: np.ndarray) -> np.ndarray:
    """Number of pairs of `count` samples, at least 1."""
    return np.maximum(count * (count - 1) // 2, 1)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
