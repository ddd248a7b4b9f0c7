"""The same names as `_keras3` for Keras 2.15, which runs on TensorFlow."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_balanced_siamese._typing import Tensor

ops: Any = SimpleNamespace(
    abs=tf.abs,
    arange=tf.range,
    argmax=tf.argmax,
    argmin=tf.argmin,
    argsort=tf.argsort,
    cast=tf.cast,
    clip=tf.clip_by_value,
    concatenate=tf.concat,
    convert_to_tensor=tf.convert_to_tensor,
    cumsum=tf.cumsum,
    custom_gradient=tf.custom_gradient,
    equal=tf.equal,
    exp=tf.exp,
    floor=tf.floor,
    isfinite=tf.math.is_finite,
    isnan=tf.math.is_nan,
    less=tf.less,
    log1p=tf.math.log1p,
    log=tf.math.log,
    logical_and=tf.logical_and,
    logical_not=tf.logical_not,
    logical_or=tf.logical_or,
    logsumexp=tf.reduce_logsumexp,
    map=tf.map_fn,
    max=lambda x, axis=None, keepdims=False: tf.reduce_max(x, axis=axis, keepdims=keepdims),
    maximum=tf.maximum,
    mean=lambda x, axis=None, keepdims=False: tf.reduce_mean(x, axis=axis, keepdims=keepdims),
    min=lambda x, axis=None, keepdims=False: tf.reduce_min(x, axis=axis, keepdims=keepdims),
    minimum=tf.minimum,
    not_equal=tf.not_equal,
    ones_like=tf.ones_like,
    reshape=tf.reshape,
    segment_sum=tf.math.unsorted_segment_sum,
    shape=tf.shape,
    sigmoid=tf.sigmoid,
    sign=tf.sign,
    softplus=tf.math.softplus,
    sort=tf.sort,
    sqrt=tf.sqrt,
    square=tf.square,
    squeeze=tf.squeeze,
    stack=tf.stack,
    stop_gradient=tf.stop_gradient,
    sum=lambda x, axis=None, keepdims=False: tf.reduce_sum(x, axis=axis, keepdims=keepdims),
    take=lambda x, indices, axis: tf.gather(x, indices, axis=axis),
    take_along_axis=lambda x, indices, axis: tf.experimental.numpy.take_along_axis(x, indices, axis),
    transpose=tf.transpose,
    where=tf.where,
    zeros_like=tf.zeros_like,
)

misnamed_optimizers = {}
PyDataset: Any = keras.utils.Sequence
forgets_training = False
layers_without_parity = ()
has_own_masks = False
opens_keras_2 = True


class Loss(keras.losses.Loss):
    """`keras.losses.Loss` with the arguments and the reductions of Keras 3."""

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        super().__init__(name=name)
        allowed = (None, "none", "sum", "sum_over_batch_size", "mean", "mean_with_sample_weight")
        if reduction not in allowed:
            raise ValueError(f"`reduction` must be one of {allowed}. Received: reduction={reduction!r}")
        self.reduction = reduction
        self.dtype: Any = tf.as_dtype(dtype or keras.backend.floatx()).name

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Tensor:
        mask = getattr(y_pred, "_keras_mask", None)
        losses = self.call(_cast(y_true, self.dtype), _cast(y_pred, self.dtype))
        weights = tf.ones_like(losses)
        if sample_weight is not None:
            weights *= _align_rank(_cast(sample_weight, self.dtype), losses)
        valid = tf.ones_like(losses)
        if mask is not None:
            valid *= _align_rank(_cast(mask, self.dtype), losses)
        total = tf.reduce_sum(losses * weights * valid)
        if self.reduction in (None, "none"):
            return losses * weights * valid
        if self.reduction == "sum":
            return total
        counted = weights * valid if self.reduction == "mean_with_sample_weight" else valid
        return tf.math.divide_no_nan(total, tf.reduce_sum(counted))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction, "dtype": self.dtype}


def _cast(x: Tensor, dtype: str) -> Tensor:
    return tf.cast(tf.convert_to_tensor(x), dtype)


def _align_rank(x: Tensor, like: Tensor) -> Tensor:
    while len(x.shape) > len(like.shape):
        x = tf.squeeze(x, axis=-1)
    while len(x.shape) < len(like.shape):
        x = tf.expand_dims(x, axis=-1)
    return x


def add_metric_variable(metric: Any, name: str, shape: tuple[int, ...], initializer: str, aggregation: str) -> Any:
    """Add a float32 variable to a metric; `aggregation` ("sum" or "mean") combines the copies of the replicas."""
    joined = {"sum": tf.VariableAggregation.SUM, "mean": tf.VariableAggregation.MEAN}[aggregation]
    return metric.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", aggregation=joined)


def attach_metric(model: Any, name: str, metric: Any) -> None:
    """Make a metric's variables part of the compiled steps of `model`, but not of its weights."""
    model._auto_track_sub_layers = False  # a metric is a layer here: its variables would be weights of the model
    setattr(model, name, metric)
    model._auto_track_sub_layers = True
    model._metrics.remove(metric)  # a step reads any variable, and cannot print the result of this metric


