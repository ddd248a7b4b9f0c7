"""Supervised contrastive loss, weighted by classes."""

from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import positive, whole
from keras_balanced_siamese._pairwise import PairMasks, similarities
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._batch_loss import MASKED_LOGIT, Term, WeightedBatchLoss


@register
class WeightedSupervisedContrastiveLoss(WeightedBatchLoss):
    """Supervised contrastive loss, weighted by the class of the anchor.

    ```
    loss_a = w_a * mean over positives p of (log(sum over b != a of exp(s_ab / temperature)) - s_ap / temperature)
    loss   = mean over anchors of loss_a
    ```

    `s` is the cosine, so the embeddings need not be normalised. Each member of a pair is the anchor once, so the
    weights of both apply. Weights inside the sum, which simulate classes of equal size there, gave no improvement in
    measurements. Only anchors with a positive and a negative in the batch are included. Without such an anchor the loss
    and its gradient are 0.

    With `feature_transfer`, classes of few samples get the variation of other classes. Items are added to the batch:
    the mean of a class plus the deviation of some item from the mean of its own class,

    ```
    mean of class(i) + x_j - mean of class(j)      j = i + floor(k B / (feature_transfer + 1)) modulo B, k = 1, 2, ...
    ```

    They are anchors, positives and negatives like the others. The encoder should not normalise its embeddings: mean
    and deviation are those before the normalisation. With balanced batches, `feature_transfer=3` reduced the error on
    each of four data sets (docs, "Evidence"). A step then compares 16 times as many pairs.

    The loss is NaN if a label has no weight or is 2 ** 24 or more, or if an embedding or a label is NaN.

    Args:
        temperature: Divisor of the cosines, positive. The lower, the more the nearest negatives dominate.
        class_weight: Weight of each class, as from `class_weights`, or `None`. Integer keys are the values of `y_true`.
            Strings are all class names of the data; `y_true` then holds their positions in sorted order, as from
            `BalancedBatchSequence`. Weights can change during training: see the property `class_weight` and
            `AdaptiveClassWeight`.
        feature_transfer: Number of items that are added for each item of the batch. With 0, the default, the loss is
            the published one.
        gather: Whether each of several devices compares its items with those of all devices, so that a step equals
            that of one device with the whole batch, or with its own items only. Processes that train together must
            all compute the loss and its gradient equally often: see docs, "Several devices".
        reduction, name, dtype: See `keras.losses.Loss`. The value of an item is the mean of its own loss and those of
            the items added for it. The result is the mean above only with the default reduction.

    Call arguments:
        - `y_true`: class labels `(B,)` or `(B, 1)`, integers below 2 ** 24, as from `BalancedBatchSequence`.
        - `y_pred`: embeddings `(B, dim)`.
        - `sample_weight`: optional `(B,)`, factors of the losses of the anchors.

    Raises:
        ValueError: If an argument is out of its range, a weight is negative, not finite or not keyed by an integer,
            `dtype` is half precision, or a shape differs from the above (one-hot labels).
        TypeError: If the weights are not a mapping to numbers.

    Examples:
        >>> loss = WeightedSupervisedContrastiveLoss(temperature=0.5)
        >>> embeddings = np.array([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0], [2.0, 0.1]])
        >>> round(float(loss([0, 0, 1, 1], embeddings)), 4)
        0.3071

    References:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020 (mean outside the logarithm).
        Yin et al., "Feature Transfer Learning for Face Recognition with Under-Represented Data", CVPR 2019, and
        Liu et al., "Deep Representation Learning on Long-Tailed Data", CVPR 2020 (the idea of `feature_transfer`).
    """

    def __init__(
        self,
        temperature: float = 0.1,
        class_weight: ClassWeights | None = None,
        feature_transfer: int = 0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_supervised_contrastive_loss",
        dtype: Any = None,
        *,
        gather: bool = True,
    ):
        super().__init__(class_weight, gather, reduction=reduction, name=name, dtype=dtype)
        self.temperature = positive("temperature", temperature)
        self.feature_transfer = whole("feature_transfer", feature_transfer, 0)

    def _terms(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> list[Term]:
        logits = similarities(x) / self.temperature
        others = ops.logical_or(pairs.positive, pairs.negative)
        near = ops.sum(ops.where(pairs.positive, logits, 0.0), axis=1)
        near = near / ops.maximum(pairs.n_positive, 1.0)
        total = ops.logsumexp(ops.where(others, logits, MASKED_LOGIT), axis=1)
        plain = ops.where(pairs.anchor, total - near, 0.0)
        return [Term(plain, plain if weight is None else weight * plain, ops.cast(pairs.anchor, x.dtype))]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature, "feature_transfer": self.feature_transfer}
