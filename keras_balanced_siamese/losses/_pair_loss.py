"""Base class of the losses on pairs, and the alignment of the shapes of labels and predictions."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.class_weights import CountedWeights
from keras_balanced_siamese.losses._weighted_loss import WeightedLoss


class WeightedPairLoss(WeightedLoss):
    """Abstract loss per pair with the label 0 or 1, multiplied by the weight of the label."""

    def __init__(self, class_weight: ClassWeights | None, similar_label: int, **kwargs: Any):
        if similar_label not in (0, 1):
            raise ValueError(f"`similar_label` must be 1 or 0. Received: similar_label={similar_label!r}")
        self.similar_label = int(similar_label)
        super().__init__(class_weight, [0, 1], **kwargs)

    def _aligned(self, class_weight: Any) -> np.ndarray:
        if isinstance(class_weight, CountedWeights):
            _check_counted(class_weight)
        if self.similar_label == 0 and isinstance(class_weight, Mapping) and True in map(_is_boolean, class_weight):
            raise ValueError(
                "With `similar_label=0`, True may mean a similar pair or the label 1: use the keys 'similar' and "
                f"'different'. Received: class_weight={short(dict(class_weight))}"
            )
        if isinstance(class_weight, Mapping) and set(class_weight) == {"similar", "different"}:
            labels = {"similar": self.similar_label, "different": 1 - self.similar_label}
            class_weight = {labels[name]: weight for name, weight in class_weight.items()}
        elif isinstance(class_weight, Mapping) and set(class_weight) != {0, 1}:
            raise ValueError(
                "`class_weight` must map each label of pairs to a weight, with the keys 'similar' and 'different', or "
                "0 and 1. `class_weights(similar == 1)` computes such weights. "
                f"Received: class_weight={short(dict(class_weight))}"
            )
        return super()._aligned(class_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "similar_label": self.similar_label}

    def _similar(self, labels: Tensor) -> Tensor:
        return labels if self.similar_label == 1 else 1.0 - labels

    def _weigh(self, labels: Tensor, losses: Tensor) -> Tensor:
        """Multiply the losses by the weights of their labels, interpolated for soft labels; NaN outside [0, 1]."""
        assert self.live_weights is not None
        inside = ops.logical_and(labels >= 0.0, labels <= 1.0)
        losses = ops.where(inside, losses, ops.cast(float("nan"), losses.dtype))
        self.live_weights.record_pairs(ops.stop_gradient(labels), ops.stop_gradient(losses))
        weights = ops.cast(self.live_weights.tensor(), losses.dtype)
        return losses * (weights[0] * (1.0 - labels) + weights[1] * labels)


def _is_boolean(label: Any) -> bool:
    return isinstance(label, (bool, np.bool_))


def _check_counted(class_weight: CountedWeights) -> None:
    """Warn if weights were computed from integer labels, which may be the classes of samples instead of pair labels."""
    if {type(label) for label in class_weight} == {int} and set(class_weight) == {0, 1}:
        warnings.warn(
            "In a loss on pairs, 1 and 0 mean similar and different pairs, not the classes of the samples. If these "
            "weights come from pair labels, say so with booleans: `class_weights(similar == 1)`. Weights of "
            "classes belong to `BalancedPairSequence(..., class_weight=...)`. Received: `class_weights` of integers, "
            f"{class_weight.counts[0]:,} times 0 and {class_weight.counts[1]:,} times 1",
            stacklevel=6,
        )


def align(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Bring labels and predictions to one shape with one value per pair, so that nothing is broadcast.

    Returns:
        Labels and predictions in the shape of `y_pred` without a last axis of length 1, in float32 or wider.

    Raises:
        ValueError: If the shapes still differ.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) > 1 and (len(y_pred.shape) < len(y_true.shape) or y_pred.shape[-1] in (1, None)):
        y_true = _label_column(y_true)
    given = tuple(y_true.shape), tuple(y_pred.shape)
    y_true, y_pred = _drop_last_axis(y_true, given[1]), _drop_last_axis(y_pred, given[0])
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    if len(shapes[0]) != len(shapes[1]) or any(
        a is not None and b is not None and a != b for a, b in zip(*shapes, strict=True)
    ):
        raise ValueError(
            "This loss needs one label and one prediction per pair: `y_true` and `y_pred` must have the shape "
            f"(batch, 1) or (batch,). Received: y_true of shape {given[0]}, y_pred of shape {given[1]}"
        )
    dtype = "float64" if "float64" in str(y_pred.dtype) else "float32"
    return ops.cast(y_true, dtype), ops.cast(y_pred, dtype)


def _label_column(y_true: Tensor) -> Tensor:
    """Select the first of three columns, as the others are the classes of both sides; keep any other shape."""
    known = y_true.shape[-1]
    if known is not None:
        return y_true[..., :1] if known == 3 else y_true
    columns = ops.shape(y_true)[-1]  # known only when the step runs
    return y_true[..., : ops.where(ops.equal(columns, 3), 1, columns)]


def _drop_last_axis(x: Tensor, other: tuple[int | None, ...]) -> Tensor:
    """Drop the last axis if its length is 1, or is unknown and must be 1 for `x` to match the shape `other`."""
    rank, last = len(x.shape), x.shape[-1] if len(x.shape) else None
    extra = rank > len(other) or (rank == len(other) and other[-1] == 1)
    return ops.squeeze(x, axis=-1) if rank > 1 and rank >= len(other) and (last == 1 or (last is None and extra)) else x
