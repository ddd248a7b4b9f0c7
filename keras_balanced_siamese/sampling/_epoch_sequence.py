"""Common base of the sequences: epochs, class weights and shares, workers, shards."""

import copy
import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from keras_balanced_siamese._backend import PyDataset, tf_dataset
from keras_balanced_siamese._checks import flag, whole
from keras_balanced_siamese._labels import Labels, align_weights, encode_labels
from keras_balanced_siamese._typing import ArrayLike, ClassSampling, ClassWeights, Label
from keras_balanced_siamese.loading import Loader, Prefetch, check_lengths, open_source
from keras_balanced_siamese.sampling._class_sampler import ClassSampler
from keras_balanced_siamese.sampling._served import ServedBatches

Self = TypeVar("Self", bound="EpochSequence")


@dataclass(frozen=True, kw_only=True)
class LoadingOptions:
    """Arguments of a sequence for loading samples; see `BalancedPairSequence`."""

    transform: Callable[..., Any] | None
    batch_transform: Callable[..., Any] | None
    workers: int
    use_multiprocessing: bool
    max_queue_size: int


class EpochSequence(PyDataset):
    """Data set whose batches are a function of (seed, epoch, index).

    A subclass sets `_total` (items in an epoch), `_steps`, `batch_size`, `_weights` and `_sampler`. It implements
    `_draw(epoch)`, which returns the plan of the epoch with the attributes `codes` and `synthetic`, and
    `_index(plan, number)`, which returns the sample indices of a batch.

    Args:
        x: The samples.
        y: The class labels of the samples.
        loading: The options for loading samples.
        redraw: Whether every epoch is drawn anew.
        seed: The seed of all epochs; `None` takes one from the operating system.
    """

    _total: int
    _steps: int
    batch_size: int
    _weights: np.ndarray
    _sampler: Any
    _samples_per_item = 1

    def __init__(self, x: Any, y: ArrayLike, loading: LoadingOptions, *, redraw: bool, seed: int | None):
        super().__init__()  # the defaults: Keras starts no workers
        self._labels: Labels = encode_labels(y, "y")
        source = open_source(x)
        check_lengths(source, len(self._labels.codes))
        self.seed = secrets.randbits(63) if seed is None else whole("seed", seed, 0)
        self.redraw = flag("redraw", redraw)
        self.transform = _function("transform", loading.transform, "one sample")
        self.batch_transform = _function("batch_transform", loading.batch_transform, "the samples of a batch")
        self._loader = Loader(source, self.transform, self.batch_transform, self.seed)
        workers, ahead = whole("workers", loading.workers, 0), whole("max_queue_size", loading.max_queue_size, 1)
        self._prefetch = Prefetch(self._loader, workers, bool(loading.use_multiprocessing), ahead)
        self._part = (0, 1)
        self._epoch = 0
        self._served = 0
        self._served_batches = ServedBatches()
        self._epoch_plan: tuple[int, Any] | None = None

    def __len__(self) -> int:
        self._prefetch.save_random_state()
        return self._steps // self._part[1]

    @property
    def num_batches(self) -> int:
        """Batches in an epoch, the same as `len`."""
        return len(self)

    @property
    def classes(self) -> list[Label]:
        """The class labels, sorted."""
        return self._labels.classes

    @property
    def labels(self) -> np.ndarray:
        """`(n,)` position in `classes` of each sample; generated samples come after those of `x`."""
        return self._current()[1].codes

    @property
    def class_weight(self) -> Mapping[Label, float]:
        """The current weight of each class; an assigned mapping takes effect with the next batch."""
        return MappingProxyType(dict(zip(self.classes, self._weights.tolist(), strict=True)))

    @class_weight.setter
    def class_weight(self, class_weight: ClassWeights) -> None:
        self._weights = align_weights(class_weight, self.classes)

    @property
    def class_sampling(self) -> ClassSampling:
        """The rule of the class shares, or the shares by class; when assigned, the epoch is drawn anew.

        Shares by class are scaled to the sum 1.
        """
        return self._sampler.class_sampler.class_sampling

    @class_sampling.setter
    def class_sampling(self, class_sampling: ClassSampling) -> None:
        self._draw_from(self._sampler.class_sampler.changed(class_sampling))

    def _draw_from(self, source: ClassSampler) -> None:
        sampler = copy.copy(self._sampler)  # copies of this sequence keep their sampler
        sampler.class_sampler = source
        sampler.quotas(self._epoch)  # raises if these shares leave too few classes
        self._sampler, self._epoch_plan = sampler, None

    @property
    def class_shares(self) -> dict[Label, float]:
        """The share of each class by `class_sampling` in this epoch, with the sum 1.

        The shares that are drawn, `class_distribution`, differ where a class cannot fill its share.
        """
        return dict(zip(self.classes, self.shares_by_code.tolist(), strict=True))

    @property
    def weights_by_code(self) -> np.ndarray:
        """The weights `(C,)` in the order of `classes`; assigned values are not checked."""
        return self._weights

    @weights_by_code.setter
    def weights_by_code(self, weights: np.ndarray) -> None:
        self._weights = weights

    @property
    def shares_by_code(self) -> np.ndarray:
        """The class shares `(C,)` of this epoch in the order of `classes`; assigned ones must have the sum 1."""
        return self._sampler.class_sampler.epoch_source(self._epoch).shares

    @shares_by_code.setter
    def shares_by_code(self, shares: np.ndarray) -> None:
        self._draw_from(self._sampler.class_sampler.with_sampling(shares))

    @property
    def counts_by_code(self) -> np.ndarray:
        """The number of samples `(C,)` of each class, in the order of `classes`."""
        return self._labels.counts

    @property
    def epoch(self) -> int:
        """The number of the current epoch."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to draw, for example to resume an interrupted training.

        `fit` continues from this epoch. `AdaptiveClassWeight` sets it before each epoch.
        """
        self._epoch = whole("epoch", epoch, 0)
        self._served = 0

    def on_epoch_end(self) -> None:
        """Go to the next epoch if all batches of this one were drawn; Keras also calls this before the first epoch."""
        if self.redraw and self._served >= self._steps // self._part[1]:
            self.set_epoch(self._epoch + 1)

    @property
    def served(self) -> int | None:
        """The number of batches that were drawn so far, in forked processes too; `None` if it is unknown.

        Copies and parts of a sequence count for themselves, except `to_tf_dataset`.
        """
        return self._served_batches.number

    @property
    def plan(self) -> Any:
        """The samples of this epoch as indices, with their classes."""
        return self._current()[1]

    def replace_plan(self, plan: Any) -> None:
        """Replace the plan of this epoch, as `HardPairMining` does."""
        self._epoch_plan = (self._epoch, plan)

    def restore_plan(self) -> None:
        """Drop a plan that has replaced the one of this epoch."""
        self._epoch_plan = None

    def load(self, index: np.ndarray) -> Any:
        """The samples at `index`, transformed as in this epoch: an array `(len(index), ...)`, or a tuple or dict."""
        synthetic = self.plan.synthetic
        return self._loader.load(index, self._epoch, self._steps, None if synthetic is None else synthetic[index])

    def shard(self: Self, index: int, count: int) -> Self:
        """The part of one training process of several: the batches `index`, `index + count` and so on.

        The parts are disjoint, equally long and together the whole epoch. Each process constructs the same sequence,
        with the same `seed`, and takes its own part.

        Raises:
            ValueError: If the batches cannot be divided equally, or there is no such part.
        """
        count = whole("count", count, 1)
        if not 0 <= whole("index", index, 0) < count:
            raise ValueError(f"`index` must be from 0 to count - 1. Received: index={index}, count={count}")
        if self._part != (0, 1):
            raise ValueError(
                "A part cannot be divided again. Take parts of the whole sequence. "
                f"Received: a sequence that is already part {self._part[0]} of {self._part[1]}"
            )
        if self._steps % count or self._total % self.batch_size:
            equal = max(self._total // self.batch_size // count, 1) * count
            raise ValueError(
                f"{count} parts cannot share {self._total} items in batches of {self.batch_size} equally. Construct "
                f"the sequence with steps_per_epoch={equal}, or another multiple of {count}. "
                f"Received: index={index}, count={count}"
            )
        part = copy.copy(self)
        part._part = (index, count)
        part._served = 0
        return part

    def to_tf_dataset(self) -> Any:
        """A `tf.data.Dataset` of the batches of one epoch; each iteration over it goes to the next epoch.

        The first iteration draws the current epoch of this sequence. Class weights are read when a batch is drawn, and
        class shares when an epoch begins. Batches that `prefetch` has fetched keep theirs.

        Raises:
            ImportError: If the package for it is not installed.
        """
        served = copy.copy(self)
        served._served_batches = self._served_batches
        epochs = itertools.count(self._epoch) if self.redraw else itertools.repeat(self._epoch)

        def batches() -> Iterator[Any]:
            served.set_epoch(next(epochs))
            if served._sampler is not self._sampler:
                served._sampler, served._epoch_plan = self._sampler, None
            for index in range(len(served)):
                served._weights = self._weights
                yield served[index]

        return tf_dataset(batches, served[0], len(self))

    def __getstate__(self) -> dict[str, Any]:
        own = {name: copy.copy(self.__dict__[name]) for name in ("_prefetch", "_served_batches")}
        return {**self.__dict__, **own}  # a copy has its own workers and its own count

    def _draw(self, epoch: int) -> Any:
        raise NotImplementedError

    def _index(self, plan: Any, number: int) -> np.ndarray:
        raise NotImplementedError

    def items_by_code(self, epoch: int) -> np.ndarray:
        """Expected number `(C,)` of samples of each class in an epoch, copies included."""
        return self._sampler.class_distribution(epoch) * self._total * self._samples_per_item

    def _current(self) -> tuple[int, Any]:
        """The epoch and its plan, drawn once for all threads."""
        current = self._epoch_plan
        if current is None or current[0] != self._epoch:
            epoch = self._epoch
            self._epoch_plan = current = (epoch, self._draw(epoch))
        return current

    def _number(self, index: int) -> int:
        """The number of a batch in the whole epoch."""
        part, parts = self._part
        steps = self._steps // parts
        if not -steps <= index < steps:
            raise IndexError(f"The epoch has {steps} batches. Received: index={index}")
        return index % steps * parts + part

    def _slice(self, number: int) -> slice:
        """The place of the items of a batch in the plan."""
        return slice(number * self.batch_size, (number + 1) * self.batch_size)

    def _samples(self, plan: Any, epoch: int, number: int) -> Any:
        """The samples of a batch, loaded ahead by a worker or loaded now."""
        self._served += 1
        self._served_batches.add()
        part, parts = self._part

        def job(k: int) -> tuple[np.ndarray, int, int, np.ndarray | None]:
            number = k * parts + part
            index = self._index(plan, number)
            return index, epoch, number, None if plan.synthetic is None else plan.synthetic[index]

        k = number // parts
        if self._prefetch.active:
            return self._prefetch.get(plan, k, self._steps // parts, job)
        return self._loader.load(*job(k))


def _function(name: str, given: Any, of: str) -> Any:
    if given is not None and not callable(given):
        raise TypeError(f"`{name}` must be a function of {of}. Received: {name}={given!r}")
    return given
