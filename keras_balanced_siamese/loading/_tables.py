"""Data frames, arrays of objects and sparse matrices as sources of numbers."""

import math
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np


class SparseRows:
    """Rows of a sparse matrix that become dense when they are read."""

    def __init__(self, matrix: Any):
        self.matrix = matrix  # in CSR format
        self.shape = matrix.shape
        self.dtype = matrix.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        rows = self.matrix[np.atleast_1d(index)].toarray()
        return rows if np.ndim(index) else rows[0]


def is_frame(x: Any) -> bool:
    """Return whether `x` is a table or a column of pandas, or of a library with the same methods."""
    return hasattr(x, "iloc") or (hasattr(x, "columns") and callable(getattr(x, "to_numpy", None)))


def as_numbers(array: np.ndarray) -> np.ndarray:
    """Return an array of Python objects as numbers if all are numbers, else unchanged.

    A data frame of different types becomes such an array, for example with boolean, nullable or categorical columns.
    Missing values become NaN.
    """
    if array.dtype.kind != "O" or first_other(array) is not None:
        return array
    values = [math.nan if _is_missing(value) else value for value in array.reshape(-1).tolist()]
    whole = all(isinstance(value, (int, np.integer, np.bool_)) for value in values)
    return np.array(values, None if whole else float).reshape(array.shape)


def first_other(array: np.ndarray) -> tuple[tuple[int, ...], Any] | None:
    """Return the place and the value of the first object that is neither a number nor missing, if there is one."""
    for k, value in enumerate(array.reshape(-1).tolist()):
        if not (isinstance(value, (Real, np.bool_, Decimal)) or _is_missing(value)):
            return tuple(map(int, np.unravel_index(k, array.shape))), value
    return None


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"
