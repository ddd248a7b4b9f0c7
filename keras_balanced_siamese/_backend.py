"""Differences between Keras 3 and Keras 2.15; no other file depends on the installed version."""

import importlib
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_balanced_siamese._typing import Tensor

PACKAGE = "keras_balanced_siamese"
registered: dict[str, type] = {}  # name in saved models -> class
_torch: Any = importlib.import_module("torch") if keras.backend.backend() == "torch" else None


def register(cls: Any) -> Any:
    """Class decorator: register a class with Keras, and list it for `custom_objects`."""
    registered[f"{PACKAGE}>{cls.__name__}"] = cls
    return keras.saving.register_keras_serializable(package=PACKAGE)(cls)


if TYPE_CHECKING or hasattr(keras, "ops"):
    ops: Any = keras.ops
    PyDataset: Any = keras.utils.PyDataset
    # On PyTorch, Keras saves these under a module name that the other backends cannot import
    MISNAMED = ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Lion", "Nadam", "RMSprop", "SGD")
    misnamed_optimizers = {name: getattr(keras.optimizers, name) for name in MISNAMED}

    class Loss(keras.losses.Loss):
        """`keras.losses.Loss` whose config includes the `dtype`, which Keras omits."""

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "dtype": self.dtype}

    def add_metric_variable(metric: Any, name: str, shape: tuple[int, ...], initializer: str, aggregation: str) -> Any:
        """Add a float32 variable to a metric; `aggregation` ("sum" or "mean") combines the copies of the replicas."""
        return metric.add_variable(
            shape=shape, initializer=initializer, dtype="float32", aggregation=aggregation, name=name
        )

    def attach_metric(model: Any, name: str, metric: Any) -> None:
        """Make a metric's variables part of the compiled steps of `model`, but not of its weights.

        Only a step of JAX needs the metric among `model.metrics`: a step of the other backends reads any variable.
        """
        if keras.backend.backend() != "jax":
            object.__setattr__(model, name, metric)
            return
        locked = model._tracker.locked  # a built subclassed model accepts no new parts
        model._tracker.unlock()
        setattr(model, name, metric)
        if locked:
            model._tracker.lock()

    def check_in_step(model: Any, variable: Any) -> None:
        """Raise if the variable of an attached metric is not part of the compiled steps of `model`."""
        if keras.backend.backend() == "jax" and not any(one is variable for one in model.metrics_variables):
            raise ValueError(
                "On JAX, the property `metrics` of the model must include the metrics of `super().metrics`, or a step "
                "neither reads new class weights nor records losses. Remove the property, since Keras lists the "
                "metrics that are attributes of the model, and compute the loss in a `keras.StatelessScope` of "
                "`self.metrics_variables`, as `self.stateless_compute_loss` does. Or adapt the weights of the data: "
                "AdaptiveClassWeight(pairs, validation_data=...). Received: a model with metrics="
                f"{[metric.name for metric in model.metrics]}"
            )

    def read_variable(variable: Any) -> Tensor:
        """Return the value of a variable of a metric.

        Raises:
            ValueError: If the value is in the state of a step of JAX that does not pass it on.
        """
        try:
            return keras.ops.convert_to_tensor(variable)
        except TypeError as error:  # Keras has emptied the variable
            raise ValueError(
                "On JAX, the class weights of this loss are in the state of the training step while it runs. A "
                "`train_step` must compute the loss by `self.stateless_compute_loss` with the variables of the "
                "metrics, and return those that it gets back, as the one of `keras.Model` does; a callback must read "
                "`self.model` before it reads the loss. Received: a training step, or a callback, that does not"
            ) from error

    class _State(keras.losses.Loss):
        """State other than variables that is saved in weights files; `fit` is the training to which it belongs."""

        def __init__(self, dump: Callable[[], str], load: Callable[[str], Any], fit: Any):
            super().__init__()
            self.dump, self.load, self.fit = dump, load, fit

        def save_own_variables(self, store: Any) -> None:
            store["state"] = np.frombuffer(self.dump().encode(), np.uint8)

        def load_own_variables(self, store: Any) -> None:
            names = store.keys()  # not every store of Keras is a mapping
            if "state" in names:
                self.load(np.asarray(store["state"]).tobytes().decode())

    def is_baked_in(variable: Any, x: Tensor) -> bool:
        """Return whether the variable is a constant in the compiled step to which `x` belongs."""
        if keras.backend.backend() != "jax":
            return False
        tracer = importlib.import_module("jax").core.Tracer
        return isinstance(x, tracer) and not isinstance(read_variable(variable), tracer)

    def to_numpy(x: Tensor) -> np.ndarray:
        """Return the values of a tensor or variable, without NumPy's warning about `__array__`, which Keras causes."""
        value: Any = x.value if isinstance(x, keras.Variable) else keras.ops.convert_to_tensor(x)
        value: Any = keras.ops.stop_gradient(value)  # a tensor, also where the value is a variable of the backend
        if keras.backend.backend() == "torch":
            value = value.cpu().float() if "bfloat16" in str(value.dtype) else value.cpu()
        return np.asarray(value) if keras.backend.backend() == "jax" else value.numpy()

    def has_float64() -> bool:
        """Return whether the backend computes in float64 on request: JAX rounds to float32."""
        return keras.backend.backend() != "jax"

    def count_not_above(rows: Tensor, values: Tensor) -> Tensor:
        """Count the items of each ascending row `(n, k)` that are not above each value of that row `(n, m)`; int32."""
        name = keras.backend.backend()
        module = importlib.import_module(name)
        if name == "jax":
            return module.vmap(lambda row, asked: module.numpy.searchsorted(row, asked, side="right"))(rows, values)
        if name == "torch":
            return module.searchsorted(rows, values.contiguous(), right=True, out_int32=True)
        return module.searchsorted(rows, values, side="right")

