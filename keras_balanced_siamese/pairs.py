"""Balanced pairs for a two-input model, as a data set that `model.fit` takes."""

import copy
import itertools
import secrets
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_balanced_siamese._ahead import Ahead
from keras_balanced_siamese._backend import PyDataset, tf_dataset
from keras_balanced_siamese._checks import fraction, whole
from keras_balanced_siamese._labels import align_weights, encode_labels
from keras_balanced_siamese._pair_plan import PairPlan
from keras_balanced_siamese._pair_sampler import PairSampler
from keras_balanced_siamese._pair_summary import PairSummary, summarise
from keras_balanced_siamese._sources import Loader, check_lengths, halves, open_source
from keras_balanced_siamese._typing import ArrayLike, ClassSampling, ClassWeights, Label, WeightScheme
from keras_balanced_siamese.class_weights import scheme_weights

FREQUENCY_SCHEMES = ("balanced", "sqrt", "effective")


class BalancedPairSequence(PyDataset):
    """Pairs of samples in which every class has its promised share, drawn afresh for every epoch.

    - Positive and negative pairs alternate in the proportion of `positive_fraction`, so each batch has its share of
      both, rounded up or down, and so has the part of a batch that a replica gets.
    - Each class has its `class_sampling` share of the positive pairs of an epoch, rounded up or down. No sample is
      paired with itself. Inside a class each pair comes once before any comes again, and each sample before any other
      comes twice; the next epoch goes on with other pairs. What would repeat a pair more than `max_repeats` times goes
      to the other classes. A class of one sample has no positive pair: a warning names it, and it takes part in
      negatives.
    - A negative pair is drawn class first: classes `a` and `b` with the probability
      `2 v_a v_b / (1 - sum of v_c ** 2)`, `v` being the shares, then one sample of each, in turn.
    - `class_weight` gives positive pairs the weight `w_c` and negative ones `sqrt(w_a w_b)`, each kind scaled to the
      mean 1 over the epoch.
    - The indices of a batch are a function of (seed, epoch, index) and nothing else.

    Args:
        x: `n` samples: an array of any rank and dtype (kept), a memmap, an h5py or zarr array, a list (of paths, with a
            `transform` that loads), or a tuple or dict of those for an encoder with several inputs. Nothing is copied.
        y: `(n,)` class labels: integers, strings, booleans or finite floats, in any order.
        batch_size: Pairs in a batch.
        steps_per_epoch: Batches in an epoch. `None` means `ceil(n / batch_size)`, as many pairs as there are samples
            (after `resampling`).
        positive_fraction: Share of pairs of one class, from 0 to 1. `None` is the natural one, of two samples whose
            classes are drawn by the shares.
        class_sampling: Share of each class among the pairs: `"balanced"`, `"sqrt"`, `"natural"`, a number q (share
            proportional to `n_c ** q`), `"progressive"` (from natural in the first epoch to balanced in the last of
            `epochs`), or a mapping of class to share.
        max_repeats: How often a positive pair may come in one epoch; `None` for no limit.
        resampling: `"undersample"` (each epoch sees as many samples of each class as the smallest has, others the next
            time), `"oversample"` (each class counts as if it had as many as the largest), or a sampler of
            imbalanced-learn. Only indices are resampled, so any `x` will do; a sampler that makes new samples, or
            compares them, takes a matrix.
        epochs: For `class_sampling="progressive"`: over how many it goes.
        class_weight: `None`, a mapping of class to weight, or a scheme of `class_weights`. Sampling already corrects
            the frequencies: weights are for classes that are hard, not for those that are rare.
        transform: Function of one sample (an item of `x`, or a tuple or dict of items), called on each sample that is
            drawn; its results are stacked. If it has a parameter `rng`, it is given a `numpy.random.Generator` that
            depends on seed, epoch and sample: use it to augment.
        batch_transform: Function of all samples of a batch, `(2 b, ...)`, the left ones first; it returns as many. It
            may have a parameter `rng` too.
        redraw: If true, every epoch of `fit` draws new pairs. If false, all epochs see those of epoch 0: what
            validation needs.
        with_classes: If true, the labels have two more columns, the positions in `classes` of the left and the right
            sample, for metrics that are measured per class. The losses of this package read the first column.
        seed: Whole number >= 0; `None` takes one from the operating system.
        workers: Threads that load the next batches meanwhile; 0 and 1 load each batch when it is asked for. They are
            started here and not by Keras, to whom the attribute of this name says 1: batches and weights are the same
            for any number.
        use_multiprocessing: Whether the workers are processes.
        max_queue_size: Batches that may be loaded ahead.

    Returns:
        Indexing with a batch number gives `((left, right), similar, sample_weight)`. Left and right are `(b, ...)` in
        the dtype of `x`, `similar` float32 `(b, 1)` with 1 for pairs of one class (`(b, 3)` with classes),
        `sample_weight` float32 `(b,)`.

    Raises:
        ValueError: If `x` and `y` differ in length, there are fewer than two classes or no samples, labels are missing,
            no class can form the positive pairs asked for, or an argument is out of its range.
        TypeError: If an argument is of the wrong type.
        RuntimeError: When indexed, if a transform fails; it names the sample.

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
        positive_fraction: float | None = 0.5,
        class_sampling: ClassSampling = "balanced",
        max_repeats: int | None = 3,
        resampling: Any = None,
        epochs: int | None = None,
        class_weight: WeightScheme | None = None,
        transform: Callable[..., Any] | None = None,
        batch_transform: Callable[..., Any] | None = None,
        redraw: bool = True,
        with_classes: bool = False,
        seed: int | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ):
        super().__init__()  # Keras shall start no workers
        labels = encode_labels(y, "y")
        source = open_source(x)
        check_lengths(source, len(labels.codes))
        self.batch_size = whole("batch_size", batch_size, 1)
        self.positive_fraction = positive_fraction
        if positive_fraction is not None:
            self.positive_fraction = fraction("positive_fraction", positive_fraction)
        self.seed = secrets.randbits(63) if seed is None else whole("seed", seed, 0)
        self.transform = _function("transform", transform, "one sample")
        self.batch_transform = _function("batch_transform", batch_transform, "the samples of a batch")
        self.class_sampling = class_sampling
        self.redraw = bool(redraw)
        self.with_classes = bool(with_classes)
        self._sampler = PairSampler(
            labels, source, class_sampling, resampling, self.positive_fraction, max_repeats, epochs, self.seed
        )
        self._steps = -(-self._sampler.total // self.batch_size)
        if steps_per_epoch is not None:
            self._steps = whole("steps_per_epoch", steps_per_epoch, 1)
            self._sampler.total = self._steps * self.batch_size
        self._part = (0, 1)
        self._loader = Loader(source, self.transform, self.batch_transform, self.seed)
        workers, ahead = whole("workers", workers, 0), whole("max_queue_size", max_queue_size, 1)
        self._ahead = Ahead(self._loader, workers, bool(use_multiprocessing), ahead)
        self._weights = self._starting_weights(class_weight)
        self._epoch = 0
        self._served = 0
        self._plan: tuple[int, PairPlan] | None = None
        self._weighed: tuple[PairPlan, np.ndarray, np.ndarray] | None = None
        self._sampler.warn()

    def __len__(self) -> int:
        self._ahead.watch()
        return self._steps // self._part[1]

    @property
    def num_batches(self) -> int:
        """Batches in an epoch, the same as `len`."""
        return len(self)

    def __getitem__(self, index: int) -> tuple[tuple[Any, Any], np.ndarray, np.ndarray]:
        index = self._number(index)
        epoch, plan = self._current_plan()
        self._served += 1
        samples = self._samples(plan, epoch, index)
        part = self._slice(index)
        labels, weights = plan.similar[part].reshape(-1, 1).copy(), self._pair_weights(plan)[part].copy()
        if self.with_classes:
            labels = np.concatenate([labels, plan.codes[plan.pairs[part]]], axis=1).astype(np.float32)
        return halves(samples, len(labels)), labels, weights

    def indices(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The samples of a batch, without loading them.

        Returns:
            Left indices `(b,)`, right indices `(b,)` and `similar` float32 `(b,)`.

        Raises:
            IndexError: If there is no such batch.
        """
        plan, part = self._current_plan()[1], self._slice(self._number(index))
        return plan.pairs[part, 0].copy(), plan.pairs[part, 1].copy(), plan.similar[part].copy()

    @property
    def classes(self) -> list[Label]:
        """The class labels, sorted."""
        return self._sampler.labels.classes

    @property
    def labels(self) -> np.ndarray:
        """`(n,)` position in `classes` of each sample; a sampler that makes samples adds theirs."""
        return self._current_plan()[1].codes

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
        return dict(zip(self.classes, self._sampler.class_distribution(self._epoch).tolist(), strict=True))

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
        if self.redraw and self._served >= self._steps // self._part[1]:
            self.set_epoch(self._epoch + 1)

    def describe(self) -> PairSummary:
        """What this epoch holds of each class.

        Returns:
            Something to print: a table with samples, pairs, shares before and after sampling, repeats and weights, and
            notes on what is special. It has the attributes `per_class`, `totals` and `notes`, and `to_dict()`.
        """
        return summarise(self._sampler, self._epoch, self._weights, self._steps, self.batch_size)

    def shard(self, index: int, count: int) -> "BalancedPairSequence":
        """The part of one process in training on several: its batches are `index`, `index + count` and so on.

        The parts are disjoint and equally long, and together they are the whole epoch. Each process makes the same
        sequence, with the same `seed`, and takes its own part.

        Raises:
            ValueError: If the batches cannot be shared out equally, or there is no such part.
        """
        count = whole("count", count, 1)
        if not 0 <= whole("index", index, 0) < count:
            raise ValueError(f"`index` must be from 0 to count - 1. Received: index={index}, count={count}")
        if self._part != (0, 1):
            raise ValueError(f"This is already part {self._part[0]} of {self._part[1]}: take parts of the whole")
        if self._steps % count or self._sampler.total % self.batch_size:
            equal = max(self._sampler.total // self.batch_size // count, 1) * count
            raise ValueError(
                f"{count} parts cannot share {self._sampler.total} pairs in batches of {self.batch_size} equally: "
                f"construct the sequence with steps_per_epoch={equal}, or another multiple of {count}. "
                f"Received: index={index}, count={count}"
            )
        part = copy.copy(self)
        part._part = (index, count)
        part._served = 0
        return part

    def to_tf_dataset(self) -> Any:
        """A `tf.data.Dataset` of the batches, one epoch long; each time it is gone through, it goes to the next epoch.

        It starts at the epoch of this sequence, and takes its class weights as they are when a batch is drawn.

        Raises:
            ImportError: If TensorFlow is not installed.
        """
        served = copy.copy(self)
        epochs = itertools.count(self._epoch) if self.redraw else itertools.repeat(self._epoch)

        def batches() -> Any:
            served.set_epoch(next(epochs))
            for index in range(len(served)):
                served._weights = self._weights
                yield served[index]

        return tf_dataset(batches, served[0], len(self))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": copy.copy(self._ahead)}  # a copy has workers of its own

    def _number(self, index: int) -> int:
        """The number of a batch in the whole epoch."""
        part, parts = self._part
        steps = self._steps // parts
        if not -steps <= index < steps:
            raise IndexError(f"The epoch has {steps} batches. Received: index={index}")
        return index % steps * parts + part

    def _current_plan(self) -> tuple[int, PairPlan]:
        """The epoch and its pairs, drawn once and read by all threads."""
        current = self._plan
        if current is None or current[0] != self._epoch:
            epoch = self._epoch
            self._plan = current = (epoch, self._sampler.plan(epoch))
        return current

    def _slice(self, number: int) -> slice:
        """Where the pairs of a batch are in the plan."""
        return slice(number * self.batch_size, (number + 1) * self.batch_size)

    def _samples(self, plan: PairPlan, epoch: int, number: int) -> Any:
        """The samples of a batch, left before right."""

        def job(k: int) -> tuple[np.ndarray, int, int, np.ndarray | None]:
            number = k * self._part[1] + self._part[0]
            index = plan.pairs[self._slice(number)].T.reshape(-1)
            return index, epoch, number, None if plan.made is None else plan.made[index]

        k = number // self._part[1]
        if self._ahead.active:
            return self._ahead.get(plan, k, self._steps // self._part[1], job)
        return self._loader.load(*job(k))

    def _pair_weights(self, plan: PairPlan) -> np.ndarray:
        """Of each pair `sqrt(w_a w_b)`, which is `w_c` for a pair of one class, over its mean among those of its kind."""
        known, weights = self._weighed, self._weights
        if known is None or known[0] is not plan or known[1] is not weights:
            products = np.ones(len(plan.pairs))
            if (weights != weights[0]).any():
                products = np.sqrt(weights)[plan.codes[plan.pairs]].prod(axis=1)
                for kind in (plan.similar == 0, plan.similar == 1):
                    products[kind] /= products[kind].mean() or 1.0 if kind.any() else 1.0
            self._weighed = known = (plan, weights, products.astype(np.float32))
        return known[2]

    def _starting_weights(self, class_weight: WeightScheme | None) -> np.ndarray:
        if class_weight is None:
            return np.ones(len(self.classes))
        counts = self._sampler.labels.counts
        shares = self._sampler.drawing((self._sampler.epochs or 1) - 1).shares
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


def _function(name: str, given: Any, of: str) -> Any:
    if given is not None and not callable(given):
        raise TypeError(f"`{name}` must be a function of {of}. Received: {name}={given!r}")
    return given
