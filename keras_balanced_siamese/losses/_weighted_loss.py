"""Base class of the losses with class weights that can change during training."""

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import Loss, to_numpy
from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._typing import ClassWeights
from keras_balanced_siamese.losses._live_class_weights import LiveClassWeights


class WeightedLoss(Loss):
    """Abstract loss with a weight for each of the integers `classes`, or without weights."""

    live_weights: LiveClassWeights | None

    def __init__(self, class_weight: ClassWeights | None, classes: list[int] | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.live_weights = None
        if classes is not None:
            weights = np.ones(len(classes)) if class_weight is None else align_weights(class_weight, classes)
            self.live_weights = LiveClassWeights(classes, weights)

    @property
    def class_weight(self) -> Mapping[int, float] | None:
        """Current weights; assign a mapping with the same classes to change them.

        If an `AdaptiveClassWeight` callback adapts this loss, an assignment during `fit` takes effect at the next step,
        on every backend. Otherwise a backend may keep the weights with which the step was compiled: there an
        assignment raises a warning and takes effect after `model.compile`. Loading the weights of a model from a file
        also restores the class weights.
        """
        if self.live_weights is None:
            return None
        values = self.live_weights.weights_of_classes().tolist()
        return MappingProxyType(dict(zip(self.live_weights.classes, values, strict=True)))

    @class_weight.setter
    def class_weight(self, class_weight: ClassWeights) -> None:
        if self.live_weights is None:
            raise ValueError(
                "This loss was created without class weights, so they cannot be set: pass `class_weight` to its "
                f"constructor, for example with weights of 1. Received: class_weight={class_weight!r}"
            )
        self.live_weights.set_weights_of_classes(align_weights(class_weight, self.live_weights.classes))

    def get_config(self) -> dict[str, Any]:
        weights = self.class_weight
        return {**super().get_config(), "class_weight": None if weights is None else dict(weights)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        # the keys of a mapping are strings in JSON
        given = config.get("class_weight")
        if given is not None:
            config = {**config, "class_weight": {int(label): weight for label, weight in given.items()}}
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Save the weights, so that resumed training continues with them."""
        if self.live_weights is not None:
            store["class_weight"] = to_numpy(self.live_weights.class_weight)
            store["classes"] = np.array(self.live_weights.classes)

    def load_own_variables(self, store: Any) -> None:
        """Load the weights if the file has weights of the same classes."""
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
        self.live_weights.set_weights_of_classes(np.asarray(store["class_weight"]))
