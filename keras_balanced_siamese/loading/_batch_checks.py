"""Checks of the samples of a batch, with the number of the sample in the message."""

from collections.abc import Mapping
from typing import Any

import numpy as np

NUMBERS = "The encoder needs numbers. Convert the samples by a `transform`, or before"
FINITE = (
    "Samples must be finite: networks turn NaN and infinity into wrong numbers or into NaN weights. Drop such samples, "
    "or fill the gaps, for example by `np.nan_to_num(x)`"
)


def stack_items(items: list[Any], index: np.ndarray, origin: str) -> Any:
    """Stack samples to an array, or to a tuple or dict of arrays as they are.

    Args:
        items: The samples.
        index: Their numbers.
        origin: The beginning of a message, such as "`transform` returned".

    Raises:
        TypeError: If a sample is `None`.
        ValueError: If samples differ in shape.
    """
    first = items[0]
    if isinstance(first, Mapping):
        return {key: stack_items([item[key] for item in items], index, origin) for key in first}
    if isinstance(first, tuple):
        return tuple(stack_items(list(column), index, origin) for column in zip(*items, strict=True))
    return stack_arrays(items, index, origin)


def stack_arrays(items: list[Any], index: np.ndarray, origin: str) -> np.ndarray:
    """Stack samples to an array; see `stack_items`."""
    arrays = [_as_array(item, i, origin) for item, i in zip(items, index.tolist(), strict=True)]
    try:
        return np.stack(arrays)
    except ValueError:
        other = next(k for k, array in enumerate(arrays) if array.shape != arrays[0].shape)
        raise ValueError(
            "All samples must have the same shape: resize, crop or pad them, for example in `transform`. "
            f"Received: {origin} shape {arrays[0].shape} for the sample x[{index[0]}] and shape {arrays[other].shape} "
            f"for x[{index[other]}]"
        ) from None


def check_samples(samples: Any, index: np.ndarray, transformed: bool) -> None:
    """Check the arrays of a batch, as they go to the model.

    Args:
        samples: An array `(m, ...)`, or a tuple or dict of them; tensors are not checked.
        index: The numbers of the samples.
        transformed: Whether they come from a transform, which the message then names.

    Raises:
        TypeError: If an array is not numeric.
        ValueError: If an array holds NaN or an infinite number.
    """
    if isinstance(samples, Mapping):
        samples = tuple(samples.values())
    if isinstance(samples, tuple):
        for part in samples:
            check_samples(part, index, transformed)
    elif isinstance(samples, np.ndarray):
        after = " after the transforms" if transformed else ""
        if not is_numeric(samples.dtype):
            raise TypeError(
                f"{NUMBERS}. Received: {samples.dtype} samples{after}, such as x[{index[0]}]: {_shown(samples[0])}"
            )
        if samples.dtype.kind not in "biu" and not all_finite(samples):
            k = int(np.isfinite(samples).reshape(len(samples), -1).all(axis=1).argmin())
            value = samples[k][~np.isfinite(samples[k])].reshape(-1)[0] if samples.ndim > 1 else samples[k]
            raise ValueError(f"{FINITE}. Received: {value}{after} in the sample x[{index[k]}]")


def is_numeric(dtype: np.dtype) -> bool:
    """Return whether values are numbers; extension types such as bfloat16 are."""
    return dtype.kind in "biufc" or (dtype.kind == "V" and dtype.type is not np.void)


def all_finite(array: np.ndarray) -> bool:
    """Return whether all numbers are finite.

    The smallest and the largest number show it without another array; a float16 is checked faster by its bits.
    """
    if array.dtype == np.float16 and array.dtype.isnative:
        return not ((array.view(np.uint16) & 0x7C00) == 0x7C00).any()
    if array.dtype.kind == "c" or not array.size:
        return bool(np.isfinite(array).all())
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _as_array(item: Any, i: int, origin: str) -> np.ndarray:
    if item is None:
        raise TypeError(
            f"Samples must be arrays or numbers, and a `transform` must return one. Received: {origin} None for the "
            f"sample x[{i}]"
        )
    try:
        return np.asarray(item)
    except ValueError as error:  # a list of lists of different lengths
        raise ValueError(
            f"Samples must be arrays of one shape. Received: {origin} {_shown(item)} for the sample x[{i}]"
        ) from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
