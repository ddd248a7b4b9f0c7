"""Binary cross-entropy on the probability that two items are of one class, weighted by the label of the pair."""

from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import at_least, flag, fraction
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._pair_loss import WeightedPairLoss, align

EPSILON = 1e-7
ROUNDING = 1e-3  # a number farther outside of 0 to 1 is no probability


def binary_crossentropy(target: Tensor, probability: Tensor, gamma: float = 0.0) -> Tensor:
    """Focal cross-entropy of probabilities, clipped to 1e-7 from 0 and 1."""
    inside = ops.clip(probability, EPSILON, 1.0 - EPSILON)
    probability = ops.where(ops.isnan(probability), probability, inside)  # older XLA clips NaN to the lower bound
    return _focal(target, ops.log(probability), ops.log(1.0 - probability), gamma)


def binary_crossentropy_from_logits(target: Tensor, logit: Tensor, gamma: float = 0.0) -> Tensor:
    """Focal cross-entropy of logits, without overflow."""
    return _focal(target, -_softplus(-logit), -_softplus(logit), gamma)


def _focal(target: Tensor, log_p: Tensor, log_q: Tensor, gamma: float) -> Tensor:
    """Sum the two terms of the cross-entropy, each times the probability of the other outcome to the power gamma.

    The power is computed from the logarithm, so its gradient is finite at every probability, even for gamma below 1.
    """
    if gamma == 0:
        return -target * log_p - (1.0 - target) * log_q
    return -target * log_p * ops.exp(gamma * log_q) - (1.0 - target) * log_q * ops.exp(gamma * log_p)


def _softplus(x: Tensor) -> Tensor:
    """Compute log(1 + exp(x)); (x + |x|) / 2 is max(x, 0) with the gradient 1/2 at 0 on every backend."""
    size = ops.abs(x)
    return 0.5 * (x + size) + ops.log1p(ops.exp(-size))


@register
class WeightedBinaryCrossentropy(WeightedPairLoss):
    """Binary cross-entropy with one weight for similar and one for dissimilar pairs.

    ```
    loss_i = w_i * (-t_i * (1 - p_i) ** gamma * log(p_i) - (1 - t_i) * p_i ** gamma * log(1 - p_i))
    ```

    `p_i` is the predicted probability that the pair is similar, `t_i` the (smoothed) label, and `w_i` the class weight
    of the pair's label. The prediction must be a probability, as from `siamese_model(encoder, probability=True)`, or a
    logit: on distances most gradients vanish.

    `gamma` is `focal_gamma`. At 0 this is plain cross-entropy. Above 0 it is the focal loss, which reduces the weight
    of well predicted pairs, so that many easy pairs do not outweigh the few hard ones. The `alpha` of the focal loss is
    `class_weight={0: 1 - alpha, 1: alpha}`.

    Args:
        class_weight: Weights of the two kinds of pairs, `{"similar": ..., "different": ...}` or by the values of
            `y_true`, `{0: ..., 1: ...}`; `None` means 1 and 1. The weight of a soft label is interpolated. Weights can
            change during training: see the property `class_weight` and `AdaptiveClassWeight`.
        from_logits: Whether `y_pred` holds logits (any real number) instead of probabilities.
        label_smoothing: Fraction from 0 to 1 by which the labels are moved towards 1/2. Weights are those of the labels
            before smoothing.
        similar_label: The value of `y_true` that means "same class", 1 or 0. `y_pred` always refers to "same class".
        reduction, name, dtype: See `keras.losses.Loss`.
        focal_gamma: Exponent of the focal loss, finite and at least 0. Lin et al. use 2.

    Call arguments:
        - `y_true`: labels `(batch, 1)` or `(batch,)`, from 0 to 1; the loss of other labels is NaN. Convert labels -1
          and 1 by `(y + 1) / 2`. Of three columns, as from `BalancedPairSequence(with_classes=True)`, the first is the
          label.
        - `y_pred`: probabilities (or logits) `(batch, 1)` or `(batch,)`; the loss of numbers outside of 0 to 1 is NaN.
        - `sample_weight`: optional `(batch,)`, factors of the weighted losses.

    Raises:
        ValueError: If the smoothing is outside `[0, 1]`, gamma is below 0, a weight is negative or not finite, the keys
            of the weights are not 0 and 1, or the shapes of labels and predictions differ.

    Examples:
        >>> loss = WeightedBinaryCrossentropy(class_weight={0: 1.0, 1: 3.0})
        >>> round(float(loss([1.0, 0.0], [0.5, 0.5])), 4)
        1.3863
        >>> loss = WeightedBinaryCrossentropy(focal_gamma=2.0)
        >>> round(float(loss([1.0, 0.0], [0.5, 0.5])), 4)
        0.1733

    References:
        Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017.
    """

    higher_is_similar = True

    def __init__(
        self,
        class_weight: ClassWeights | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        similar_label: int = 1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_binary_crossentropy",
        dtype: Any = None,
        *,
        focal_gamma: float = 0.0,
    ):
        super().__init__(class_weight, similar_label, reduction=reduction, name=name, dtype=dtype)
        self.from_logits = flag("from_logits", from_logits)
        self.takes = "logit" if self.from_logits else "probability"
        self.label_smoothing = fraction("label_smoothing", label_smoothing)
        self.focal_gamma = at_least("focal_gamma", focal_gamma, 0)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, prediction = align(y_true, y_pred)  # each (batch,)
        target = self._similar(labels) * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if not self.from_logits:  # distances, for example, would be clipped, and have no gradient
            inside = ops.logical_and(prediction >= -ROUNDING, prediction <= 1.0 + ROUNDING)
            prediction = ops.where(inside, prediction, ops.cast(float("nan"), prediction.dtype))
        entropy = binary_crossentropy_from_logits if self.from_logits else binary_crossentropy
        return self._weigh(labels, entropy(target, prediction, self.focal_gamma))

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("from_logits", "label_smoothing", "focal_gamma")}
        return {**super().get_config(), **own}
