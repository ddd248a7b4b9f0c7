"""Multi-similarity loss, weighted by classes."""

from typing import Any

from keras_balanced_siamese._backend import PACKAGE, ops, register
from keras_balanced_siamese._checks import at_least, finite, positive
from keras_balanced_siamese._pairwise import PairMasks, similarities
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._batch_loss import NOWHERE, Term, WeightedBatchLoss


@register(package=PACKAGE)
class WeightedMultiSimilarityLoss(WeightedBatchLoss):
    """Multi-similarity loss, weighted by the class of the anchor.

    ```
    loss_a = w_a * (log(1 + sum over positives p of exp(-alpha * (s_ap - base))) / alpha
                    + log(1 + sum over negatives n of exp(beta * (s_an - base))) / beta)
    loss   = mean over anchors of loss_a
    ```

    `s` is the cosine, so the embeddings need no normalisation before. Each member of a pair is the anchor once, so both
    of their weights act on it. With `epsilon`, only hard pairs count: positives with a cosine below that of the most
    similar negative plus `epsilon`, and negatives with one above that of the least similar positive minus `epsilon`.
    An anchor counts if it has a positive and a negative in the batch. Without such an anchor the loss is 0, with a zero
    gradient.

    A label without a weight, a NaN in the embeddings or the labels, or a label from 2 ** 24 on makes the loss NaN.

    Args:
        alpha: How much the least similar positives dominate. Positive.
        beta: How much the most similar negatives dominate. Positive.
        base: The cosine from which negatives, and up to which positives, cost much.
        epsilon: The tolerance of the mining, 0 or more; `None` for no mining.
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
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_multi_similarity_loss",
        dtype: Any = None,
    ):
        super().__init__(class_weight, reduction=reduction, name=name, dtype=dtype)
        self.alpha = positive("alpha", alpha)
        self.beta = positive("beta", beta)
        self.base = finite("base", base)
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
        }


def _log_one_plus(logits: Tensor, mask: Tensor) -> Tensor:
    """log(1 + sum of exp(logits)) along the rows of a mask `(B, B)`; 0 where a row has nothing."""
    return ops.softplus(ops.logsumexp(ops.where(mask, logits, NOWHERE), axis=1))
