"""The functions and classes that differ between the generations of Keras, for Keras 3."""

import importlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend._chunks import call_in_chunks as call_in_chunks
from keras_balanced_siamese._backend._chunks import check_stateless as check_stateless
from keras_balanced_siamese._typing import Tensor

ops: Any = keras.ops
PyDataset: Any = keras.utils.PyDataset
# On PyTorch, Keras saves these under a module name that the other backends cannot import
MISNAMED = ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Lion", "Nadam", "RMSprop", "SGD")
misnamed_optimizers = {name: getattr(keras.optimizers, name) for name in MISNAMED}
forgets_training = True  # the argument `training` of a call in a functional model
layers_without_parity = ("Discretization", "RandomCrop")  # whose `predict` is not that of Keras 2
has_own_masks = True  # after `Add`, `Reshape` and others, which differ from those of Keras 2
opens_keras_2 = False  # files whose code it would run


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


class State(keras.losses.Loss):
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


def set_name(layer: Any, name: str) -> None:
    """Rename a layer; its weights keep their paths."""
    layer.name = name


def mask_of(tensor: Any) -> Any:
    """Return the mask that a layer has left on its output, or `None`."""
    return getattr(tensor, "_keras_mask", None)


def without_mask(tensor: Any) -> Any:
    """Return another tensor with the same values: the mask that a layer has left belongs to the tensor."""
    if keras.backend.backend() == "jax":
        return importlib.import_module("jax.numpy").copy(tensor)
    if keras.backend.backend() == "torch":
        return tensor.view_as(tensor)
    return importlib.import_module("tensorflow").raw_ops.Identity(input=tensor)  # `tf.identity` would keep the mask


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
    """Return whether the backend computes in float64 inside `wide_numbers`: not JAX on a TPU, nor an old JAX."""
    if keras.backend.backend() != "jax":
        return True
    jax = importlib.import_module("jax")
    return hasattr(jax, "enable_x64") and jax.default_backend() in ("cpu", "gpu")


def wide_numbers() -> Any:
    """Return a context in which numbers of 64 bits keep their type; elsewhere JAX rounds them to 32 bits."""
    return importlib.import_module("jax").enable_x64(True) if keras.backend.backend() == "jax" else nullcontext()


def native_operations(_names: Iterable[str]) -> dict[str, Callable[..., Any]]:
    """Return functions of TensorFlow by their names in its files: none here, as not every backend has it."""
    return {}
