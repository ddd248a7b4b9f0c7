"""Sources of samples: opening, reading by index, and parts of several inputs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese.loading._batch_checks import stack_arrays
from keras_balanced_siamese.loading._tables import SparseRows, as_numbers, is_frame

ADVICE = {
    "as_numpy_iterator": "A `tf.data.Dataset` has no random access. Read it into arrays, `x, y = map(np.array, "
    "zip(*dataset.as_numpy_iterator()))`, or pass file paths with a `transform` that loads",
    "__next__": "A generator has no random access. Collect the samples in a list or an array",
    "num_batches": "Pass the samples that this sequence of batches is made of",
}


def open_source(x: Any) -> Any:
    """Make `x` readable: convert tensors, data frames and sparse matrices; keep arrays, files and lists."""
    if isinstance(x, Mapping):
        return {key: open_source(part) for key, part in x.items()}
    if isinstance(x, tuple):
        return tuple(open_source(part) for part in x)
    if isinstance(x, np.ndarray):
        return as_numbers(x)
    if is_frame(x):
        return as_numbers(x.to_numpy())
    if callable(getattr(x, "tocsr", None)):
        return SparseRows(x.tocsr())
    for name, cure in ADVICE.items():
        if hasattr(x, name):
            raise TypeError(f"`x` must hold single samples with integer indexing. {cure}. Received: {type(x).__name__}")
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


def rows_of(part: Any, index: np.ndarray) -> np.ndarray:
    """The samples of a single source at `index`, in that order."""
    if isinstance(part, np.ndarray):
        if part.dtype.kind == "O" and part.ndim == 1:
            return stack_arrays(part[index].tolist(), index, "`x` holds")
        return np.asarray(part[index])
    if hasattr(part, "shape") and hasattr(part, "dtype"):
        # h5py takes only ascending indices without repeats
        ascending, position = np.unique(index, return_inverse=True)
        return np.asarray(part[ascending])[position.reshape(-1)]
    return stack_arrays([part[i] for i in index.tolist()], index, "`x` holds")