else:
    import tensorflow as tf

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

    class Loss(keras.losses.Loss):
        """`keras.losses.Loss` with the arguments and the reductions of Keras 3."""

        def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
            super().__init__(name=name)
            allowed = (None, "none", "sum", "sum_over_batch_size", "mean", "mean_with_sample_weight")
            if reduction not in allowed:
                raise ValueError(f"`reduction` must be one of {allowed}. Received: reduction={reduction!r}")
            self.reduction = reduction
            self.dtype = tf.as_dtype(dtype or keras.backend.floatx()).name

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

    def check_in_step(_model: Any, _variable: Any) -> None:
        """Raise if the variable of an attached metric is not part of the compiled steps: it always is here."""

    def read_variable(variable: Any) -> Tensor:
        """Return the value of a variable."""
        return tf.convert_to_tensor(variable)

    class _State(tf.train.experimental.PythonState):
        """State other than variables that is saved in checkpoints; `fit` is the training to which it belongs."""

        def __init__(self, dump: Callable[[], str], load: Callable[[str], Any], fit: Any):
            super().__init__()
            self.dump, self.load, self.fit = dump, load, fit

        def serialize(self) -> str:
            return self.dump()

        def deserialize(self, string_value: str) -> None:
            self.load(string_value)

    def is_baked_in(_variable: Any, _x: Tensor) -> bool:
        """Return whether the variable is a constant in the compiled step to which `x` belongs: never here."""
        return False

    def to_numpy(x: Tensor) -> np.ndarray:
        """Return the values of a tensor or variable."""
        return np.asarray(x)

    def has_float64() -> bool:
        """Return whether the backend computes in float64 on request."""
        return True

    def count_not_above(rows: Tensor, values: Tensor) -> Tensor:
        """Count the items of each ascending row `(n, k)` that are not above each value of that row `(n, m)`; int32."""
        return tf.searchsorted(rows, values, side="right")


def is_stack_readable() -> bool:
    """Return whether the call stack may be read: not while PyTorch compiles the bytecode of the caller."""
    return _torch is None or not _torch.compiler.is_compiling()


def metrics_of(model: Any) -> list[Any]:
    """Return the metrics, or their names, that a model was compiled with, before they are built too."""
    held = getattr(model, "_compile_metrics", None) or getattr(model, "compiled_metrics", None)
    given = [getattr(held, name, None) for name in ("_user_metrics", "_user_weighted_metrics")]
    return [one for one in _flat(given) if one is not None]


def _flat(given: Any) -> list[Any]:
    given = list(given.values()) if isinstance(given, dict) else given
    return [leaf for one in given for leaf in _flat(one)] if isinstance(given, (list, tuple)) else [given]


def attach_state(model: Any, name: str, dump: Callable[[], str], load: Callable[[str], Any]) -> None:
    """Save a text with `BackupAndRestore` and, with Keras 3, also in weights files of `model`.

    If another state of the same training has that name, a number is appended. Trainings are distinguished by their
    `History`, since each `fit` creates a new one.
    """
    fit = getattr(model, "history", None)
    for place in (name if k == 0 else f"{name}_{k}" for k in count()):
        held = getattr(model, place, None)
        revived = not isinstance(held, _State)  # a SavedModel of Keras 2 leaves an empty object
        if revived or held.load == load or held.fit is not fit:
            setattr(model, place, _State(dump, load, fit))
            return


def tf_dataset(batches: Any, example: Any, length: int) -> Any:
    """Return a `tf.data.Dataset` of the `length` batches that the function `batches` yields, shaped like `example`."""
    try:
        tf = importlib.import_module("tensorflow")
    except ImportError as error:
        raise ImportError("`to_tf_dataset` needs TensorFlow: pip install tensorflow") from error

    def spec(array: np.ndarray) -> Any:
        return tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype))

    data = tf.data.Dataset.from_generator(batches, output_signature=tf.nest.map_structure(spec, example))
    return data.apply(tf.data.experimental.assert_cardinality(length))
