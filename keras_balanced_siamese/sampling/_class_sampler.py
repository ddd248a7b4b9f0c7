"""Samples and class shares of each epoch, after resampling."""

import copy
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._typing import ClassSampling
from keras_balanced_siamese.sampling._class_shares import PROGRESSIVE, class_shares
from keras_balanced_siamese.sampling._resampling import Pool, check_resampling, resample, sampled_pool, whole_pool


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Arguments of a sequence for drawing samples; see `BalancedPairSequence`."""

    class_sampling: ClassSampling
    resampling: Any
    epochs: int | None
    max_repeats: int | None

    def __post_init__(self) -> None:
        if self.max_repeats is not None:
            whole("max_repeats", self.max_repeats, 1)

    @property
    def repeats(self) -> float:
        """`max_repeats` as a number, infinite where there is no limit."""
        return np.inf if self.max_repeats is None else float(self.max_repeats)


class EpochSource(NamedTuple):
    """The samples and the class shares from which one epoch is drawn."""

    pool: Pool
    codes: np.ndarray  # (N,) class of each sample
    synthetic: np.ndarray | None  # (N, d) the samples, if resampling generated them
    shares: np.ndarray  # (C,) share of each class


class ClassSampler:
    """The samples and the class shares of each epoch, reproducible by epoch number.

    Args:
        labels: The labels of all samples.
        x: The samples, for a `resampling` that reads them.
        options: The options for drawing samples.
        seed: The seed of all epochs.
    """

    def __init__(self, labels: Labels, x: Any, options: SamplingOptions, seed: int):
        class_sampling, epochs = options.class_sampling, options.epochs
        check_resampling(options.resampling)
        progressive = isinstance(class_sampling, str) and class_sampling == PROGRESSIVE
        if progressive != (epochs is not None):
            cure = "Pass the number of `epochs` too" if progressive else "Leave it out otherwise"
            raise ValueError(
                "`epochs` is for class_sampling='progressive', which goes from natural to balanced shares. "
                f"{cure}. Received: class_sampling={class_sampling!r}, epochs={epochs!r}"
            )
        if len(labels.counts) < 2:
            raise ValueError(f"`y` must hold at least two classes. Received: only the class {labels.classes[0]!r}")
        self.labels = labels
        self.x = x
        self._sampling = self._resolved(class_sampling)
        self.resampling = options.resampling
        self.epochs = None if epochs is None else whole("epochs", epochs, 2)
        self.seed = seed
        self._all = whole_pool(labels.codes, labels.counts, np.random.default_rng([seed, 0, 2]))
        self._pooled: tuple[int, tuple[Pool, np.ndarray, np.ndarray | None]] | None = None
        self.total = int(self._pool(0)[0].nominal_count.sum())  # nominal number of samples of the first epoch
        self.last_epoch = (self.epochs or 1) - 1  # the shares stay the same after it

    @property
    def class_sampling(self) -> ClassSampling:
        """The rule of the shares, or the shares by class, scaled to the sum 1."""
        if isinstance(self._sampling, np.ndarray):
            return dict(zip(self.labels.classes, self._sampling.tolist(), strict=True))
        return self._sampling

    def epoch_source(self, epoch: int) -> EpochSource:
        """The samples and the class shares of the epoch."""
        pool, codes, synthetic = self._pool(epoch)
        progress = 0.0 if self.epochs is None else min(epoch / (self.epochs - 1), 1.0)
        shares = self._sampling
        if not isinstance(shares, np.ndarray):
            shares = class_shares(self.labels.classes, pool.nominal_count, shares, progress)
        return EpochSource(pool, codes, synthetic, shares)

    def changed(self, class_sampling: ClassSampling) -> "ClassSampler":
        """A sampler with other shares.

        Raises:
            ValueError: If the present or the new shares are progressive.
        """
        if self.epochs is not None or (isinstance(class_sampling, str) and class_sampling == PROGRESSIVE):
            raise ValueError(
                "Progressive shares cannot be assigned or replaced, as they change with the epoch. Construct the "
                "sequence with another `class_sampling`, and assign another one. "
                f"Received: {class_sampling!r} in place of {self.class_sampling!r}"
            )
        return self.with_sampling(self._resolved(class_sampling))

    def with_sampling(self, sampling: str | float | np.ndarray) -> "ClassSampler":
        """A sampler with another rule, or with shares `(C,)` of the sum 1."""
        changed = copy.copy(self)
        changed._sampling = sampling
        return changed

    def _resolved(self, class_sampling: ClassSampling) -> str | float | np.ndarray:
        """A rule unchanged, or the shares `(C,)` of a mapping, aligned with the classes once for all epochs."""
        if isinstance(class_sampling, (str, Real)):
            return class_sampling
        return class_shares(self.labels.classes, self.labels.counts, class_sampling)

    def _pool(self, epoch: int) -> tuple[Pool, np.ndarray, np.ndarray | None]:
        if self.resampling is None:
            return self._all, self.labels.codes, None
        if isinstance(self.resampling, str):
            return resample(self._all, self.resampling, epoch), self.labels.codes, None
        if self._pooled is None or self._pooled[0] != epoch:
            sequence = np.random.SeedSequence([self.seed, epoch, 3])
            self._pooled = (epoch, sampled_pool(self.resampling, self.x, self.labels, sequence))
        return self._pooled[1]
