"""What every loss with live class weights shares: checking, showing, changing and saving them."""

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
    """Abstract: a loss with a weight for each of the whole numbers `classes`, or without any weights."""

    live_weights: LiveClassWeights | None

    def __init__(self, class_weight: ClassWeights | None, classes: list[int] | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.live_weights = None
        if classes is not None:
            weights = np.ones(len(classes)) if class_weight is None else align_weights(class_weight, classes)
            self.live_weights = LiveClassWeights(classes, weights)

    @property
    def class_weight(self) -> Mapping[int, float] | None:
        """The weights as they are now; assign a mapping of the same classes to change them.

        An assignment reaches the very next step of a running `fit` when an `AdaptiveClassWeight` callback watches this
        loss, on every backend. Without it, a backend may go on with the weights that the step was compiled with: there
        an assignment warns, and `model.compile` takes it up. Weights of a model that are loaded from a file bring the
        class weights with them.
        """
        if self.live_weights is None:
            return None
        values = self.live_weights.weights_of_classes().tolist()
        return MappingProxyType(dict(zip(self.live_weights.classes, values, strict=True)))

    @class_weight.setter
    def class_weight(self, class_weight: ClassWeights) -> None:
        if self.live_weights is None:
            raise ValueError(
                "This loss was made without class weights, and has no place for them: pass `class_weight` when you "
                f"make it, weights of 1 if need be. Received: class_weight={class_weight!r}"
            )
        self.live_weights.set_weights_of_classes(align_weights(class_weight, self.live_weights.classes))

    def get_config(self) -> dict[str, Any]:
        weights = self.class_weight
        return {**super().get_config(), "class_weight": None if weights is None else dict(weights)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        # JSON has turned the classes into strings
        given = config.get("class_weight")
        if given is not None:
            config = {**config, "class_weight": {int(label): weight for label, weight in given.items()}}
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Put the weights into the file, so that a resumed training goes on with them."""
        if self.live_weights is not None:
            store["class_weight"] = to_numpy(self.live_weights.class_weight)
            store["classes"] = np.array(self.live_weights.classes)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights from the file, if it has any, and they are of the same classes."""
        names = store.keys()  # Keras hands out stores that are no mappings
        if self.live_weights is None or "class_weight" not in names:
            return
        saved, own = np.asarray(store["classes"]).tolist(), self.live_weights.classes
        if saved != own:
            warnings.warn(
                f"The loss keeps its class weights: the file has weights of other classes. Received: {saved[:20]} "
                f"instead of {own[:20]}",
                stacklevel=2,
            )
            return
        self.live_weights.set_weights_of_classes(np.asarray(store["class_weight"]))
