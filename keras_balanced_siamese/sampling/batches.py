"""Batches of P classes with K samples of each, for losses that form pairs inside the batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_balanced_siamese._typing import ArrayLike, ClassSampling, Label, WeightScheme
from keras_balanced_siamese.sampling._batch_plan import BatchPlan
from keras_balanced_siamese.sampling._batch_sampler import BatchSampler
from keras_balanced_siamese.sampling._class_sampler import SamplingOptions
from keras_balanced_siamese.sampling._epoch_sequence import EpochSequence, LoadingOptions
from keras_balanced_siamese.sampling._process_parts import own_slice, rows_of
from keras_balanced_siamese.sampling._starting_weights import starting_weights
from keras_balanced_siamese.sampling._summary import EpochSummary, batch_summary


class BalancedBatchSequence(EpochSequence):
    """Batches of P classes with K samples of each, for losses that form pairs or triplets inside the batch.

    - Each batch has exactly P different classes and K samples of each, class after class. So each sample has a partner,
      and all batches have the same shape.
    - The K samples of a class in a batch are distinct if the class has at least K. A smaller class comes in copies:
      each of its samples `K / n_c` times, rounded up or down. A class of fewer than `min_samples` is left out. Warnings
      name both, but not copies that a `batch_transform` can change.
    - Each class comes in `level * share` batches of an epoch, rounded up or down, and at most once in a batch. The
      share that a class cannot fill, because it is in each batch or at the limit `max_repeats`, goes to the other
      classes. A class that is rounded down in one epoch is rounded up in a later one.
    - Within a class, all samples come once before any comes twice, and the next epoch continues from there, unless
      `resampling` changes the samples. The order of the samples is drawn anew each time that all have come and the last
      ones fill a batch, so in the end each sample meets all others.
    - The classes that meet in a batch are drawn anew for each epoch.
    - `class_weight` gives each sample the weight of its class, scaled to the mean 1 over the epoch.
    - The indices of a batch are a function of (seed, epoch, index) only.

    Args:
        x: `n` samples: an array of any rank and numeric dtype (kept), a memmap, an h5py or zarr array, a list (of
            paths, with a `transform` that loads), a data frame of numbers, a sparse matrix (its rows become dense
            in a batch), any other object with a length and integer indexing, or a tuple or dict of those for an encoder
            with several inputs. A list is one input. Arrays and files are not copied. Without a `transform`, an h5py
            or zarr array is read once a batch, in ascending order.
        y: `(n,)` class labels: integers, strings, booleans or finite floats, in any order.
        classes_per_batch: P, at least 2.
        samples_per_class: K, at least 2.
        steps_per_epoch: Batches in an epoch. `None` means `ceil(n / (P K))`, about as many samples as there are (after
            `resampling`). Pass it here, not to `fit`, which could fetch batches of the next epoch too early.
        class_sampling: Share of each class: `"balanced"`, `"sqrt"`, `"natural"`, a number q (share proportional to
            `n_c ** q`), `"progressive"` (from natural in the first epoch to balanced in the last of `epochs`), or a
            mapping of class to share; a class with the share 0 takes no part.
        min_samples: Classes of fewer samples are left out. With 2, the default, those are the classes without a pair.
            With 1 they take part as copies of one sample, and serve as negatives only. With K no batch holds copies.
        max_repeats: Largest number of times that two samples of a class meet in one epoch, on average over the pairs of
            the class. `None`, the default, means no limit: each class gets its share, however few pairs it has. A limit
            lowers the share of very small classes only (two samples have one pair, 40 have 780). See
            `BalancedPairSequence` for what it costs and when it may help.
        resampling: `"undersample"` (each epoch uses as many samples of each class as the smallest class has, and the
            next epoch uses others), `"oversample"` (each class counts as if it had as many samples as the largest
            one), or a sampler of imbalanced-learn, whose `random_state` is new in each epoch. Only indices are
            resampled, so `x` can be of any kind; a sampler that compares or generates samples, such as SMOTE, needs a
            matrix `(n, d)`. Generated samples may not look like their class: check on validation data whether they
            help. Class shares refer to the resampled counts: after `"oversample"`, natural shares are equal.
        epochs: For `class_sampling="progressive"`: the number of epochs from natural to balanced shares.
        class_weight: `None`, a mapping of class to weight, or a scheme of `class_weights`. Class shares already correct
            the frequencies: use weights for classes that are hard, not for those that are rare.
        transform: Function of one sample (an item of `x`, or a tuple or dict of items), called on each sample that is
            drawn; the results are stacked. If it has a parameter `rng`, it gets a `numpy.random.Generator` that depends
            on seed, epoch and sample, for augmentation.
        batch_transform: Function of all samples of a batch, `(P K, ...)`, class after class; it returns as many. It may
            have a parameter `rng` too. It can change each copy of a sample differently, which `transform` cannot.
        redraw: If true, every epoch of `fit` draws new batches, and `evaluate` and `predict` use those of the current
            epoch. If false, all epochs use the batches of epoch 0, as validation needs.
        seed: Whole number >= 0; `None` takes one from the operating system.
        workers: Threads that load the next batches in the background; with 0, or with 1 and no processes, each batch is
            loaded when it is indexed. The sequence starts the workers itself, and its attribute `workers` stays 1, so
            that Keras starts none. They end with the epoch, or after a minute without work. Batches and weights are the
            same for any number of workers.
        use_multiprocessing: Whether the workers are processes, in Python's default way. Threads suit transforms that
            read files or use NumPy, processes suit slow Python code. Where Python does not fork, processes need
            picklable samples and transforms, and `if __name__ == "__main__":` in the script. Where it forks, a
            backend can hang in a transform: use NumPy. Processes cannot share an open h5py file: pass positions as
            `x`, and open the file in `transform`. A process that dies, for example because memory runs out, is an
            error that names the batch.
        max_queue_size: Largest number of batches that are loaded ahead.

    Returns:
        Indexing with a batch number gives `(samples, codes, sample_weight)`: the samples `(P K, ...)` in the dtype of
        `x`, the positions of their classes in `classes` as int32 `(P K,)`, and weights as float32 `(P K,)`. Losses that
        read class labels take codes in this form, such as those of tensorflow-addons and
        `"sparse_categorical_crossentropy"`. Keras casts them to float32, which is exact for up to 16,777,216 classes.

    Raises:
        ValueError: If `x` and `y` differ in length, there are no samples, labels are missing, fewer than P classes can
            take part, samples hold NaN or infinity, `x` is ready-made pairs, or an argument is out of its range.
        TypeError: If an argument is of the wrong type, or samples are not numbers.
        RuntimeError: When indexed, if a transform fails or a worker process dies; the message names the sample or the
            batch. Samples of large arrays, files and transforms are checked when they are read, too.

    Examples:
        >>> y = np.repeat(["common", "usual", "rare"], [80, 30, 10])
        >>> batches = BalancedBatchSequence(np.arange(120.0), y, 2, 4, seed=0)
        >>> samples, codes, sample_weight = batches[0]
        >>> len(batches), samples.shape, np.unique(codes, return_counts=True)[1].tolist()
        (15, (8,), [4, 4])
        >>> sum(int((codes == batches.classes.index("rare")).sum()) for _, codes, _ in batches)  # of 120 in all
        40
    """

    label_kind = "class labels"

    def __init__(
        self,
        x: Any,
        y: ArrayLike,
        classes_per_batch: int = 8,
        samples_per_class: int = 4,
        *,
        steps_per_epoch: int | None = None,
        class_sampling: ClassSampling = "balanced",
        min_samples: int = 2,
        max_repeats: int | None = None,
        resampling: Any = None,
        epochs: int | None = None,
        class_weight: WeightScheme | None = None,
        transform: Callable[..., Any] | None = None,
        batch_transform: Callable[..., Any] | None = None,
        redraw: bool = True,
        seed: int | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ):
        loading = LoadingOptions(
            transform=transform,
            batch_transform=batch_transform,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
            max_queue_size=max_queue_size,
        )
        super().__init__(x, y, loading, redraw=redraw, seed=seed)
        options = SamplingOptions(
            class_sampling=class_sampling,
            resampling=resampling,
            epochs=epochs,
            max_repeats=max_repeats,
        )
        self._sampler = BatchSampler(
            self._labels,
            self._loader.source,
            options,
            classes_per_batch=classes_per_batch,
            samples_per_class=samples_per_class,
            steps_per_epoch=steps_per_epoch,
            min_samples=min_samples,
            seed=self.seed,
        )
        self.classes_per_batch = self._sampler.classes_per_batch
        self.samples_per_class = self._sampler.samples_per_class
        self.batch_size = self.classes_per_batch * self.samples_per_class
        self._steps = self._sampler.steps
        self._total = self._steps * self.batch_size
        shares = self._sampler.class_distribution(self._sampler.class_sampler.last_epoch)
        self._weights = starting_weights(self._labels, shares, class_sampling, class_weight)
        self._start = self._weights, self._sampler
        self._weighed: tuple[BatchPlan, np.ndarray, np.ndarray] | None = None
        self._sampler.warn(copies_differ=batch_transform is not None)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray, np.ndarray]:
        number = self._number(index)
        epoch, plan = self._current()
        own = own_slice(self)
        codes = plan.class_of[number].repeat(self.samples_per_class)[rows_of(own, self.batch_size)]
        return self._samples(plan, epoch, number, own), codes, self._scaled_weights(plan)[codes]

    def indices(self, index: int | None = None) -> np.ndarray:
        """The samples of a batch, or of the whole epoch, as positions in `x`, without loading them.

        The epoch is the current one. Positions from `len(y)` on are samples that `resampling` has generated.

        Args:
            index: The number of the batch. `None` means all batches of the epoch, in the order of `model.predict`.

        Returns:
            Indices `(P K,)`, class after class, or `(steps P K,)` for the whole epoch.

        Raises:
            IndexError: If there is no such batch.

        Examples:
            >>> import pandas as pd
            >>> frame = pd.DataFrame({"size": range(60), "person": ["ann"] * 50 + ["bob"] * 10})
            >>> batches = BalancedBatchSequence(frame[["size"]], frame["person"], 2, 5, seed=0)
            >>> frame.iloc[batches.indices()]["person"].value_counts().to_dict()
            {'ann': 30, 'bob': 30}
        """
        part = self._own_items() if index is None else self._slice(self._number(index), self._part)
        return self._current()[1].samples.reshape(-1)[part].copy()

    @property
    def class_distribution(self) -> dict[Label, float]:
        """The share of each class among the samples of an epoch, with the sum 1."""
        return dict(zip(self.classes, self._sampler.class_distribution(self._epoch).tolist(), strict=True))

    def describe(self) -> EpochSummary:
        """Summarise this epoch by class.

        Returns:
            An object that prints as a table of samples, batches, shares before and after sampling, repeats and weights,
            with notes on special cases. It has the attributes `per_class`, `totals` and `notes`, and `to_dict()`.
        """
        return batch_summary(self._sampler, self._epoch, self._weights)

    def _draw(self, epoch: int) -> BatchPlan:
        return self._sampler.plan(epoch)

    def _index(self, plan: BatchPlan, items: slice) -> np.ndarray:
        return plan.samples.reshape(-1)[items]

    def _scaled_weights(self, plan: BatchPlan) -> np.ndarray:
        """The float32 weight `(C,)` of each class, divided by the mean weight of the samples of the epoch."""
        known, weights = self._weighed, self._weights
        if known is None or known[0] is not plan or known[1] is not weights:
            visits = np.bincount(plan.class_of.reshape(-1), minlength=len(weights))
            mean = (weights * visits).sum() / visits.sum()
            self._weighed = known = (plan, weights, (weights / (mean or 1.0)).astype(np.float32))
        return known[2]
