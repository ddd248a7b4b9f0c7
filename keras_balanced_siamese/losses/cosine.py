"""Cosine loss on the cosine distance of two embeddings, weighted by the label of the pair."""

from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import finite
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._pair_loss import WeightedPairLoss, align


def cosine_loss(similar: Tensor, distance: Tensor, margin: float = 0.0) -> Tensor:
    """Penalise similar pairs by their distance and dissimilar pairs by the excess of their cosine over the margin."""
    return similar * distance + (1.0 - similar) * ops.maximum(1.0 - distance - margin, 0.0)


@register
class WeightedCosineLoss(WeightedPairLoss):
    """Cosine loss on cosine distances, with one weight for similar and one for dissimilar pairs.

    ```
    loss_i = w_i * (s_i * d_i + (1 - s_i) * max(1 - d_i - margin, 0))
    ```

    `s_i` is 1 for a similar pair, `d_i` the cosine distance from 0 to 2 (1 - cosine, as from `CosineDistance`), so
    that `1 - d_i` is the cosine, and `w_i` the class weight of the pair's label. This is the cosine embedding loss,
    in which other packages label dissimilar pairs -1. For unbounded distances, use `WeightedContrastiveLoss`.

    Args:
        margin: Cosine up to which the loss of a dissimilar pair is 0, from -1 to less than 1. At 0, orthogonal
            embeddings have no loss; a larger margin leaves room for more classes than the embedding has dimensions.
        class_weight: Weights of the two kinds of pairs, `{"similar": ..., "different": ...}` or by the values of
            `y_true`, `{0: ..., 1: ...}`; `None` means 1 and 1. The weight of a soft label is interpolated. Weights can
            change during training: see the property `class_weight` and `AdaptiveClassWeight`.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        reduction, name, dtype: See `keras.losses.Loss`.

    Call arguments:
        - `y_true`: labels `(batch, 1)` or `(batch,)`, from 0 to 1; the loss of other labels is NaN. Convert labels -1
          and 1 by `(y + 1) / 2`. Of three columns, as from `BalancedPairSequence(with_classes=True)`, the first is the
          label.
        - `y_pred`: cosine distances `(batch, 1)` or `(batch,)`.
        - `sample_weight`: optional `(batch,)`, factors of the weighted losses.

    Raises:
        ValueError: If the margin is outside `[-1, 1)`, a weight is negative or not finite, the keys of the weights are
            not 0 and 1, or the shapes of labels and distances differ.

    Examples:
        >>> loss = WeightedCosineLoss(margin=0.25, class_weight={0: 2.0, 1: 1.0})
        >>> round(float(loss([1.0, 0.0], [0.5, 0.5])), 4)
        0.5
    """

    higher_is_similar = False
    takes = "distance"

    def __init__(
        self,
        margin: float = 0.0,
        class_weight: ClassWeights | None = None,
        similar_label: int = 1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_cosine_loss",
        dtype: Any = None,
    ):
        super().__init__(class_weight, similar_label, reduction=reduction, name=name, dtype=dtype)
        self.margin = finite("margin", margin)
        if not -1 <= self.margin < 1:
            raise ValueError(
                "`margin` must be a cosine from -1 to less than 1, not a distance as in `WeightedContrastiveLoss`. "
                f"Received: margin={margin!r}"
            )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, distance = align(y_true, y_pred)  # each (batch,)
        return self._weigh(labels, cosine_loss(self._similar(labels), distance, self.margin))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
