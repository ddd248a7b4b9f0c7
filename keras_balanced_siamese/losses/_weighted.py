"""What every loss with live class weights shares: checking, applying, recording and saving them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import Loss, ops, to_numpy
from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._live_weights import LiveClassWeights
from keras_balanced_siamese._typing import ClassWeights, Tensor


class WeightedPairLoss(Loss):
    """Abstract: a loss per pair whose label is 0 or 1, times the weight of that label."""

    def __init__(self, class_weight: ClassWeights | None, similar_label: int, **kwargs: Any):
        super().__init__(**kwargs)
        if similar_label not in (0, 1):
            raise ValueError(f"`similar_label` must be 1 or 0. Received: similar_label={similar_label!r}")
        self.similar_label = int(similar_label)
        weights = np.ones(2) if class_weight is None else align_weights(class_weight, [0, 1])
        self.live_weights = LiveClassWeights([0, 1], weights)

    @property
    def class_weight(self) -> Mapping[int, float]:
        """The weights of the pair labels 0 and 1 as they are now; assign a mapping to change them.

        An assignment reaches the very next step of a running `fit` when an `AdaptiveClassWeight` callback watches this
        loss, on every backend. Without it, a backend may go on with the weights that the step was compiled with: there
        an assignment warns, and `model.compile` takes it up.
        """
        weights = to_numpy(self.live_weights.class_weight).tolist()
        return MappingProxyType({0: weights[0], 1: weights[1]})

    @class_weight.setter
    def class_weight(self, class_weight: ClassWeights) -> None:
        self.live_weights.set_weights_of_classes(align_weights(class_weight, [0, 1]))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_weight": dict(self.class_weight),
            "similar_label": self.similar_label,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        # JSON has turned the labels into strings
        given = config.get("class_weight")
        if given is not None:
            config = {**config, "class_weight": {int(label): weight for label, weight in given.items()}}
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Put the weights into the file, so that a resumed training goes on with them."""
        store["class_weight"] = to_numpy(self.live_weights.class_weight)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights from the file, if it has any."""
        names = store.keys()  # Keras hands out stores that are no mappings
        if "class_weight" in names:
            self.live_weights.set_weights_of_classes(np.asarray(store["class_weight"]))

    def _similar(self, labels: Tensor) -> Tensor:
        return labels if self.similar_label == 1 else 1.0 - labels

    def _weigh(self, labels: Tensor, losses: Tensor) -> Tensor:
        """The losses times the weights of their labels; a soft label mixes the two weights."""
        membership = ops.stack([1.0 - labels, labels], axis=-1)  # (..., 2)
        weights = ops.cast(ops.convert_to_tensor(self.live_weights.class_weight), losses.dtype)
        self.live_weights.update_state(
            ops.cast(ops.stop_gradient(ops.reshape(membership, (-1, 2))), "float32"),
            ops.cast(ops.stop_gradient(ops.reshape(losses, (-1,))), "float32"),
        )
        return losses * ops.sum(membership * weights, axis=-1)


def align(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Bring labels and predictions to one shape, one value a pair, so that nothing is broadcast.

    Returns:
        Both with the shape of `y_pred` less a last axis of length 1, in float32 or wider.

    Raises:
        ValueError: If the shapes still differ then.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) > 1 and (len(y_pred.shape) < len(y_true.shape) or y_pred.shape[-1] in (1, None)):
        y_true = _without_classes(y_true)
    given = tuple(y_true.shape), tuple(y_pred.shape)
    y_true, y_pred = _drop_last_axis(y_true, given[1]), _drop_last_axis(y_pred, given[0])
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    if len(shapes[0]) != len(shapes[1]) or any(
        a is not None and b is not None and a != b for a, b in zip(*shapes, strict=True)
    ):
        raise ValueError(
            "This loss needs one label and one prediction per pair: `y_true` and `y_pred` of shape (batch, 1) or "
            f"(batch,). Received: y_true of shape {given[0]}, y_pred of shape {given[1]}"
        )
    dtype = "float64" if "float64" in str(y_pred.dtype) else "float32"
    return ops.cast(y_true, dtype), ops.cast(y_pred, dtype)


def _without_classes(y_true: Tensor) -> Tensor:
    """The first column of three, the others being the classes of both sides; anything else as it is."""
    known = y_true.shape[-1]
    if known is not None:
        return y_true[..., :1] if known == 3 else y_true
    columns = ops.shape(y_true)[-1]  # only known when the step runs
    return y_true[..., : ops.where(ops.equal(columns, 3), 1, columns)]


def _drop_last_axis(x: Tensor, other: tuple[int | None, ...]) -> Tensor:
    """Without the last axis, if it is 1 long, or has to be for `x` to fit a tensor of the shape `other`."""
    rank, last = len(x.shape), x.shape[-1] if len(x.shape) else None
    extra = rank > len(other) or (rank == len(other) and other[-1] == 1)
    return ops.squeeze(x, axis=-1) if rank > 1 and rank >= len(other) and (last == 1 or (last is None and extra)) else x
