"""Balanced pairs for a two-input model, as a data set for `model.fit`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_balanced_siamese._checks import flag, fraction, whole
from keras_balanced_siamese._typing import ArrayLike, ClassSampling, Label, WeightScheme
from keras_balanced_siamese.loading import halves
from keras_balanced_siamese.sampling._class_sampler import SamplingOptions
from keras_balanced_siamese.sampling._epoch_sequence import EpochSequence, LoadingOptions
from keras_balanced_siamese.sampling._pair_plan import PairPlan
from keras_balanced_siamese.sampling._pair_sampler import PairSampler
from keras_balanced_siamese.sampling._process_parts import own_slice
from keras_balanced_siamese.sampling._starting_weights import starting_weights
from keras_balanced_siamese.sampling._summary import EpochSummary, pair_summary


class BalancedPairSequence(EpochSequence):
    """Pairs of samples with a fixed share of each class, drawn anew for every epoch.

    - Positive and negative pairs alternate in the proportion of `positive_fraction`. So each batch, and each replica's
      part of a batch, has its share of both, rounded up or down.
    - Each class has its `class_sampling` share of the positive pairs of an epoch, rounded up or down. No sample is
      paired with itself. Within a class, all pairs come once before any comes again, and all samples before any comes
      twice; the next epoch continues with other pairs. A class of one sample has no positive pair: a warning names it,
      and it takes part in negative pairs.
    - With `max_repeats`, a positive pair comes at most that many times in an epoch. The share that a class cannot fill
      then goes to the other classes.
    - For a negative pair, classes `a` and `b` are drawn with the probability `2 v_a v_b / (1 - sum of v_c ** 2)`, where
      `v` are the shares, and then one sample of each, in turn.
    - `class_weight` gives positive pairs the weight `w_c` and negative pairs `sqrt(w_a w_b)`, each kind scaled to the
      mean 1 over the epoch.
    - The indices of a batch are a function of (seed, epoch, index) only.

    Args:
        x: `n` samples: an array of any rank and numeric dtype (kept), a memmap, an h5py or zarr array, a list (of
            paths, with a `transform` that loads), a data frame of numbers, a sparse matrix (its rows become dense
            in a batch), any other object with a length and integer indexing, or a tuple or dict of those for an encoder
            with several inputs. A list is one input. Arrays and files are not copied. Without a `transform`, an h5py
            or zarr array is read once a batch, in ascending order.
        y: `(n,)` class labels: integers, strings, booleans or finite floats, in any order.
        batch_size: Pairs in a batch.
        steps_per_epoch: Batches in an epoch. `None` means `ceil(n / batch_size)`, as many pairs as there are samples
            (after `resampling`). Pass it here, not to `fit`, which could fetch batches of the next epoch too early.
        positive_fraction: Share of pairs of one class, from 0 to 1. `None` means the natural fraction: the probability
            that two samples are of one class if their classes are drawn by the shares.
        class_sampling: Share of each class among the pairs: `"balanced"`, `"sqrt"`, `"natural"`, a number q (share
            proportional to `n_c ** q`), `"progressive"` (from natural in the first epoch to balanced in the last of
            `epochs`), or a mapping of class to share.
        max_repeats: Largest number of times that a positive pair comes in one epoch. `None`, the default, means no
            limit: each class gets its share, however few pairs it has. A limit lowers the share of the rarest classes:
            on ten digits, a limit of 3 raised the equal error rate of the four rarest from 0.107 to 0.147. It may help
            a little with `"sqrt"` shares and many classes of very few samples. If all classes together have too few
            pairs, the limit is raised, with a warning.
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
        batch_transform: Function of all samples of a batch, `(2 b, ...)`, the left ones first; it returns as many. It
            may have a parameter `rng` too.
        redraw: If true, every epoch of `fit` draws new pairs, and `evaluate` and `predict` use those of the current
            epoch. If false, all epochs use the pairs of epoch 0, as validation needs.
        with_classes: If true, the labels have two more columns, the positions in `classes` of the left and the right
            sample, for metrics per class. The losses of this package read the first column.
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
        Indexing with a batch number gives `((left, right), similar, sample_weight)`. Left and right are `(b, ...)` in
        the dtype of `x`, `similar` float32 `(b, 1)` with 1 for pairs of one class (`(b, 3)` with classes),
        `sample_weight` float32 `(b,)`.

    Raises:
        ValueError: If `x` and `y` differ in length, there are fewer than two classes or no samples, labels are missing,
            no class can form positive pairs, samples hold NaN or infinity, `x` is ready-made pairs, or an argument is
            out of its range.
        TypeError: If an argument is of the wrong type, or samples are not numbers.
        RuntimeError: When indexed, if a transform fails or a worker process dies; the message names the sample or the
            batch. Samples of large arrays, files and transforms are checked when they are read, too.

    Examples:
        >>> y = ["common"] * 90 + ["rare"] * 10
        >>> pairs = BalancedPairSequence(np.arange(100.0), y, batch_size=10, seed=0)
        >>> (left, right), similar, sample_weight = pairs[0]
        >>> len(pairs), similar.shape, float(similar.sum())
        (10, (10, 1), 5.0)
        >>> sum(int((left[similar[:, 0] == 1] >= 90).sum()) for (left, _), similar, _ in pairs)  # rare, of 50 in all
        25
    """

    label_kind = "pair labels"
    _samples_per_item = 2

    def __init__(
        self,
        x: Any,
        y: ArrayLike,
        batch_size: int = 32,
        *,
        steps_per_epoch: int | None = None,
        positive_fraction: float | None = 0.5,
        class_sampling: ClassSampling = "balanced",
        max_repeats: int | None = None,
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
        loading = LoadingOptions(
            transform=transform,
            batch_transform=batch_transform,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
            max_queue_size=max_queue_size,
        )
        super().__init__(x, y, loading, redraw=redraw, seed=seed)
        self.batch_size = whole("batch_size", batch_size, 1)
        self.positive_fraction = positive_fraction
        if positive_fraction is not None:
            self.positive_fraction = fraction("positive_fraction", positive_fraction)
        self.with_classes = flag("with_classes", with_classes)
        options = SamplingOptions(
            class_sampling=class_sampling,
            resampling=resampling,
            epochs=epochs,
            max_repeats=max_repeats,
        )
        self._sampler = PairSampler(
            self._labels, self._loader.source, options, positive_fraction=self.positive_fraction, seed=self.seed
        )
        self._steps = -(-self._sampler.total // self.batch_size)
        if steps_per_epoch is not None:
            self._steps = whole("steps_per_epoch", steps_per_epoch, 1)
            self._sampler.total = self._steps * self.batch_size
        self._total = self._sampler.total
        shares = self._sampler.quotas(self._sampler.class_sampler.last_epoch).shares
        self._weights = starting_weights(self._labels, shares, class_sampling, class_weight)
        self._start = self._weights, self._sampler
        self._weighed: tuple[PairPlan, np.ndarray, np.ndarray] | None = None
        self._sampler.warn()

    def __getitem__(self, index: int) -> tuple[tuple[Any, Any], np.ndarray, np.ndarray]:
        number = self._number(index)
        epoch, plan = self._current()
        own = own_slice(self)
        samples, part = self._samples(plan, epoch, number, own), self._slice(number, own)
        labels, weights = plan.similar[part].reshape(-1, 1).copy(), self._pair_weights(plan)[part].copy()
        if self.with_classes:
            labels = np.concatenate([labels, plan.codes[plan.pairs[part]]], axis=1).astype(np.float32)
        return halves(samples, len(labels)), labels, weights

    def indices(self, index: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pairs of a batch, or of the whole epoch, as positions in `x`, without loading samples.

        - The epoch is the current one. After `fit` that is the next one: `set_epoch(k)` goes back to epoch k.
        - Pairs that `HardPairMining` has replaced are among them until another epoch is drawn: read them in a callback.
        - A sequence from `shard` has the pairs of its own part.
        - Positions from `len(y)` on are samples that `resampling` has generated, which are not in `x`.

        Args:
            index: The number of the batch. `None` means all batches of the epoch, in the order of `model.predict`.

        Returns:
            Left indices `(b,)`, right indices `(b,)` and `similar` float32 `(b,)`.

        Raises:
            IndexError: If there is no such batch.

        Examples:
            The pairs of an epoch as rows of a data frame:

            >>> import pandas as pd
            >>> frame = pd.DataFrame({"file": ["0.png", "1.png", "2.png", "3.png"], "person": ["ann", "bob"] * 2})
            >>> pairs = BalancedPairSequence(frame["file"].tolist(), frame["person"], transform=len, seed=0)
            >>> left, right, similar = pairs.indices()
            >>> table = frame.iloc[left].add_prefix("left_").reset_index(drop=True)
            >>> table = table.join(frame.iloc[right].add_prefix("right_").reset_index(drop=True))
            >>> (table["left_person"] == table["right_person"]).tolist() == (similar == 1).tolist()
            True
        """
        plan = self._current()[1]
        part = self._own_items() if index is None else self._slice(self._number(index), self._part)
        return plan.pairs[part, 0].copy(), plan.pairs[part, 1].copy(), plan.similar[part].copy()

    @property
    def class_distribution(self) -> dict[Label, float]:
        """The share of each class among the members of all pairs of an epoch, with the sum 1."""
        return dict(zip(self.classes, self._sampler.class_distribution(self._epoch).tolist(), strict=True))

    @property
    def max_repeats(self) -> int | None:
        """Largest number of times that a positive pair comes in one epoch; `None` if there is no limit."""
        return self._sampler.options.max_repeats

    def describe(self) -> EpochSummary:
        """Summarise this epoch by class.

        Returns:
            An object that prints as a table of samples, pairs, shares before and after sampling, repeats and weights,
            with notes on special cases. It has the attributes `per_class`, `totals` and `notes`, and `to_dict()`. Of
            more than 60 classes the table shows the 30 most common and the 30 rarest, the others all.
        """
        return pair_summary(self._sampler, self._epoch, self._weights, self._steps, self.batch_size)

    def _draw(self, epoch: int) -> PairPlan:
        return self._sampler.plan(epoch)

    def _index(self, plan: PairPlan, items: slice) -> np.ndarray:
        return plan.pairs[items].T.reshape(-1)  # the left ones first

    def _pair_weights(self, plan: PairPlan) -> np.ndarray:
        """The float32 weight `(m,)` of each pair: `sqrt(w_a w_b)`, divided by its mean over the pairs of one kind."""
        known, weights = self._weighed, self._weights
        if known is None or known[0] is not plan or known[1] is not weights:
            products = np.ones(len(plan.pairs))
            if (weights != weights[0]).any():
                products = np.sqrt(weights)[plan.codes[plan.pairs]].prod(axis=1)
                for kind in (plan.similar == 0, plan.similar == 1):
                    products[kind] /= products[kind].mean() or 1.0 if kind.any() else 1.0
            self._weighed = known = (plan, weights, products.astype(np.float32))
        return known[2]
