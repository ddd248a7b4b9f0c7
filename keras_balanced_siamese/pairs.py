"""Balanced pairs for a two-input model, as a data set that `model.fit` takes."""

import secrets
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import PyDataset
from keras_balanced_siamese._checks import fraction, whole
from keras_balanced_siamese._labels import align_weights, encode_labels
from keras_balanced_siamese._pair_plan import PairPlan, negative_marginals, plan_pairs
from keras_balanced_siamese._sources import length, open_source, parts, read
from keras_balanced_siamese._typing import ArrayLike, ClassSampling, ClassWeights, Label, WeightScheme
from keras_balanced_siamese.class_weights import scheme_weights
from keras_balanced_siamese.resampling import class_shares

FREQUENCY_SCHEMES = ("balanced", "sqrt", "effective")


class BalancedPairSequence(PyDataset):
    """Pairs of samples in which every class has its promised share, drawn afresh for every epoch.

    - A full batch holds exactly `round(batch_size * positive_fraction)` pairs of one class; the last batch keeps the
      fraction.
    - Each class has its `class_sampling` share of the positive pairs of an epoch, rounded up or down. No sample is
      paired with itself. Inside a class each pair comes once before any comes again, and each sample before any other
      comes twice. A class of one sample has no positive pair: a warning names it, and it takes part in negatives.
    - A negative pair is drawn class first: classes `a` and `b` with the probability
      `2 v_a v_b / (1 - sum of v_c ** 2)`, `v` being the shares, then one sample of each.
    - `class_weight` gives positive pairs the weight `w_c` and negative ones `sqrt(w_a w_b)`, each kind scaled to the
      mean 1 over the epoch.
    - The indices of a batch are a function of (seed, epoch, index) and nothing else.

    Args:
        x: `n` samples: an array of any rank and dtype (kept), a memmap, an h5py or zarr array, a list (of paths, with a
            `transform` that loads), or a tuple or dict of those for an encoder with several inputs. Nothing is copied.
        y: `(n,)` class labels: integers, strings, booleans or finite floats, in any order.
        batch_size: Pairs in a batch.
        steps_per_epoch: Batches in an epoch. `None` means `ceil(n / batch_size)`, as many pairs as there are samples.
        positive_fraction: Share of pairs of one class, from 0 to 1.
        class_sampling: Share of each class among the pairs: `"balanced"`, `"sqrt"`, `"natural"`, a number q (share
            proportional to `n_c ** q`), or a mapping of class to share.
        class_weight: `None`, a mapping of class to weight, or a scheme of `class_weights`. Sampling already corrects
            the frequencies: weights are for classes that are hard, not for those that are rare.
        transform: Function of one sample (an item of `x`, or a tuple or dict of items), called on each sample that is
            drawn; its results are stacked.
        redraw: If true, every epoch of `fit` draws new pairs. If false, all epochs see those of epoch 0: what
            validation needs.
        with_classes: If true, the labels have two more columns, the positions in `classes` of the left and the right
            sample, for metrics that are measured per class. The losses of this package read the first column.
        seed: Whole number >= 0; `None` takes one from the operating system.
        workers, use_multiprocessing, max_queue_size: See `keras.utils.PyDataset`.

    Returns:
        Indexing with a batch number gives `((left, right), similar, sample_weight)`. Left and right are `(b, ...)` in
        the dtype of `x`, `similar` float32 `(b, 1)` with 1 for pairs of one class (`(b, 3)` with classes),
        `sample_weight` float32 `(b,)`.

    Raises:
        ValueError: If `x` and `y` differ in length, there are fewer than two classes or no samples, labels are missing,
            no class can form the positive pairs asked for, or an argument is out of its range.
        TypeError: If an argument is of the wrong type.

    Examples:
        >>> y = ["common"] * 90 + ["rare"] * 10
        >>> pairs = BalancedPairSequence(np.arange(100.0), y, batch_size=10, seed=0)
        >>> (left, right), similar, sample_weight = pairs[0]
        >>> len(pairs), similar.shape, float(similar.sum())
        (10, (10, 1), 5.0)
        >>> sum(int((left[similar[:, 0] == 1] >= 90).sum()) for (left, _), similar, _ in pairs)  # rare, of 50 in all
        25
    """

    def __init__(
        self,
        x: Any,
        y: ArrayLike,
        batch_size: int = 32,
        *,
        steps_per_epoch: int | None = None,
        positive_fraction: float = 0.5,
        class_sampling: ClassSampling = "balanced",
        class_weight: WeightScheme | None = None,
        transform: Callable[[Any], Any] | None = None,
        redraw: bool = True,
        with_classes: bool = False,
        seed: int | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ):
        super().__init__(workers=workers, use_multiprocessing=use_multiprocessing, max_queue_size=max_queue_size)
        self._labels = encode_labels(y, "y")
        self._source = open_source(x)
        _check_lengths(self._source, len(self._labels.codes))
        self.batch_size = whole("batch_size", batch_size, 1)
        self.positive_fraction = fraction("positive_fraction", positive_fraction)
        self.seed = secrets.randbits(63) if seed is None else whole("seed", seed, 0)
        if transform is not None and not callable(transform):
            raise TypeError(f"`transform` must be a function of one sample. Received: transform={transform!r}")
        self.transform = transform
        self.class_sampling = class_sampling
        self.redraw = bool(redraw)
        self.with_classes = bool(with_classes)
        n = len(self._labels.codes)
        self._steps = -(-n // self.batch_size)
        self._n_pairs = n
        if steps_per_epoch is not None:
            self._steps = whole("steps_per_epoch", steps_per_epoch, 1)
            self._n_pairs = self._steps * self.batch_size
        self._shares = class_shares(self.classes, self._labels.counts, class_sampling)
        self._positive_shares = self._check_classes()
        self._weights = self._starting_weights(class_weight)
        self._epoch = 0
        self._served = 0
        self._plan: tuple[int, PairPlan] | None = None
        self._means: tuple[int, np.ndarray, tuple[float, float]] | None = None

    def __len__(self) -> int:
        return self._steps

    @property
    def num_batches(self) -> int:
        """Batches in an epoch, the same as `len`."""
        return self._steps

    def __getitem__(self, index: int) -> tuple[tuple[Any, Any], np.ndarray, np.ndarray]:
        left, right, similar = self.indices(index)
        self._served += 1
        weights = self._pair_weights(left, right, similar)
        sides = read(self._source, np.concatenate([left, right]), self.transform)
        columns = [similar, self.labels[left], self.labels[right]] if self.with_classes else [similar]
        return _halves(sides, len(left)), np.stack(columns, axis=1).astype(np.float32), weights

    def indices(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The samples of a batch, without loading them.

        Returns:
            Left indices `(b,)`, right indices `(b,)` and `similar` float32 `(b,)`.

        Raises:
            IndexError: If there is no such batch.
        """
        if not -self._steps <= index < self._steps:
            raise IndexError(f"The epoch has {self._steps} batches. Received: index={index}")
        index %= self._steps
        epoch, plan = self._current_plan()
        per_batch = self._positives_of(self.batch_size)
        positive = _nth_slice(plan.positives, index, per_batch)
        negative = _nth_slice(plan.negatives, index, self.batch_size - per_batch)
        order = np.random.default_rng([self.seed, epoch, 1 + index]).permutation(len(positive) + len(negative))
        pairs = np.concatenate([positive, negative])[order]
        similar = (order < len(positive)).astype(np.float32)
        return pairs[:, 0], pairs[:, 1], similar

    @property
    def classes(self) -> list[Label]:
        """The class labels, sorted."""
        return self._labels.classes

    @property
    def labels(self) -> np.ndarray:
        """`(n,)` position in `classes` of each sample."""
        return self._labels.codes

    @property
    def class_weight(self) -> Mapping[Label, float]:
        """The weight of each class as it is now; assign a mapping to change it from the next batch on."""
        return MappingProxyType(dict(zip(self.classes, self._weights.tolist(), strict=True)))

    @class_weight.setter
    def class_weight(self, class_weight: ClassWeights) -> None:
        self._weights = align_weights(class_weight, self.classes)

    @property
    def class_distribution(self) -> dict[Label, float]:
        """The share of each class among the members of all pairs of an epoch, with the sum 1."""
        members = self.positive_fraction * self._positive_shares
        members = members + (1.0 - self.positive_fraction) * negative_marginals(self._shares)
        return dict(zip(self.classes, members.tolist(), strict=True))

    @property
    def epoch(self) -> int:
        """The epoch whose pairs are drawn now."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose pairs are drawn: the way to go on exactly where an interrupted training stopped.

        `fit` alone counts on from there by itself. `AdaptiveClassWeight` sets it before each epoch.
        """
        self._epoch = whole("epoch", epoch, 0)
        self._served = 0

    def on_epoch_end(self) -> None:
        """Go to the next epoch, if this one was really drawn: Keras also calls this before the first one."""
        drawn_elsewhere = self.use_multiprocessing and self.workers > 0
        if self.redraw and (drawn_elsewhere or self._served >= self._steps):
            self.set_epoch(self._epoch + 1)

    def describe(self) -> str:
        """A table of the classes: samples, share of the samples and of the pairs, distinct positive pairs, weight."""
        counts = self._labels.counts
        distribution = self.class_distribution
        rows = [("class", "samples", "of samples", "of pairs", "distinct pairs", "weight")]
        for label, n, weight in zip(self.classes, counts.tolist(), self._weights.tolist(), strict=True):
            rows.append(
                (
                    str(label),
                    f"{n:,}",
                    f"{n / counts.sum():.2%}",
                    f"{distribution[label]:.2%}",
                    f"{n * (n - 1) // 2:,}",
                    f"{weight:.3g}",
                )
            )
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines.append(f"{self._n_pairs:,} pairs in {self._steps:,} batches, {self.positive_fraction:.0%} of one class")
        return "\n".join(lines)

    def _positives_of(self, pairs: int) -> int:
        return round(pairs * self.positive_fraction)

    def _current_plan(self) -> tuple[int, PairPlan]:
        """The epoch and its pairs, drawn once and read by all threads."""
        current = self._plan
        if current is None or current[0] != self._epoch:
            epoch = self._epoch
            full, rest = divmod(self._n_pairs, self.batch_size)
            n_positive = full * self._positives_of(self.batch_size) + self._positives_of(rest)
            plan = plan_pairs(
                self._labels.codes,
                self._shares,
                self._positive_shares,
                n_positive,
                self._n_pairs - n_positive,
                np.random.default_rng([self.seed, epoch, 0]),
            )
            self._plan = current = (epoch, plan)
        return current

    def _pair_weights(self, left: np.ndarray, right: np.ndarray, similar: np.ndarray) -> np.ndarray:
        """`sqrt(w_a w_b)`, which is `w_c` for a pair of one class, over its mean among the pairs of that kind."""
        means = self._mean_weights()
        return (self._products(left, right) / np.where(similar == 1, means[0], means[1])).astype(np.float32)

    def _mean_weights(self) -> tuple[float, float]:
        """Mean weight of the positive and of the negative pairs of this epoch, before scaling."""
        epoch, plan = self._current_plan()
        known = self._means
        if known is None or known[0] != epoch or known[1] is not self._weights:
            means = [float(self._products(*pairs.T).mean()) if len(pairs) else 1.0 for pairs in plan]
            self._means = known = (epoch, self._weights, (means[0] or 1.0, means[1] or 1.0))
        return known[2]

    def _products(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        root, codes = np.sqrt(self._weights), self._labels.codes
        return root[codes[left]] * root[codes[right]]

    def _check_classes(self) -> np.ndarray:
        """Refuse classes that cannot be paired as asked; return the shares of the classes among positives."""
        counts, fraction_ = self._labels.counts, self.positive_fraction
        if len(counts) < 2:
            raise ValueError(f"`y` must hold at least two classes. Received: only the class {self.classes[0]!r}")
        if fraction_ < 1 and (self._shares > 0).sum() < 2:
            raise ValueError(
                "Different pairs need at least two classes with a share above 0. "
                f"Received: class_sampling={self.class_sampling!r}"
            )
        per_batch = self._positives_of(self.batch_size)
        if 0 < fraction_ < 1 and per_batch in (0, self.batch_size):
            warnings.warn(
                f"positive_fraction={fraction_} of batch_size={self.batch_size} is rounded to {per_batch} pairs of one "
                "class: a larger batch keeps the fraction",
                stacklevel=3,
            )
        shares = np.where(counts > 1, self._shares, 0.0)
        if fraction_ == 0:
            return np.zeros_like(shares)
        if not shares.any():
            raise ValueError(
                "Pairs of one class need a class of two or more samples with a share above 0. Collect more samples, or "
                f"pass positive_fraction=0. Received: {len(counts)} classes of {counts.max()} samples at most"
            )
        single = [label for label, n, v in zip(self.classes, counts, self._shares, strict=True) if n == 1 and v > 0]
        if single:
            named = ", ".join(map(repr, single[:10])) + (", ..." if len(single) > 10 else "")
            warnings.warn(
                f"{len(single)} of {len(counts)} classes have one sample and form no pair of one class, only pairs of "
                f"different classes: {named}",
                stacklevel=3,
            )
        return shares / shares.sum()

    def _starting_weights(self, class_weight: WeightScheme | None) -> np.ndarray:
        if class_weight is None:
            return np.ones(len(self.classes))
        counts, shares = self._labels.counts, self._shares
        weights = scheme_weights(self.classes, counts, class_weight, name="class_weight")
        rare, common = counts.argmin(), counts.argmax()
        corrected = shares[rare] / shares[common] > 1.5 * counts[rare] / counts[common]
        schemes = [scheme_weights(self.classes, counts, scheme) for scheme in FREQUENCY_SCHEMES]
        if corrected and any(_proportional(weights, one) for one in schemes):
            warnings.warn(
                f"Class frequency is corrected twice: class_sampling={self.class_sampling!r} draws "
                f"{self.classes[rare]!r} ({counts[rare]} samples) {shares[rare] / shares[common]:.3g} times as often "
                f"as {self.classes[common]!r} ({counts[common]} samples), and class_weight counts it "
                f"{weights[rare] / weights[common]:.3g} times as much again. Pass class_weight=None, or "
                "class_sampling='natural'",
                stacklevel=3,
            )
        return weights


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a / a.mean(), b / b.mean(), rtol=0.01)


def _nth_slice(pairs: np.ndarray, index: int, length: int) -> np.ndarray:
    return pairs[index * length : (index + 1) * length]


def _halves(sides: Any, middle: int) -> tuple[Any, Any]:
    """Split what was read at once into left and right."""
    if isinstance(sides, Mapping):
        pairs = {key: _halves(part, middle) for key, part in sides.items()}
        return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}
    if isinstance(sides, tuple):
        left, right = zip(*(_halves(part, middle) for part in sides), strict=True)
        return left, right
    return sides[:middle], sides[middle:]


def _check_lengths(source: Any, n: int) -> None:
    if not list(parts(source)):
        raise ValueError("`x` must hold at least one input. Received: an empty tuple or dict")
    for part in parts(source):
        if length(part) != n:
            raise ValueError(
                f"`x` and `y` must have the same length; several inputs go into a tuple or a dict, not a list. "
                f"Received: len(x)={length(part)}, len(y)={n}"
            )
