"""Contrastive loss on all pairs of a batch, weighted by the classes of both members."""

from typing import Any

from keras_balanced_siamese._backend import ops, register
from keras_balanced_siamese._checks import at_least, flag, one_of, positive
from keras_balanced_siamese._pairwise import DISTANCES, PairMasks, sums_over_others
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._batch_loss import WeightedBatchLoss, at_least_one, mean_factor


@register
class WeightedBatchContrastiveLoss(WeightedBatchLoss):
    """Contrastive loss on all pairs of a batch of embeddings, weighted by the classes of both members.

    ```
    loss = 1/2 * sum over positive pairs of w_a * w_b * max(d_ab - positive_margin, 0) ** 2  /  P
         + 1/2 * sum over negative pairs of w_a * w_b * max(margin - d_ab, 0) ** 2  /  N
    ```

    With `normalize="active"`, P and N are the sums of `w_a * w_b` over the positive and the negative pairs whose loss
    is above 0. With `normalize="all"` they are the numbers of all positive and negative pairs.

    One pass of the encoder over B items gives B (B - 1) / 2 pairs instead of B / 2. The two kinds of pairs are averaged
    separately, so the many negative pairs do not outweigh the few positive ones, and the negative pairs that are far
    enough apart do not dilute the others. With `"all"` and weights proportional to 1 / n_c, negative pairs contribute
    more than half. Only anchors with a positive and a negative in the batch are included. Without such an anchor, as in
    a batch of one class, the loss and its gradient are 0.

    The loss is NaN if a label has no weight or is 2 ** 24 or more, or if an embedding or a label is NaN.

    Args:
        margin: Distance from which the loss of a negative pair is 0. Positive.
        positive_margin: Distance up to which the loss of a positive pair is 0, from 0 to less than `margin`.
        squared: Whether to square the violations of the margins.
        distance: `"euclidean"`, `"squared"` (its square) or `"cosine"` (1 - cosine, from 0 to 2). Close points far from
            the origin keep their distance, except that distances below 1e-7 of the largest distance from the mean of
            the batch are 0.
        normalize: `"active"`, the mean over the pairs whose loss is above 0, or `"all"`, over all pairs.
        class_weight: Weight of each class, as from `class_weights`, or `None`. Integer keys are the values of `y_true`.
            Strings are all class names of the data; `y_true` then holds their positions in sorted order, as from
            `BalancedBatchSequence`. Weights can change during training: see the property `class_weight` and
            `AdaptiveClassWeight`.
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
        >>> loss = WeightedBatchContrastiveLoss(margin=1.0)
        >>> embeddings = np.array([[0.0, 0.0], [0.0, 0.5], [0.3, 0.0], [2.0, 2.0]])
        >>> round(float(loss([0, 0, 1, 1], embeddings)), 4)
        1.951

    References:
        Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006.
    """

    def __init__(
        self,
        margin: float = 1.0,
        positive_margin: float = 0.0,
        squared: bool = True,
        distance: str = "euclidean",
        class_weight: ClassWeights | None = None,
        normalize: str = "active",
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_batch_contrastive_loss",
        dtype: Any = None,
        *,
        gather: bool = True,
    ):
        super().__init__(class_weight, gather, reduction=reduction, name=name, dtype=dtype)
        self.margin = positive("margin", margin)
        self.positive_margin = at_least("positive_margin", positive_margin, 0.0)
        if self.positive_margin >= self.margin:
            raise ValueError(
                f"`positive_margin` must be less than `margin`. Received: positive_margin={positive_margin!r}, "
                f"margin={margin!r}"
            )
        self.squared = flag("squared", squared)
        self.distance = one_of("distance", distance, DISTANCES)
        self.normalize = one_of("normalize", normalize, ("active", "all"))

    def _losses(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        record = self.live_weights is not None and self.live_weights.recording
        power = 2.0 if self.squared else 1.0
        included = ops.cast(pairs.anchor, x.dtype)
        own_weight = included if weight is None else included * weight

        def curve(d: Tensor) -> Any:
            violation = ops.where(pairs.same, self._pull(d), ops.maximum(self.margin - d, 0.0))
            if self.normalize == "all":
                pull_factor, push_factor = (0.5 * mean_factor(one) for one in (pairs.n_positive, pairs.n_negative))
            else:
                pull_factor, push_factor = self._active_factors(violation > 0.0, pairs, own_weight, weight)
            pull_by, push_by = (ops.sqrt(one) if self.squared else one for one in (pull_factor, push_factor))
            beyond = violation * ops.where(pairs.same, pull_by, push_by)
            losses = ops.square(beyond) if self.squared else beyond

            def derivative() -> Tensor:
                sides = ops.where(pairs.same, power * pull_by, -power * push_by)
                return sides * (beyond if self.squared else ops.cast(beyond > 0.0, d.dtype))

            if not record:
                return losses, derivative, ops.zeros_like(d[:, :1])
            pulls, pushes = at_least_one(pairs.n_positive) * pull_factor, at_least_one(pairs.n_negative) * push_factor
            own = losses / ops.where(pairs.same, pulls[:, None], pushes[:, None])
            return losses, derivative, 0.5 * ops.sum(own, axis=1, keepdims=True)

        sums = sums_over_others(x, self.distance, weight, curve)
        return own_weight * sums[:, 0], sums[:, 1]

    def _pull(self, d: Tensor) -> Tensor:
        return ops.maximum(d - self.positive_margin, 0.0) if self.positive_margin else d

    def _active_factors(
        self, active: Tensor, pairs: PairMasks, own_weight: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the factors of the sums over positive and over negative pairs, from the mask of those with a loss."""
        positive = ops.logical_and(active, pairs.same)
        kinds = positive, ops.not_equal(active, positive)
        other = (ops.ones_like(own_weight) if weight is None else weight)[:, None]
        totals = ops.stack([ops.sum((ops.cast(kind, other.dtype) @ other)[:, 0] * own_weight) for kind in kinds])
        size = ops.cast(ops.shape(own_weight)[0], own_weight.dtype)
        factors = 0.5 * size / ops.where(totals > 0.0, totals, ops.ones_like(totals))
        return factors[0], factors[1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "margin": self.margin,
            "positive_margin": self.positive_margin,
            "squared": self.squared,
            "distance": self.distance,
            "normalize": self.normalize,
        }
