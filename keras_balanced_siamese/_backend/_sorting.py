"""Sorting and searching the rows of a matrix."""

import importlib
from typing import Any

import keras

from keras_balanced_siamese._backend._generation import has_float64, ops, wide_numbers
from keras_balanced_siamese._typing import Tensor

_name = keras.backend.backend()
_module: Any = importlib.import_module(_name)
COLUMN_TYPE = "int64" if _name == "torch" else "int32"  # the type of indices


def count_not_above(rows: Tensor, values: Tensor) -> Tensor:
    """Count the items of each ascending row `(n, k)` that are not above each value of that row `(n, m)`; int32."""
    if _name == "jax":
        return _module.vmap(lambda row, asked: _module.numpy.searchsorted(row, asked, side="right"))(rows, values)
    if _name == "torch":
        return _module.searchsorted(rows, values.contiguous(), right=True, out_int32=True)
    return _module.searchsorted(rows, values, side="right")


def order_rows(values: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Sort the columns of each row of non-negative `values` `(n, k)`; of equal ones, those in a mask come second.

    Returns the columns in ascending order, for `take_columns`, and the mask in this order. Columns of equal values and
    mask keep their order.

    The bits of a float32, the mask and the column form one integer. Under XLA on a CPU, to sort integers takes a
    quarter of the time of sorting floats together with their columns.
    """
    if "float32" not in str(values.dtype) or not has_float64():
        order = ops.argsort(ops.cast(second, "int32"), axis=1)  # stable on each backend
        order = ops.take_along_axis(order, ops.argsort(ops.take_along_axis(values, order, axis=1), axis=1), axis=1)
        return ops.cast(order, COLUMN_TYPE), ops.take_along_axis(second, order, axis=1)
    with wide_numbers():
        column = ops.cast(ops.arange(ops.shape(values)[1]), "int64")
        keys = ops.sort(_bits(values) * 2**32 + ops.cast(second, "int64") * 2**31 + column, axis=1)
        return ops.cast(keys & (2**31 - 1), COLUMN_TYPE), ops.not_equal(keys & 2**31, 0)


def _bits(values: Tensor) -> Tensor:
    """Return the bits of float32 values as int64, which have the order of the values if none is negative."""
    if _name == "jax":
        return _module.lax.bitcast_convert_type(values, "int32").astype("int64")
    if _name == "torch":
        return values.view(_module.int32).to(_module.int64)
    return _module.cast(_module.bitcast(values, _module.int32), _module.int64)


def column_of_max(x: Tensor) -> Tensor:
    """Return the first column `(n, 1)` of the largest item of each row `(n, k)`, for `take_columns`."""
    if _name == "torch":
        return x.max(1, keepdim=True).indices
    column = ops.arange(ops.shape(x)[1])  # under XLA on a CPU, two reductions take a third of the time of `argmax`
    found = ops.where(ops.equal(x, ops.max(x, axis=1, keepdims=True)), column, column[-1])  # the last one for NaN
    return ops.min(found, axis=1, keepdims=True)


def take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """Return the items of each row of `x` `(n, k)` in the columns `(n, m)`."""
    if _name == "jax":
        return _module.numpy.take_along_axis(x, columns, axis=1, mode="clip")
    return _module.gather(x, 1, columns) if _name == "torch" else _module.gather(x, columns, batch_dims=1)


def put_columns(x: Tensor, columns: Tensor) -> Tensor:
    """Return a matrix of the shape of `x` `(n, k)`, with the sums of the items of `x` in the given columns."""
    if _name == "torch":
        return _module.zeros_like(x).scatter_add(1, columns, x)
    rows, width = ops.shape(x)[0], ops.shape(x)[1]
    place = ops.cast(ops.arange(rows), columns.dtype)[:, None] * width + columns
    return ops.reshape(ops.segment_sum(ops.reshape(x, (-1,)), ops.reshape(place, (-1,)), rows * width), (rows, width))


def take_column(x: Tensor, column: Tensor) -> Tensor:
    """Take one item of each row of `x` `(n, k)`, at the columns `(n, 1)`; returns `(n, 1)`.

    Under XLA, a sum over a mask and its gradient join the operations around them; a gather and a scatter do not.
    """
    if _name == "torch":
        return ops.take_along_axis(x, column, axis=1)
    taken = ops.equal(ops.arange(ops.shape(x)[1])[None, :], column)
    return ops.sum(ops.where(taken, x, ops.zeros_like(x)), axis=1, keepdims=True)
