"""Class weights that a compiled training step reads at every call, and the recorded loss of each class."""

import itertools
import warnings
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import (
    PACKAGE,
    add_metric_variable,
    attach_metric,
    check_in_step,
    count_not_above,
    is_baked_in,
    ops,
    read_variable,
    to_numpy,
)
from keras_balanced_siamese._typing import ArrayLike, Label, Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class LiveClassWeights(keras.metrics.Metric):
    """Class weights as variables of a metric, the only variables read at every compiled step on every backend.

    After `attach_to(model)`, the variables are part of the state of the compiled step, so a weight assigned between two
    steps is used in the next one. The metric is not saved: the loss that owns it saves the weights.

    Args:
        classes: The K class labels.
        weights: `(K,)` starting weights.
        name: Name of the metric.
    """

    def __init__(self, classes: list[Label], weights: ArrayLike, name: str = "live_class_weights"):
        super().__init__(name=name, dtype="float32")
        self.classes = classes
        self.recording = False  # whether the variables are attached to a model
        self.version = 0  # number of assignments
        self._baked_in = False
        shape = (len(classes),)
        self.class_weight = add_metric_variable(self, "class_weight", shape, "ones", "mean")
        self.total = add_metric_variable(self, "total", shape, "zeros", "sum")
        self.count = add_metric_variable(self, "count", shape, "zeros", "sum")
        self.set_weights_of_classes(weights)

    def weights_of_classes(self) -> np.ndarray:
        """Return the current weights, `(K,)`."""
        return to_numpy(self.tensor()).astype("float64")

    def set_weights_of_classes(self, weights: ArrayLike) -> None:
        """Assign `(K,)` weights; warn if a compiled step keeps the old ones."""
        weights = np.asarray(weights, "float32")
        if self._baked_in and (weights != to_numpy(self.class_weight)).any():
            warnings.warn(
                "On this backend a step that is already compiled keeps the old class weights: call `model.compile` "
                "again, or change the weights with `AdaptiveClassWeight`.",
                stacklevel=3,
            )
        self.class_weight.assign(weights)
        self.version += 1

    def update_state(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: a training step may call this for each metric of a model, with labels and predictions."""

    def record_pairs(self, labels: Tensor, losses: Tensor) -> None:
        """Add unweighted losses to the classes 0 and 1; a soft label divides its item between the two."""
        if self._records(losses):
            labels, losses = (ops.reshape(ops.cast(one, "float32"), (-1, 1)) for one in (labels, losses))
            membership = ops.concatenate([1.0 - labels, labels], axis=1)  # (n, 2)
            self.total.assign_add(ops.sum(membership * losses, axis=0))
            self.count.assign_add(ops.sum(membership, axis=0))

    def record_items(self, labels: Tensor, losses: Tensor, counted: Tensor) -> None:
        """Add the unweighted losses `(n,)` of the items in the mask `counted` to the classes of their labels `(n,)`."""
        if self._records(losses):
            counted, position, n = ops.cast(counted, "float32"), self._positions(labels), len(self.classes)
            self.total.assign_add(ops.segment_sum(ops.cast(losses, "float32") * counted, position, n))
            self.count.assign_add(ops.segment_sum(counted, position, n))

    def tensor(self) -> Tensor:
        """Return the current weights, `(K,)`, inside a step."""
        return read_variable(self.class_weight)

    def weights_of(self, labels: Tensor) -> Tensor:
        """Return the weights `(n,)` of the labels `(n,)`, integers as floats; NaN for an unknown label."""
        position = self._positions(labels)
        known = ops.equal(ops.take(self._class_labels(labels), position, axis=0), labels)
        weights = ops.cast(self.tensor(), _float_dtype(labels))
        return ops.where(known, ops.take(weights, position, axis=0), float("nan"))

    def _records(self, losses: Tensor) -> bool:
        """Return whether to record; a step that does not have the variables in its state must not."""
        if is_baked_in(self.class_weight, losses):
            self._baked_in = True
            return False
        return self.recording

    def _class_labels(self, like: Tensor) -> Tensor:
        return ops.convert_to_tensor(np.asarray(self.classes, _float_dtype(like)))

    def _positions(self, labels: Tensor) -> Tensor:
        return ops.maximum(count_not_above(self._class_labels(labels)[None, :], labels[None, :])[0] - 1, 0)

    def result(self) -> dict[str, Tensor]:
        """Return an empty dict, so that the results of `model.evaluate` do not change."""
        return {}

    def reset_state(self) -> None:
        self.total.assign(np.zeros(len(self.classes), "float32"))
        self.count.assign(np.zeros(len(self.classes), "float32"))

    def attach_to(self, model: keras.Model) -> None:
        """Add the variables to the compiled steps of `model` and start recording.

        Raises:
            ValueError: If the steps of the model do not use the variables.
        """
        for k in itertools.count():  # the same name in every process, as some checkpoints use it
            attached = getattr(model, f"_{self.name}_{k}", None)
            if attached is None:
                attach_metric(model, f"_{self.name}_{k}", self)
                # a step compiled by an earlier `fit` does not record: make `fit` compile it again
                model.train_function = model.test_function = None
            if attached in (None, self):
                break
        check_in_step(model, self.class_weight)
        self.recording, self._baked_in = True, False

    def means_and_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean losses, NaN for a class without items, and numbers of items since the last reset, each `(K,)`."""
        total, count = to_numpy(self.total).astype("float64"), to_numpy(self.count).astype("float64")
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0), count

    def get_config(self) -> dict[str, Any]:
        """Return what a copy needs: neither the record nor the link to a model, so that a copied loss can be attached.

        SavedModel files contain this metric too.
        """
        return {"classes": self.classes, "weights": self.weights_of_classes().tolist(), "name": self.name}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self.get_config().values())

    def save_own_variables(self, store: Any) -> None:
        """Save nothing: the loss saves the weights."""

    def load_own_variables(self, store: Any) -> None:
        """Load nothing: the loss loads the weights."""


def _float_dtype(x: Tensor) -> str:
    return "float64" if "float64" in str(x.dtype) else "float32"
