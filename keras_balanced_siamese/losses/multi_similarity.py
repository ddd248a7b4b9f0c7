"""Multi-similarity loss, weighted by classes."""

from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import at_least, finite, positive, whole
from keras_balanced_siamese._pairwise import PairMasks, similarities
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._batch_loss import MASKED_LOGIT, Term, WeightedBatchLoss


@register
class WeightedMultiSimilarityLoss(WeightedBatchLoss):
    """Multi-similarity loss, weighted by the class of the anchor.

    ```
    loss_a = w_a * (log(1 + sum over positives p of exp(-alpha * (s_ap - base))) / alpha
                    + log(1 + sum over negatives n of exp(beta * (s_an - base))) / beta)
    loss   = mean over anchors of loss_a
    ```

    `s` is the cosine, so the embeddings need not be normalised. Each member of a pair is the anchor once, so the
    weights of both apply. With `epsilon`, only hard pairs are included: positives with a cosine below that of the most
    similar negative plus `epsilon`, and negatives with a cosine above that of the least similar positive minus
    `epsilon`. Only anchors with a positive and a negative in the batch are included. Without such an anchor the loss
    and its gradient are 0.

    The loss is NaN if a label has no weight or is 2 ** 24 or more, or if an embedding or a label is NaN.

    Args:
        alpha: Scale of positives; the larger, the more the least similar ones dominate. Positive.
        beta: Scale of negatives; the larger, the more the most similar ones dominate. Positive.
        base: Cosine below which positives, and above which negatives, are penalised strongly.
        epsilon: Tolerance of the mining, at least 0; `None` for no mining.
        class_weight: Weight of each class, as from `class_weights`, or `None`. Integer keys are the values of `y_true`.
            Strings are all class names of the data; `y_true` then holds their positions in sorted order, as from
            `BalancedBatchSequence`. Weights can change during training: see the property `class_weight` and
            `AdaptiveClassWeight`.
        feature_transfer: Number of items that are added for each item of the batch, with the variation of other
            classes: see `WeightedSupervisedContrastiveLoss`. 0, the default, is the published loss.
        gather: Whether each of several devices compares its items with those of all devices, so that a step equals
            that of one device with the whole batch, or with its own items only. Processes that train together must
            all compute the loss and its gradient equally often: see docs, "Several devices".
        reduction, name, dtype: See `keras.losses.Loss`. The result is the mean above only with the default reduction.

    Call arguments:
        - `y_true`: class labels `(B,)` or `(B, 1)`, integers below 2 ** 24, as from `BalancedBatchSequence`.
        - `y_pred`: embeddings `(B, dim)`.
        - `sample_weight`: optional `(B,)`, factors of the losses of the anchors.

    Raises:
        ValueError: If an argument is out of its range, a weight is negative, not finite or not keyed by an integer,
            `dtype` is half precision, or a shape differs from the above (one-hot labels).
        TypeError: If the weights are not a mapping to numbers.

    Examples:
        >>> loss = WeightedMultiSimilarityLoss(epsilon=None)
        >>> embeddings = np.array([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0], [2.0, 0.1]])
        >>> round(float(loss([0, 0, 1, 1], embeddings)), 4)
        0.1594

    References:
        Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning", CVPR 2019.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        epsilon: float | None = 0.1,
        class_weight: ClassWeights | None = None,
        feature_transfer: int = 0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_multi_similarity_loss",
        dtype: Any = None,
        *,
        gather: bool = True,
    ):
        super().__init__(class_weight, gather, reduction=reduction, name=name, dtype=dtype)
        self.alpha = positive("alpha", alpha)
        self.beta = positive("beta", beta)
        self.base = finite("base", base)
        self.feature_transfer = whole("feature_transfer", feature_transfer, 0)
        self.epsilon = None if epsilon is None else at_least("epsilon", epsilon, 0.0)

    def _terms(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> list[Term]:
        s = similarities(x)
        positive, negative = pairs.positive, pairs.negative
        if self.epsilon is not None:
            fixed = ops.stop_gradient(s)
            nearest = ops.max(ops.where(negative, fixed, -2.0), axis=1, keepdims=True)
            farthest = ops.min(ops.where(positive, fixed, 2.0), axis=1, keepdims=True)
            positive = ops.logical_and(positive, fixed < nearest + self.epsilon)
            negative = ops.logical_and(negative, fixed > farthest - self.epsilon)
        pull = _log_one_plus(self.alpha * (self.base - s), positive) / self.alpha
        plain = pull + _log_one_plus(self.beta * (s - self.base), negative) / self.beta
        return [Term(plain, plain if weight is None else weight * plain, ops.cast(pairs.anchor, x.dtype))]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "base": self.base,
            "epsilon": self.epsilon,
            "feature_transfer": self.feature_transfer,
        }


def _log_one_plus(logits: Tensor, mask: Tensor) -> Tensor:
    """Compute log(1 + sum of exp(logits)) over the rows of a mask `(B, B)`; 0 for an empty row."""
    return ops.softplus(ops.logsumexp(ops.where(mask, logits, MASKED_LOGIT), axis=1))
