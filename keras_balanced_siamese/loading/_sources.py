"""Sources of samples: reading by index, and transforms."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np


class Loader:
    """A source with the transforms of its samples; each worker process gets a copy.

    Args:
        source: The result of `open_source`.
        transform: Function of one sample, or `None`.
        batch_transform: Function of the stacked samples, or `None`.
        seed: The seed of the generators for transforms with a parameter `rng`.
    """

    def __init__(
        self,
        source: Any,
        transform: Callable[..., Any] | None = None,
        batch_transform: Callable[..., Any] | None = None,
        seed: int = 0,
    ):
        self.source = source
        self.transform = transform
        self.batch_transform = batch_transform
        self.seed = seed
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
        """
        if self.transform is not None:
            found = [self._item(i, epoch, None if rows is None else rows[k]) for k, i in enumerate(index.tolist())]
            samples = _stack(found)
        elif rows is not None:
            samples = rows
        else:
            samples = map_parts(lambda part: _rows(part, index), self.source)
        if self.batch_transform is None:
            return samples
        try:
            changed = self.batch_transform(samples, **self._rng(self._batch_rng, epoch, batch, 1))
        except Exception as error:
            raise RuntimeError(
                f"`batch_transform` failed on batch {batch} of epoch {epoch} with {type(error).__name__}: {error}"
            ) from error
        for part in parts(changed):
            if length(part) != len(index):
                raise ValueError(
                    f"`batch_transform` must return as many samples as it is given, all {len(index)} of a batch. "
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


def open_source(x: Any) -> Any:
    """Make `x` readable: convert tensors and data frames to arrays; keep arrays, files and lists."""
    if isinstance(x, Mapping):
        return {key: open_source(part) for key, part in x.items()}
    if isinstance(x, tuple):
        return tuple(open_source(part) for part in x)
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "iloc"):
        return x.to_numpy()
    if callable(getattr(x, "numpy", None)):
        return x.numpy()
    if hasattr(x, "__getitem__") and not isinstance(x, (str, bytes)) and (hasattr(x, "__len__") or hasattr(x, "shape")):
        return x
    raise TypeError(
        "`x` must be an array, anything with a length and integer indexing, or a tuple or dict of those. "
        f"Received: x of type {type(x).__name__}"
    )


def check_lengths(source: Any, n: int) -> None:
    """Check that each source has `n` samples."""
    if not list(parts(source)):
        raise ValueError("`x` must hold at least one input. Received: an empty tuple or dict")
    for part in parts(source):
        if length(part) != n:
            raise ValueError(
                f"`x` and `y` must have the same length; pass several inputs as a tuple or a dict, not as a list. "
                f"Received: len(x)={length(part)}, len(y)={n}"
            )


def length(part: Any) -> int:
    """Number of samples of a single source; zarr arrays have a shape but no length."""
    return part.shape[0] if hasattr(part, "shape") else len(part)


def parts(source: Any) -> Iterator[Any]:
    """The single sources of a (possibly nested) source."""
    if isinstance(source, Mapping):
        source = tuple(source.values())
    if isinstance(source, tuple):
        for part in source:
            yield from parts(part)
    else:
        yield source


def halves(samples: Any, middle: int) -> tuple[Any, Any]:
    """Split samples that were read together into left and right ones."""
    if isinstance(samples, Mapping):
        pairs = {key: halves(part, middle) for key, part in samples.items()}
        return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}
    if isinstance(samples, tuple):
        left, right = zip(*(halves(part, middle) for part in samples), strict=True)
        return left, right
    return samples[:middle], samples[middle:]


def map_parts(function: Callable[[Any], Any], source: Any) -> Any:
    """Apply a function to each single source, and return the results in the same tuples and dicts."""
    if isinstance(source, Mapping):
        return {key: map_parts(function, part) for key, part in source.items()}
    if isinstance(source, tuple):
        return tuple(map_parts(function, part) for part in source)
    return function(source)


def _rows(part: Any, index: np.ndarray) -> np.ndarray:
    if isinstance(part, np.ndarray):
        return np.asarray(part[index])
    if hasattr(part, "shape") and hasattr(part, "dtype"):
        # h5py takes only ascending indices without repeats
        ascending, position = np.unique(index, return_inverse=True)
        return np.asarray(part[ascending])[position.reshape(-1)]
    return np.stack([np.asarray(part[i]) for i in index.tolist()])


def _stack(items: list[Any]) -> Any:
    first = items[0]
    if isinstance(first, Mapping):
        return {key: _stack([item[key] for item in items]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stack(list(column)) for column in zip(*items, strict=True))
    return np.stack([np.asarray(item) for item in items])
