"""The TensorFlow operations of old models, by the names in their files, on any backend.

Each function has the parameter names of the TensorFlow function, because the files hold them.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_balanced_siamese._backend import native_operations, ops, without_mask
from keras_balanced_siamese._typing import Tensor

UNARY = {  # name in the file, if it is not that of the operation of Keras with `math.` before it
    "math.acos": "arccos",
    "math.acosh": "arccosh",
    "math.asin": "arcsin",
    "math.asinh": "arcsinh",
    "math.atan": "arctan",
    "math.atanh": "arctanh",
    "math.is_nan": "isnan",
    "math.is_finite": "isfinite",
    "math.is_inf": "isinf",
    "math.rint": "round",
    "nn.elu": "elu",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.selu": "selu",
    "nn.softsign": "softsign",
    "stop_gradient": "stop_gradient",
} | {
    f"math.{name}": name
    for name in (
        *("abs", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor", "log", "log1p", "log_sigmoid", "logical_not"),
        *("negative", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "softplus", "sqrt", "square"),
        *("tan", "tanh"),
    )
}
BINARY = {
    "__operators__.add": "add",
    "__operators__.eq": "equal",
    "__operators__.ne": "not_equal",
    "compat.v1.floor_div": "floor_divide",
    "math.floordiv": "floor_divide",
    "math.floormod": "mod",
    "math.pow": "power",
    "math.truediv": "true_divide",
    "math.divide": "true_divide",
    "math.divide_no_nan": "divide_no_nan",
} | {
    f"math.{name}": name
    for name in (
        *("add", "equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or"),
        *("logical_xor", "maximum", "minimum", "multiply", "not_equal", "subtract"),
    )
}
REDUCTIONS = {f"math.reduce_{name}": name for name in ("sum", "mean", "max", "min", "prod", "any", "all", "std", "var")}
REDUCTIONS |= {"math.reduce_variance": REDUCTIONS.pop("math.reduce_var"), "math.reduce_logsumexp": "logsumexp"}


def _unary(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(x: Tensor, name: str | None = None) -> Tensor:
        return operation(x)

    return call


def _binary(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(x: Tensor, y: Any, name: str | None = None) -> Tensor:
        return operation(*_alike(x, y))

    return call


def _reduction(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(input_tensor: Tensor, axis: Any = None, keepdims: bool | None = False, name: str | None = None) -> Tensor:
        if operation is ops.mean and "int" in keras.backend.standardize_dtype(input_tensor.dtype):
            raise ValueError("The mean of whole numbers, which TensorFlow rounds, is not known here")
        return operation(input_tensor, axis=_axes(axis), keepdims=bool(keepdims))

    return call


def _alike(x: Any, y: Any) -> tuple[Any, Any]:
    """Convert the one that is a constant to the type of the other, as TensorFlow does."""
    if not hasattr(x, "dtype") and not hasattr(y, "dtype"):
        x = ops.convert_to_tensor(x, dtype=_dtype_of_constant(x))
    if not hasattr(y, "dtype"):
        y = ops.convert_to_tensor(y, dtype=x.dtype)
    elif not hasattr(x, "dtype"):
        x = ops.convert_to_tensor(x, dtype=y.dtype)
    return x, y


def _dtype_of_constant(value: Any) -> str:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return "bool" if isinstance(value, bool) else "int32" if isinstance(value, int) else "float32"


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


def _norm(tensor: Tensor, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: Any = None) -> Tensor:
    axis, keep = _axes(axis), bool(keepdims)
    if ord in ("euclidean", "fro", 2) and not (ord == 2 and isinstance(axis, tuple) and len(axis) > 1):
        return ops.sqrt(ops.sum(tensor * tensor, axis=axis, keepdims=keep))
    if not isinstance(ord, (int, float)) or ord <= 0 or (isinstance(axis, tuple) and len(axis) > 1):
        raise ValueError(f"A norm must have an order of more than 0 along one axis. Received: ord={ord!r}, axis={axis}")
    if math.isinf(ord):
        return ops.max(ops.abs(tensor), axis=axis, keepdims=keep)
    return ops.power(ops.sum(ops.power(ops.abs(tensor), ord), axis=axis, keepdims=keep), 1.0 / ord)


def _euclidean_norm(input_tensor: Tensor, axis: Any = None, keepdims: Any = False, name: Any = None) -> Tensor:
    return _norm(input_tensor, axis=axis, keepdims=keepdims)


def _l2_normalize(x: Tensor, axis: Any = None, epsilon: float = 1e-12, name: Any = None, dim: Any = None) -> Tensor:
    axis = _axes(dim if axis is None else axis)
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), epsilon))


def _squared_difference(x: Tensor, y: Any, name: Any = None) -> Tensor:
    x, y = _alike(x, y)
    return ops.square(x - y)


def _clip(t: Tensor, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Tensor:
    return ops.minimum(ops.maximum(*_alike(t, clip_value_min)), _alike(t, clip_value_max)[1])


def _cast(x: Tensor, dtype: str, name: Any = None) -> Tensor:
    found = ops.cast(x, dtype_name(dtype))
    dropping = found is x and dtype_name(dtype) != keras.backend.standardize_dtype(x.dtype)  # JAX has no float64
    return without_mask(found) if dropping else found


def dtype_name(dtype: str) -> str:
    """Return `float32` for `<dtype: 'float32'>`."""
    found = re.fullmatch(r"<dtype: '(\w+)'>", dtype)
    return found[1] if found else dtype


def _reshape(tensor: Tensor, shape: Any, name: Any = None) -> Tensor:
    """Reshape; `None` in the shape is the size of the batch."""
    unknown = [size for size in shape if size in (None, -1)]
    sizes = [-1 if size is None and len(unknown) == 1 else size for size in shape]
    return ops.reshape(tensor, [ops.shape(tensor)[0] if size is None else size for size in sizes])


def _squeeze(input: Tensor, axis: Any = None, name: Any = None, squeeze_dims: Any = None) -> Tensor:
    return ops.squeeze(input, axis=_axes(squeeze_dims if axis is None else axis))


def _transpose(a: Tensor, perm: Any = None, name: Any = None, conjugate: bool = False) -> Tensor:
    return ops.transpose(a, axes=_axes(perm))


def _matmul(
    a: Tensor,
    b: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
    name: Any = None,
) -> Tensor:
    a, b = _alike(a, b)
    left = ops.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a
    return ops.matmul(left, ops.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b)


def _tensordot(a: Tensor, b: Any, axes: Any, name: Any = None) -> Tensor:
    return ops.tensordot(*_alike(a, b), axes=axes)


def _where(condition: Tensor, x: Any = None, y: Any = None, name: Any = None) -> Tensor:
    return ops.where(condition, *_alike(x, y))


def _getitem(tensor: Any, slice_spec: Any, var: Any = None) -> Any:
    return tensor[_index(slice_spec)]


def _index(spec: Any) -> Any:
    if isinstance(spec, dict) and "class_name" in spec:
        return Ellipsis
    if isinstance(spec, dict):
        return slice(spec["start"], spec["stop"], spec["step"])
    if isinstance(spec, (list, tuple)):
        return tuple(_index(one) for one in spec)
    return Ellipsis if spec == "Ellipsis" else spec


def _split(value: Tensor, num_or_size_splits: Any, axis: int = 0, num: Any = None, name: Any = None) -> Any:
    sizes = num_or_size_splits
    if isinstance(sizes, (list, tuple)):  # Keras takes the places of the cuts
        sizes = [sum(sizes[: k + 1]) for k in range(len(sizes) - 1)]
    return list(ops.split(value, sizes, axis=axis))


def _gather(
    params: Tensor,
    indices: Any,
    validate_indices: Any = None,
    axis: int | None = None,
    batch_dims: int = 0,
    name: Any = None,
) -> Tensor:
    if batch_dims:
        raise ValueError(f"`gather` is known for batch_dims=0 only. Received: batch_dims={batch_dims}")
    return ops.take(params, indices, axis=axis or 0)


def _pad(tensor: Tensor, paddings: Any, mode: str = "CONSTANT", name: Any = None, constant_values: Any = 0) -> Tensor:
    values = constant_values if mode.upper() == "CONSTANT" else None
    return ops.pad(tensor, paddings, mode=mode.lower(), constant_values=values)


def _top_k(input: Tensor, k: int = 1, sorted: bool = True, index_type: Any = None, name: Any = None) -> Any:
    return list(ops.top_k(input, k, sorted=sorted))


def _argument(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(input: Tensor, axis: Any = None, output_type: Any = "int64", name: Any = None) -> Tensor:
        return ops.cast(operation(input, axis=axis or 0), dtype_name(output_type))

    return call


def _cumulative(operation: str) -> Callable[..., Tensor]:
    def call(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: Any = None) -> Tensor:
        if exclusive or reverse:
            raise ValueError(f"`{operation}` is known for exclusive=False and reverse=False only")
        return getattr(ops, operation)(x, axis=axis)

    return call


def _where_zero(operation: Callable[[Tensor, Tensor], Tensor], of_first: bool) -> Callable[..., Tensor]:
    """An operation that is 0 where its first or second argument is 0, whatever the other one is."""

    def call(x: Any, y: Any, name: Any = None) -> Tensor:
        x, y = _alike(x, y)
        is_zero = (x if of_first else y) == 0
        found = operation(*(ops.where(is_zero, ops.ones_like(x + y), one) for one in (x, y)))
        return ops.where(is_zero, ops.zeros_like(found), found)

    return call


def _sort(values: Tensor, axis: int = -1, direction: str = "ASCENDING", name: Any = None) -> Tensor:
    found = ops.sort(values, axis=axis)
    return ops.flip(found, axis=axis) if direction == "DESCENDING" else found


def _normalize(tensor: Tensor, ord: Any = "euclidean", axis: Any = None, name: Any = None) -> list[Tensor]:
    norm = _norm(tensor, ord, axis, keepdims=True)
    return [tensor / norm, norm]


def _slice(input_: Tensor, begin: Any, size: Any, name: Any = None) -> Tensor:
    ends = [None if length == -1 else start + length for start, length in zip(begin, size, strict=True)]
    return input_[tuple(slice(start, end) for start, end in zip(begin, ends, strict=True))]


def _like(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(input: Tensor, dtype: Any = None, name: Any = None) -> Tensor:
        return operation(input, dtype=None if dtype is None else dtype_name(dtype))

    return call


def _shape(input: Any, name: Any = None, out_type: Any = None) -> tuple[int | None, ...]:
    """The static shape: a tuple, and no tensor."""
    return tuple(input.shape)


def _sum_of_all(inputs: Any, name: Any = None) -> Tensor:
    return sum(inputs[1:], start=inputs[0])


def _identity(value: Any, dtype: Any = None, dtype_hint: Any = None, name: Any = None) -> Any:
    return value if dtype is None else ops.cast(value, dtype_name(dtype))


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: _unary(getattr(ops, own)) for name, own in UNARY.items() if hasattr(ops, own)},
    **{name: _binary(getattr(ops, own)) for name, own in BINARY.items() if hasattr(ops, own)},
    **{name: _reduction(getattr(ops, own)) for name, own in REDUCTIONS.items() if hasattr(ops, own)},
    "__operators__.getitem": _getitem,
    "broadcast_to": lambda input, shape, name=None: ops.broadcast_to(input, tuple(shape)),
    "cast": _cast,
    "clip_by_value": _clip,
    "compat.v1.gather": _gather,
    "compat.v1.norm": _norm,
    "compat.v1.pad": _pad,
    "compat.v1.shape": _shape,
    "compat.v1.squeeze": _squeeze,
    "compat.v1.transpose": _transpose,
    "concat": lambda values, axis, name=None: ops.concatenate(values, axis=axis),
    "convert_to_tensor": _identity,
    "expand_dims": lambda input, axis, name=None: ops.expand_dims(input, axis),
    "gather": _gather,
    "identity": lambda input, name=None: input,
    "keras.backend.batch_flatten": lambda x: ops.reshape(x, (-1, math.prod(x.shape[1:]))),
    "ensure_shape": lambda x, shape, name=None: x,
    "linalg.matmul": _matmul,
    "linalg.norm": _norm,
    "linalg.matrix_transpose": lambda a, name=None, conjugate=False: ops.swapaxes(a, -1, -2),
    "linalg.normalize": _normalize,
    "linalg.trace": lambda x, name=None: ops.trace(x, axis1=-2, axis2=-1),
    "math.accumulate_n": lambda inputs, shape=None, tensor_dtype=None, name=None: _sum_of_all(inputs),
    "math.add_n": _sum_of_all,
    "math.atan2": lambda y, x, name=None: ops.arctan2(*_alike(y, x)),
    "math.argmax": _argument(ops.argmax),
    "math.argmin": _argument(ops.argmin),
    "math.cumprod": _cumulative("cumprod"),
    "math.cumsum": _cumulative("cumsum"),
    "math.l2_normalize": _l2_normalize,
    "math.multiply_no_nan": _where_zero(lambda x, y: x * y, of_first=False),
    "math.reciprocal_no_nan": lambda x, name=None: ops.divide_no_nan(ops.ones_like(x), x),
    "math.reduce_euclidean_norm": _euclidean_norm,
    "math.squared_difference": _squared_difference,
    "math.top_k": _top_k,
    "math.xdivy": _where_zero(lambda x, y: x / y, of_first=True),
    "math.xlog1py": _where_zero(lambda x, y: x * ops.log1p(y), of_first=True),
    "math.xlogy": _where_zero(lambda x, y: x * ops.log(y), of_first=True),
    "nn.gelu": lambda features, approximate=False, name=None: ops.gelu(features, approximate=approximate),
    "nn.leaky_relu": lambda features, alpha=0.2, name=None: ops.leaky_relu(features, negative_slope=alpha),
    "nn.bias_add": lambda value, bias, data_format=None, name=None: ops.add(*_alike(value, bias)),
    "nn.l2_loss": lambda t, name=None: ops.sum(ops.square(t)) / 2,
    "nn.log_softmax": lambda logits, axis=-1, name=None: ops.log_softmax(logits, axis=-1 if axis is None else axis),
    "nn.silu": lambda features, beta=1.0: features * ops.sigmoid(beta * features),
    "nn.softmax": lambda logits, axis=-1, name=None: ops.softmax(logits, axis=-1 if axis is None else axis),
    "norm": _norm,
    "one_hot": lambda indices, depth, name=None: ops.one_hot(indices, depth),
    "ones_like": _like(ops.ones_like),
    "repeat": lambda input, repeats, axis=None, name=None: ops.repeat(input, repeats, axis=axis),
    "reshape": _reshape,
    "roll": lambda input, shift, axis, name=None: ops.roll(input, shift, axis=axis),
    "slice": _slice,
    "sort": _sort,
    "reverse": lambda tensor, axis, name=None: ops.flip(tensor, axis=_axes(axis)),
    "shape": _shape,
    "split": _split,
    "squeeze": _squeeze,
    "stack": lambda values, axis=0, name=None: ops.stack(values, axis=axis),
    "tensordot": _tensordot,
    "tile": lambda input, multiples, name=None: ops.tile(input, tuple(multiples)),
    "transpose": _transpose,
    "unstack": lambda value, num=None, axis=0, name=None: list(ops.unstack(value, num, axis=axis)),
    "where": _where,
    "zeros_like": _like(ops.zeros_like),
}
OWN = ("__operators__.getitem", "compat.v1.shape", "reshape", "shape")  # which take what is not a tensor
OPERATIONS |= native_operations({*OPERATIONS, *UNARY, *BINARY, *REDUCTIONS} - set(OWN))
