"""Supervised contrastive loss, weighted by classes."""

from typing import Any

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._checks import positive
from keras_balanced_siamese._pairwise import PairMasks, similarities
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._batch_loss import NOWHERE, Term, WeightedBatchLoss


@register(package=PACKAGE)
class WeightedSupervisedContrastiveLoss(WeightedBatchLoss):
    """Supervised contrastive loss, weighted by the class of the anchor.

    ```
    loss_a = w_a * mean over positives p of (log(sum over b != a of exp(s_ab / temperature)) - s_ap / temperature)
    loss   = mean over anchors of loss_a
    ```

    `s` is the cosine, so the embeddings need no normalisation before. Each member of a pair is the anchor once, so both
    of their weights act on it. Weights inside the sum as well, as if each class had as many items there, gained nothing
    where it was measured. An anchor counts if it has a positive and a negative in the batch. Without such an anchor the
    loss is 0, with a zero gradient.

    A label without a weight, a NaN in the embeddings or the labels, or a label from 2 ** 24 on makes the loss NaN.

    Args:
        temperature: Divides the cosines. Positive; the lower, the more the nearest negatives count.
        class_weight: Weight of each class, `{0: ..., 1: ...}`, keyed by the whole numbers in `y_true`, or `None`. They
            are live: see the property of the same name, and `AdaptiveClassWeight`.
        reduction, name, dtype: See `keras.losses.Loss`. Only with the default reduction is the result the mean above.

    Call arguments:
        - `y_true`: class labels `(B,)` or `(B, 1)`, whole numbers below 2 ** 24, such as `BalancedBatchSequence` gives.
        - `y_pred`: embeddings `(B, dim)`.
        - `sample_weight`: optional `(B,)`, multiplied onto the values of the anchors.

    Raises:
        ValueError: For an argument out of its range, weights that are negative, not finite or not keyed by whole
            numbers, a half precision `dtype`, or shapes other than the above (one-hot labels).
        TypeError: For weights that are no mapping of numbers.

    Examples:
        >>> loss = WeightedSupervisedContrastiveLoss(temperature=0.5)
        >>> embeddings = np.array([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0], [2.0, 0.1]])
        >>> round(float(loss([0, 0, 1, 1], embeddings)), 4)
        0.3071

    References:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020 (the mean outside of the logarithm).
    """

    def __init__(
        self,
        temperature: float = 0.1,
        class_weight: ClassWeights | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_supervised_contrastive_loss",
        dtype: Any = None,
    ):
        super().__init__(class_weight, reduction=reduction, name=name, dtype=dtype)
        self.temperature = positive("temperature", temperature)

    def _terms(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> list[Term]:
        logits = similarities(x) / self.temperature
        others = ops.logical_or(pairs.positive, pairs.negative)
        near = ops.sum(ops.where(pairs.positive, logits, 0.0), axis=1)
        near = near / ops.maximum(pairs.n_positive, 1.0)
        total = ops.logsumexp(ops.where(others, logits, NOWHERE), axis=1)
        plain = ops.where(pairs.anchor, total - near, 0.0)
        return [Term(plain, plain if weight is None else weight * plain, ops.cast(pairs.anchor, x.dtype))]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
