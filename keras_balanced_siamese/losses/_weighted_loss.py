"""Base class of the losses with class weights that can change during training."""

import inspect
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import Loss, to_numpy
from keras_balanced_siamese._fixed_arguments import FixedArguments
from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._typing import ClassWeights, Label, Tensor
from keras_balanced_siamese.losses._live_class_weights import LiveClassWeights
from keras_balanced_siamese.losses._loss_use import check_use
from keras_balanced_siamese.losses._old_names import check_names


class WeightedLoss(FixedArguments, Loss):
    """Abstract loss with class weights, or without.

    Args:
        class_weight: Weights by class label; `None` for weights of 1.
        labels: The class labels, or `None` for a loss without weights. Integers are the values of `y_true`; the `k`-th
            of other labels is the value `k` of `y_true`.
        kwargs: See `keras.losses.Loss`.
    """

    live_weights: LiveClassWeights | None
    labels: list[Any]  # of the classes with a weight
    takes: str  # what `y_pred` must be: "distance", "probability", "logit" or "embedding"

    def __new__(cls, *_args: Any, **kwargs: Any) -> Any:
        check_names(cls.__name__, inspect.signature(cls.__init__).parameters, kwargs)
        return super().__new__(cls)

    def __init__(self, class_weight: ClassWeights | None, labels: list[Any] | None, **kwargs: Any):
        super().__init__(**kwargs)
        self._checked: tuple[int, ...] = ()
        self.live_weights = None
        self.labels = labels or []
        if labels is not None:
            weights = np.ones(len(labels)) if class_weight is None else self._aligned(class_weight)
            codes = list(range(len(labels))) if self._has_names else labels
            self.live_weights = LiveClassWeights(codes, weights)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Tensor:
        self._checked = check_use(self, self._checked)
        return super().__call__(y_true, y_pred, sample_weight)

    @property
    def class_weight(self) -> Mapping[Label, float] | None:
        """Current weights; assign a mapping with the same classes to change them.

        If an `AdaptiveClassWeight` callback adapts this loss, an assignment during `fit` takes effect at the next step,
        on every backend. Otherwise a backend may keep the weights with which the step was compiled: there an
        assignment raises a warning and takes effect after `model.compile`. Loading the weights of a model from a file
        also restores the class weights.
        """
        if self.live_weights is None:
            return None
        values = self.live_weights.weights_of_classes().tolist()
        return MappingProxyType(dict(zip(self.labels, values, strict=True)))

    @class_weight.setter
    def class_weight(self, class_weight: ClassWeights) -> None:
        if self.live_weights is None:
            raise ValueError(
                "This loss was created without class weights, so they cannot be set: pass `class_weight` to its "
                f"constructor, for example with weights of 1. Received: class_weight={class_weight!r}"
            )
        self.live_weights.set_weights_of_classes(self._aligned(class_weight))

    def _aligned(self, class_weight: Any) -> np.ndarray:
        """Check weights by class label and return them in the order of the labels."""
        return align_weights(class_weight, self.labels)

    def get_config(self) -> dict[str, Any]:
        weights = self.class_weight
        config = {**super().get_config(), "class_weight": None if weights is None else dict(weights)}
        return {**config, "named_classes": True} if self._has_names else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        given = config.get("class_weight")
        if not config.pop("named_classes", False) and isinstance(given, Mapping):
            config["class_weight"] = {_integer(label): weight for label, weight in given.items()}
        return cls(**config)

    @property
    def _has_names(self) -> bool:
        return bool(self.labels) and isinstance(self.labels[0], str)

    def save_own_variables(self, store: Any) -> None:
        """Save the weights, so that resumed training continues with them."""
        if self.live_weights is not None:
            store["class_weight"] = to_numpy(self.live_weights.class_weight)
            store["classes"] = np.array(self.live_weights.classes)

    def load_own_variables(self, store: Any) -> None:
        """Load the weights if the file has weights of the same classes.

        Raises:
            ValueError: If the weights in the file are negative, not finite or all 0.
        """
        names = store.keys()  # some stores of Keras are not mappings
        if self.live_weights is None or "class_weight" not in names:
            return
        saved, own = np.asarray(store["classes"]).tolist(), self.live_weights.classes
        if saved != own:
            warnings.warn(
                f"Class weights are not loaded, as the file has weights of other classes: expected {own[:20]}. "
                f"Received: {saved[:20]}",
                stacklevel=2,
            )
            return
        weights = np.asarray(store["class_weight"], np.float64).tolist()
        try:
            self.live_weights.set_weights_of_classes(align_weights(dict(zip(own, weights, strict=True)), own))
        except ValueError as error:  # which an older Keras drops
            warnings.warn(f"The class weights in the file are not loaded. {error}", stacklevel=2)
            raise


def _integer(label: Any) -> Any:
    """Return a key as an integer if it is the text of one: in JSON the keys of a mapping are strings."""
    try:
        return int(label)
    except ValueError:
        return label