def check_stateless() -> None:
    """Raise if this Keras can't call a layer as a function of the values of its variables: Keras 2 can't."""
    raise NotImplementedError(
        "`ChunkedEncoder` needs Keras 3, where an encoder can be called a second time without a change of its state, "
        "such as the moving statistics of batch normalization: pip install 'keras>=3.7' 'tensorflow>=2.18'. "
        f"Received: Keras {keras.__version__}"
    )


def call_in_chunks(_layer: Any, _inputs: Any, _mask: Any, _training: bool | None, _chunk_size: int) -> Tensor:
    """Call a layer in chunks, which `check_stateless` refuses here."""
    check_stateless()


def check_in_step(_model: Any, _variable: Any) -> None:
    """Raise if the variable of an attached metric is not part of the compiled steps: it always is here."""


def read_variable(variable: Any) -> Tensor:
    """Return the value of a variable."""
    return tf.convert_to_tensor(variable)


class State(tf.train.experimental.PythonState):
    """State other than variables that is saved in checkpoints; `fit` is the training to which it belongs."""

    def __init__(self, dump: Callable[[], str], load: Callable[[str], Any], fit: Any):
        super().__init__()
        self.dump, self.load, self.fit = dump, load, fit

    def serialize(self) -> str:
        return self.dump()

    def deserialize(self, string_value: str) -> None:
        self.load(string_value)


def set_name(layer: Any, name: str) -> None:
    """Rename a layer, unless a model uses it already: that model finds the calls of its layers by their names."""
    if not layer.inbound_nodes:
        layer._name = name


def mask_of(_tensor: Any) -> Any:
    """Return the mask that a layer has left on its output: none, as Keras finds it in any call."""
    return None


def without_mask(tensor: Any) -> Any:
    """Return the tensor, as Keras drops the mask of what a layer returns unless the layer supports masks."""
    return tensor


def is_baked_in(_variable: Any, _x: Tensor) -> bool:
    """Return whether the variable is a constant in the compiled step to which `x` belongs: never here."""
    return False


def to_numpy(x: Tensor) -> np.ndarray:
    """Return the values of a tensor or variable."""
    return np.asarray(x)


def has_float64() -> bool:
    """Return whether the backend computes in float64 inside `wide_numbers`."""
    return True


def wide_numbers() -> Any:
    """Return a context in which 64-bit numbers keep their type: they always do here."""
    return nullcontext()


def native_operations(names: Iterable[str]) -> dict[str, Callable[..., Any]]:
    """Return the functions of TensorFlow with these names in its files, such as `math.subtract`."""
    found = {}
    operators = {"__operators__.add": "add", "__operators__.eq": "equal", "__operators__.ne": "not_equal"}
    for name in names:
        place: Any = tf
        for part in operators.get(name, name).split("."):
            place = getattr(place, part, None)
        found |= {} if place is None else {name: place}
    return found
