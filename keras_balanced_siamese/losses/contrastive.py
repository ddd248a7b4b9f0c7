"""Contrastive loss on the distance of two embeddings, weighted by the pair's label."""

from typing import Any

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._checks import positive
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._weighted import WeightedPairLoss, align


def contrastive_loss(similar: Tensor, distance: Tensor, margin: float = 1.0) -> Tensor:
    """Similar pairs pay their squared distance, different ones what they lack to the margin, squared."""
    gap = ops.maximum(margin - distance, 0.0)
    return similar * ops.square(distance) + (1.0 - similar) * ops.square(gap)


@register(package=PACKAGE)
class WeightedContrastiveLoss(WeightedPairLoss):
    """Contrastive loss on distances, with a weight for similar and one for different pairs.

    ```
    loss_i = w_i * (s_i * d_i ** 2 + (1 - s_i) * max(margin - d_i, 0) ** 2)
    ```

    `s_i` is 1 for a similar pair, `d_i >= 0` the distance (as `EuclideanDistance` gives it), `w_i` the class weight of
    the pair's label. There is no factor 1/2, and 1 means similar: the conventions of tensorflow-addons. Hadsell et al.
    label similar pairs 0; `similar_label=0` takes such labels.

    Args:
        margin: Distance from which a different pair costs nothing. Positive.
        class_weight: Weights of the two values of `y_true`, `{0: ..., 1: ...}`; `None` means 1 and 1. Soft labels mix
            the two. They are live: see the property of the same name, and `AdaptiveClassWeight`.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        reduction, name, dtype: See `keras.losses.Loss`.

    Call arguments:
        - `y_true`: labels `(batch, 1)` or `(batch,)`, from 0 to 1.
        - `y_pred`: distances `(batch, 1)` or `(batch,)`.
        - `sample_weight`: optional `(batch,)`, multiplied onto the weighted losses.

    Raises:
        ValueError: For a margin that is not positive, weights that are negative, not finite or not for exactly 0 and 1,
            or labels and distances of different shapes.

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
    ):
        super().__init__(class_weight, similar_label, reduction=reduction, name=name, dtype=dtype)
        self.margin = positive("margin", margin)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, distance = align(y_true, y_pred)  # each (batch,)
        return self._weigh(labels, contrastive_loss(self._similar(labels), distance, self.margin))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}
