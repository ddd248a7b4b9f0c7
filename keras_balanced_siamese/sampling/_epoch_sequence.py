"""Common base of the sequences: epochs, class weights and shares, workers, shards."""

import copy
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from keras_balanced_siamese._backend import ALONE, Processes, PyDataset, parts_by_number, processes, tf_dataset
from keras_balanced_siamese._checks import flag, whole
from keras_balanced_siamese._labels import Labels, align_weights, encode_labels
from keras_balanced_siamese._running_model import is_scoring, reader
from keras_balanced_siamese._typing import ArrayLike, ClassSampling, ClassWeights, Label
from keras_balanced_siamese.loading import Loader, Prefetch, check_no_pairs, check_rows, check_source, open_source
from keras_balanced_siamese.sampling._class_sampler import ClassSampler
from keras_balanced_siamese.sampling._fixed_attributes import check_assignment
from keras_balanced_siamese.sampling._model_check import check_model
from keras_balanced_siamese.sampling._process_parts import (
    check_agreement,
    check_processes,
    check_slices,
    fingerprint,
    rows_of,
)
from keras_balanced_siamese.sampling._served_batches import ServedBatches, tf_passes

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

    A subclass sets `_total` (items in an epoch), `_steps`, `batch_size`, `_weights`, `_sampler` and `_start`, the last
    two as they are at construction. It implements
    `_draw(epoch)`, which returns the plan of the epoch with the attributes `codes` and `synthetic`, and
    `_index(plan, items)`, which returns the sample indices of a slice of the items.

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
    _start: tuple[np.ndarray, Any]
    _samples_per_item = 1

    def __init__(self, x: Any, y: ArrayLike, loading: LoadingOptions, *, redraw: bool, seed: int | None):
        super().__init__()  # the defaults: Keras starts no workers
        self._labels: Labels = encode_labels(y, "y")
        source, n = open_source(x), len(self._labels.codes)
        check_rows(x, y)
        check_no_pairs(source, self._labels.classes, n)
        self.seed = secrets.randbits(63) if seed is None else whole("seed", seed, 0)
        self._redraw = flag("redraw", redraw)
        self.transform = _function("transform", loading.transform, "one sample")
        self.batch_transform = _function("batch_transform", loading.batch_transform, "the samples of a batch")
        checked = check_source(source, n, not (self.transform is None and self.batch_transform is None))
        self._loader = Loader(source, self.transform, self.batch_transform, self.seed, checked)
        workers, ahead = whole("workers", loading.workers, 0), whole("max_queue_size", loading.max_queue_size, 1)
        forked = flag("use_multiprocessing", loading.use_multiprocessing)
        self._prefetch = Prefetch(self._loader, workers, forked, ahead)
        self._slice_prefetch = copy.copy(self._prefetch)  # of the slices of batches in one of several processes
        self._part = ALONE
        self._has_agreed = False  # whether all processes are known to draw the same
        self._epoch = 0
        self._served = ServedBatches()
        self._epoch_plan: tuple[int, Any] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        check_assignment(self, name, value)
        super().__setattr__(name, value)

    def __len__(self) -> int:
        check_model(self)
        check_processes(self)
        self._prefetch.save_random_state()
        self._slice_prefetch.save_random_state()
        return self._steps

    @property
    def num_batches(self) -> int:
        """Batches in an epoch, the same as `len`."""
        return len(self)

    @property
    def redraw(self) -> bool:
        """Whether `fit` draws every epoch anew; if false is assigned, the sequence stays at its epoch."""
        return self._redraw

    @redraw.setter
    def redraw(self, redraw: bool) -> None:
        self._redraw = flag("redraw", redraw)

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

        `fit` continues from this epoch. `AdaptiveClassWeight` sets it before each epoch. The batches are the same as
        without the interruption. Their order within the epoch is the same with `fit(shuffle=False)` only: by default,
        Keras shuffles the batches by Python's global random generator. The first epoch of `fit` is not always 0: Keras
        may fetch one or two batches beforehand, and an epoch of so few batches is then over.
        """
        self._epoch = whole("epoch", epoch, 0)
        self._served.begin_epoch()

    def reset(self) -> None:
        """Return to the state after construction: epoch 0, starting class weights and shares, no mined pairs.

        Use it before another model is trained with this sequence. Callbacks such as `AdaptiveClassWeight` leave the
        weights and the shares that they have reached.
        """
        self._weights, self._sampler = self._start
        self._epoch_plan = None
        self.set_epoch(0)

    def on_epoch_end(self) -> None:
        """Go to the next epoch if `fit`, or a loop of your own, has drawn all batches of this one.

        Keras also calls this before the first epoch, and after `evaluate` and `predict`, which stay at the epoch.
        """
        now = reader()
        if not self.redraw or (now is not None and now.method != "fit"):
            return
        if self._served.of_epoch < self._steps // parts_by_number():
            return
        if now is None or now.has_begun:
            self.set_epoch(self._epoch + 1)
        else:
            self._served.begin_epoch()  # Keras has read ahead

    @property
    def batches_served(self) -> int:
        """Batches that were indexed so far, other than for `evaluate` and `predict`.

        Batches count that a forked process indexes. A pickled copy counts as one, since it may be indexed elsewhere.
        """
        return self._served.total

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

    def shard(self: Self, rank: int, count: int) -> Self:
        """The part of one training process of several: a slice of each batch.

        The slices of all ranks together, in the order of the ranks, are the batches of the whole sequence, so
        `batch_size` is that of all processes together. Each process constructs the same sequence, with the same `seed`,
        and takes its own part. Processes that the backend has connected are compared when they take their parts.

        Keras divides the batches itself in some cases, and `fit` takes the slices where it does not: see docs, "Several
        devices". Processes with a training step of their own, which averages the gradients itself, need parts.

        Args:
            rank: The number of the process, from 0.
            count: The number of processes.

        Raises:
            ValueError: If a batch cannot be divided equally, there is no such part, or the other processes have
                constructed another sequence.
            RuntimeError: If the other connected processes do not take their parts.
        """
        count = whole("count", count, 1)
        if not 0 <= whole("rank", rank, 0) < count:
            raise ValueError(f"`rank` must be from 0 to count - 1. Received: rank={rank}, count={count}")
        if self._part != ALONE:
            raise ValueError(
                "A part cannot be divided again. Take parts of the whole sequence. "
                f"Received: a sequence that is already part {self._part.rank} of {self._part.number}"
            )
        own = Processes(rank, count)
        check_slices(self, own)
        if own == processes():
            self._agree(shuffled=False)
        part = copy.copy(self)
        part._part, part._has_agreed = own, False  # `fit` compares the order of the batches too
        return part

    def to_tf_dataset(self) -> Any:
        """A `tf.data.Dataset` of the batches of one epoch, drawn from this sequence.

        Each iteration draws the current epoch of the sequence, and `fit` goes to the next one when it begins another
        iteration. So class weights, class shares, mined pairs and the epoch are those of the sequence when a batch is
        drawn. Batches that `prefetch` has fetched keep theirs.

        Raises:
            ImportError: If the package for it is not installed.
        """
        return tf_dataset(tf_passes(self), copy.copy(self)[0], len(self))

    def __getstate__(self) -> dict[str, Any]:
        own = ("_prefetch", "_slice_prefetch", "_served")  # workers and counts
        return {**self.__dict__, **{name: copy.copy(getattr(self, name)) for name in own}}

    def _draw(self, epoch: int) -> Any:
        raise NotImplementedError

    def _index(self, plan: Any, items: slice) -> np.ndarray:
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
        if not -self._steps <= index < self._steps:
            raise IndexError(f"The epoch has {self._steps} batches. Received: index={index}")
        return index % self._steps

    def _slice(self, number: int, own: Processes = ALONE) -> slice:
        """The place of the items of a batch, or of the own slice of it, in the plan."""
        rows, first = rows_of(own, self.batch_size), number * self.batch_size
        return slice(first + rows.start, first + rows.stop)

    def _own_items(self) -> np.ndarray:
        """The places in the plan of all items of this sequence, which may be a part of the epoch."""
        if self._part == ALONE:
            return np.arange(self._total)
        return np.arange(self._total).reshape(-1, self.batch_size)[:, rows_of(self._part, self.batch_size)].reshape(-1)

    def _samples(self, plan: Any, epoch: int, number: int, own: Processes) -> Any:
        """The samples of the own slice of a batch, loaded ahead by a worker or loaded now."""
        if not is_scoring():
            self._served.add()

        def job(k: int) -> tuple[np.ndarray, int, int, np.ndarray | None]:
            index = self._index(plan, self._slice(k, own))
            stream = k * own.number + own.rank  # of random numbers
            return index, epoch, stream, None if plan.synthetic is None else plan.synthetic[index]

        prefetch = self._prefetch if own == ALONE else self._slice_prefetch
        if prefetch.active:
            return prefetch.get(plan, number, self._steps, job)
        return self._loader.load(*job(number))

    def _agree(self, shuffled: bool) -> None:
        """Raise if the processes have constructed different sequences; they are compared once."""
        if not self._has_agreed:
            check_agreement(fingerprint(self, shuffled), type(self).__name__)
            self._has_agreed = True


def _function(name: str, given: Any, of: str) -> Any:
    if given is not None and not callable(given):
        raise TypeError(f"`{name}` must be a function of {of}. Received: {name}={given!r}")
    return given
