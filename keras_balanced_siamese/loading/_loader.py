"""Loading of the samples of a batch, with their transforms."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_balanced_siamese.loading._batch_checks import check_samples, stack_items
from keras_balanced_siamese.loading._sources import length, map_parts, parts, rows_of


class Loader:
    """A source with the transforms of its samples; each worker process gets a copy.

    Args:
        source: The result of `open_source`.
        transform: Function of one sample, or `None`.
        batch_transform: Function of the stacked samples, or `None`.
        seed: The seed of the generators for transforms with a parameter `rng`.
        checked: Whether all samples of the source are known to be finite numbers.
    """

    def __init__(
        self,
        source: Any,
        transform: Callable[..., Any] | None = None,
        batch_transform: Callable[..., Any] | None = None,
        seed: int = 0,
        checked: bool = False,
    ):
        self.source = source
        self.transform = transform
        self.batch_transform = batch_transform
        self.seed = seed
        self.checked = checked
        self._item_rng = transform is not None and _takes_rng(transform)
        self._batch_rng = batch_transform is not None and _takes_rng(batch_transform)

    def load(self, index: np.ndarray, epoch: int, batch: int, rows: np.ndarray | None = None) -> Any:
        """The samples at `index`, in that order, transformed: an array `(len(index), ...)`, or a tuple or dict of them.

        Args:
            index: The indices of the samples.
            epoch: Number of the epoch, for the random generators.
            batch: Number of the batch.
            rows: The samples themselves, if they are not read from the source.

        Raises:
            RuntimeError: If a transform fails; the message names the sample or the batch.
            TypeError: If a sample is not numeric.
            ValueError: If samples differ in shape, or a sample holds NaN or an infinite number.
        """
        if self.transform is not None:
            found = [self._item(i, epoch, None if rows is None else rows[k]) for k, i in enumerate(index.tolist())]
            samples = stack_items(found, index, "`transform` returned")
        elif rows is not None:
            samples = rows
        else:
            samples = map_parts(lambda part: rows_of(part, index), self.source)
        if self.batch_transform is not None:
            samples = self._changed(samples, epoch, batch, len(index))
        if not (self.checked and rows is None):
            check_samples(samples, index, self.transform is not None or self.batch_transform is not None)
        return samples

    def _changed(self, samples: Any, epoch: int, batch: int, n: int) -> Any:
        """The result of `batch_transform` on `n` samples."""
        assert self.batch_transform is not None
        try:
            changed = self.batch_transform(samples, **self._rng(self._batch_rng, epoch, batch, 1))
        except Exception as error:
            raise RuntimeError(
                f"`batch_transform` failed on batch {batch} of epoch {epoch} with {type(error).__name__}: {error}"
            ) from error
        for part in parts(changed):
            if not hasattr(part, "shape"):
                raise TypeError(
                    "`batch_transform` must return the samples of the batch as an array, or as a tuple or dict of "
                    f"arrays. Received: {type(part).__name__} for batch {batch} of epoch {epoch}"
                )
            if length(part) != n:
                raise ValueError(
                    f"`batch_transform` must return as many samples as it is given, all {n} of a batch. "
                    f"Received: {length(part)}"
                )
        return changed

    def _item(self, i: int, epoch: int, row: np.ndarray | None) -> Any:
        assert self.transform is not None
        item = map_parts(lambda part: part[i], self.source) if row is None else row
        try:
            return self.transform(item, **self._rng(self._item_rng, epoch, i, 0))
        except Exception as error:
            shown = f", {item!r}," if isinstance(item, (str, bytes)) or hasattr(item, "__fspath__") else ""
            raise RuntimeError(
                f"`transform` failed on the sample x[{i}]{shown} with {type(error).__name__}: {error}"
            ) from error

    def _rng(self, takes_rng: bool, epoch: int, i: int, kind: int) -> dict[str, np.random.Generator]:
        return {"rng": np.random.default_rng([self.seed, epoch, i, 4 + kind])} if takes_rng else {}


def _takes_rng(function: Callable[..., Any]) -> bool:
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # written in C
        return False
