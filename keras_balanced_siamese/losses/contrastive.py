"""Contrastive loss on the distance of two embeddings, weighted by the label of the pair."""

from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import at_least, flag, positive
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._pair_loss import WeightedPairLoss, align


def contrastive_loss(
    similar: Tensor, distance: Tensor, margin: float = 1.0, positive_margin: float = 0.0, squared: bool = True
) -> Tensor:
    """Penalise similar pairs beyond the positive margin and dissimilar pairs inside the margin."""
    excess = ops.maximum(distance - positive_margin, 0.0) if positive_margin else distance
    gap = ops.maximum(margin - distance, 0.0)
    if squared:
        excess, gap = ops.square(excess), ops.square(gap)
    return similar * excess + (1.0 - similar) * gap


@register
class WeightedContrastiveLoss(WeightedPairLoss):
    """Contrastive loss on distances, with one weight for similar and one for dissimilar pairs.

    ```
    loss_i = w_i * (s_i * max(d_i - positive_margin, 0) ** 2 + (1 - s_i) * max(margin - d_i, 0) ** 2)
    ```

    `s_i` is 1 for a similar pair, `d_i >= 0` the distance (as from `EuclideanDistance`), and `w_i` the class weight of
    the pair's label. As in tensorflow-addons, there is no factor 1/2 and the label 1 means similar. Hadsell et al.
    label similar pairs 0; use `similar_label=0` for such labels.

    In the original form the positive margin is 0: the loss of a similar pair is positive until both embeddings are
    equal. With a larger one (the double-margin form) the loss of similar pairs inside the positive margin is 0.

    Args:
        margin: Distance from which the loss of a dissimilar pair is 0. Positive.
        class_weight: Weights of the two kinds of pairs, `{"similar": ..., "different": ...}` or by the values of
            `y_true`, `{0: ..., 1: ...}`; `None` means 1 and 1. The weight of a soft label is interpolated. Weights can
            change during training: see the property `class_weight` and `AdaptiveClassWeight`.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        reduction, name, dtype: See `keras.losses.Loss`.
        positive_margin: Distance up to which the loss of a similar pair is 0. At least 0 and less than `margin`.
        squared: Whether to square the violations of the margins. If false, all pairs that violate a margin have
            gradients of the same size, so outliers, such as pairs with wrong labels, have less influence.

    Call arguments:
        - `y_true`: labels `(batch, 1)` or `(batch,)`, from 0 to 1; the loss of other labels is NaN. Convert labels -1
          and 1 by `(y + 1) / 2`. Of three columns, as from `BalancedPairSequence(with_classes=True)`, the first is the
          label.
        - `y_pred`: distances `(batch, 1)` or `(batch,)`.
        - `sample_weight`: optional `(batch,)`, factors of the weighted losses.

    Raises:
        ValueError: If the margin is not positive, the positive margin is outside `[0, margin)`, a weight is negative or
            not finite, the keys of the weights are not 0 and 1, or the shapes of labels and distances differ.

    Examples:
        >>> loss = WeightedContrastiveLoss(margin=1.0, class_weight={0: 1.0, 1: 2.0})
        >>> round(float(loss([1.0, 0.0], [0.5, 0.5])), 4)
        0.375

    References:
        Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006.
    """

    higher_is_similar = False
    takes = "distance"

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
                "`positive_margin` must be less than `margin`: otherwise any pair between them has the loss 0. "
                f"Received: positive_margin={positive_margin!r}, margin={margin!r}"
            )
        self.squared = flag("squared", squared)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, distance = align(y_true, y_pred)  # each (batch,)
        losses = contrastive_loss(self._similar(labels), distance, self.margin, self.positive_margin, self.squared)
        return self._weigh(labels, losses)

    def get_config(self) -> dict[str, Any]:
        own = {"margin": self.margin, "positive_margin": self.positive_margin, "squared": self.squared}
        return {**super().get_config(), **own}
