"""Contrastive loss on the distance of two embeddings, weighted by the pair's label."""

from typing import Any

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._checks import at_least, flag, positive
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._pair_loss import WeightedPairLoss, align


def contrastive_loss(
    similar: Tensor, distance: Tensor, margin: float = 1.0, positive_margin: float = 0.0, squared: bool = True
) -> Tensor:
    """Similar pairs pay what they are beyond the positive margin, different ones what they lack to the margin."""
    excess = ops.maximum(distance - positive_margin, 0.0) if positive_margin else distance
    gap = ops.maximum(margin - distance, 0.0)
    if squared:
        excess, gap = ops.square(excess), ops.square(gap)
    return similar * excess + (1.0 - similar) * gap


@register(package=PACKAGE)
class WeightedContrastiveLoss(WeightedPairLoss):
    """Contrastive loss on distances, with a weight for similar and one for different pairs.

    ```
    loss_i = w_i * (s_i * max(d_i - positive_margin, 0) ** 2 + (1 - s_i) * max(margin - d_i, 0) ** 2)
    ```

    `s_i` is 1 for a similar pair, `d_i >= 0` the distance (as `EuclideanDistance` gives it), `w_i` the class weight of
    the pair's label. There is no factor 1/2, and 1 means similar: the conventions of tensorflow-addons. Hadsell et al.
    label similar pairs 0; `similar_label=0` takes such labels.

    The positive margin is 0 in the original form: a similar pair costs something until both embeddings are equal. With
    a larger one (the double-margin form) a class may keep some extent, and pairs that are close enough cost nothing.

    Args:
        margin: Distance from which a different pair costs nothing. Positive.
        class_weight: Weights of the two values of `y_true`, `{0: ..., 1: ...}`; `None` means 1 and 1. Soft labels mix
            the two. They are live: see the property of the same name, and `AdaptiveClassWeight`.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        reduction, name, dtype: See `keras.losses.Loss`.
        positive_margin: Distance up to which a similar pair costs nothing. At least 0, and less than `margin`.
        squared: If false, what is beyond a margin is paid as it is and not squared: no pair pulls or pushes harder than
            another, and single outliers, such as wrong labels, have less influence.

    Call arguments:
        - `y_true`: labels `(batch, 1)` or `(batch,)`, from 0 to 1; outside the loss is NaN. Labels -1 and 1 become such
          by `(y + 1) / 2`. Of three columns the first is the label, as a `BalancedPairSequence(with_classes=True)` has.
        - `y_pred`: distances `(batch, 1)` or `(batch,)`.
        - `sample_weight`: optional `(batch,)`, multiplied onto the weighted losses.

    Raises:
        ValueError: For a margin that is not positive, a positive margin outside `[0, margin)`, weights that are
            negative, not finite or not for exactly 0 and 1, or labels and distances of different shapes.

    Examples:
        >>> loss = WeightedContrastiveLoss(margin=1.0, class_weight={0: 1.0, 1: 2.0})
        >>> round(float(loss([1.0, 0.0], [0.5, 0.5])), 4)
        0.375

    References:
        Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006.
    """

    higher_is_similar = False

    def __init__(
        self,
        margin: float = 1.0,
        class_weight: ClassWeights | None = None,
        similar_label: int = 1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_contrastive_loss",
        dtype: Any = None,
        *,
        positive_margin: float = 0.0,
        squared: bool = True,
    ):
        super().__init__(class_weight, similar_label, reduction=reduction, name=name, dtype=dtype)
        self.margin = positive("margin", margin)
        self.positive_margin = at_least("positive_margin", positive_margin, 0)
        if not self.positive_margin < self.margin:
            raise ValueError(
                "`positive_margin` must be less than `margin`, or no pair between them costs anything, whatever its "
                f"label. Received: positive_margin={positive_margin!r}, margin={margin!r}"
            )
        self.squared = flag("squared", squared)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, distance = align(y_true, y_pred)  # each (batch,)
        losses = contrastive_loss(self._similar(labels), distance, self.margin, self.positive_margin, self.squared)
        return self._weigh(labels, losses)

    def get_config(self) -> dict[str, Any]:
        own = {"margin": self.margin, "positive_margin": self.positive_margin, "squared": self.squared}
        return {**super().get_config(), **own}
