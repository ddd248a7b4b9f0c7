"""Reading samples by index from anything that holds them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np


def open_source(x: Any) -> Any:
    """Make `x` readable by `read`: unwrap tensors and data frames; keep arrays, files and lists as they are."""
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


def read(source: Any, index: np.ndarray, transform: Callable[[Any], Any] | None = None) -> Any:
    """The samples at `index` `(b,)`, in that order: an array `(b, ...)`, or a tuple or dict of such arrays.

    `transform` is applied to each sample: to one item, or to a tuple or dict of items.
    """
    if transform is None:
        return _map(lambda part: _rows(part, index), source)
    return _stack([transform(_map(lambda part, i=i: part[i], source)) for i in index.tolist()])


def _map(function: Callable[[Any], Any], source: Any) -> Any:
    if isinstance(source, Mapping):
        return {key: _map(function, part) for key, part in source.items()}
    if isinstance(source, tuple):
        return tuple(_map(function, part) for part in source)
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
