"""Metrics of a model, a state in its files and data sets of TensorFlow, for every Keras."""

import importlib
import importlib.util
from collections.abc import Callable
from itertools import count
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend._generation import State

has_addons = not hasattr(keras, "ops") and importlib.util.find_spec("tensorflow_addons") is not None
_torch: Any = importlib.import_module("torch") if keras.backend.backend() == "torch" else None
averages_padding = _torch is not None  # in an `AveragePooling2D` with padding="same", if it differs at both ends
exact_interpolations = {"torch": ("bilinear", "nearest"), "jax": ("bilinear", "nearest", "lanczos3", "lanczos5")}.get(
    keras.backend.backend(),
    ("area", "bicubic", "bilinear", "gaussian", "lanczos3", "lanczos5", "mitchellcubic", "nearest"),
)  # with the values of Keras 2, in layers that resize


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
        revived = not isinstance(held, State)  # a SavedModel of Keras 2 leaves an empty object
        if revived or held.load == load or held.fit is not fit:
            setattr(model, place, State(dump, load, fit))
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
