"""Triplet loss with mining inside the batch, weighted by classes."""

from typing import Any

from keras_balanced_siamese._backend import (
    column_of_max,
    ops,
    order_rows,
    put_columns,
    register,
    take_column,
    take_columns,
)
from keras_balanced_siamese._checks import one_of, positive
from keras_balanced_siamese._pairwise import DISTANCES, PairMasks, distances
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._batch_loss import Term, WeightedBatchLoss, pair_term

MINING = ("semi-hard", "hard", "all")


@register
class WeightedTripletLoss(WeightedBatchLoss):
    """Triplet loss on the triplets of a batch, weighted by the classes of anchor and positive.

    ```
    loss = mean over triplets (a, p, n) of w_a * w_p * max(d_ap - d_an + margin, 0)
    ```

    `mining` selects the triplets:

    - `"semi-hard"`: each positive pair (a, p) with the nearest negative that is farther than p, or with the farthest
      negative if there is none.
    - `"hard"`: each anchor with its farthest positive and its nearest negative.
    - `"all"`: each positive pair with each negative; the mean is over the triplets with a positive loss.

    `margin="soft"` replaces the hinge by `log(1 + exp(d_ap - d_an))`, which has a gradient at every distance. Only
    anchors with a positive and a negative in the batch are included. Without such an anchor the loss and its gradient
    are 0.

    `"semi-hard"` and `"hard"` equal `TripletSemiHardLoss` and `TripletHardLoss` of tensorflow-addons, except where
    those are wrong: NaN for a batch without positive pairs, anchors without a positive treated as if they had one at
    distance 0, a gradient in a batch of one class, and overflow of the soft margin.

    The loss is NaN if a label has no weight or is 2 ** 24 or more, or if an embedding or a label is NaN.

    Args:
        margin: Required excess of the distance to the negative, positive, or `"soft"`.
        mining: `"semi-hard"`, `"hard"` or `"all"`.
        distance: `"euclidean"`, `"squared"` (its square) or `"cosine"` (1 - cosine, from 0 to 2). Close points far from
            the origin keep their distance, except that distances below 1e-7 of the largest distance from the mean of
            the batch are 0.
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
        >>> loss = WeightedTripletLoss(margin=1.0, mining="hard")
        >>> embeddings = np.array([[0.0, 0.0], [0.0, 0.5], [0.3, 0.0], [2.0, 2.0]])
        >>> round(float(loss([0, 0, 1, 1], embeddings)), 4)
        1.6417

    References:
        Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015 (semi-hard).
        Hermans, Beyer, Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017 (hard, soft, all).
    """

    def __init__(
        self,
        margin: float | str = 1.0,
        mining: str = "semi-hard",
        distance: str = "euclidean",
        class_weight: ClassWeights | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "weighted_triplet_loss",
        dtype: Any = None,
        *,
        gather: bool = True,
    ):
        super().__init__(class_weight, gather, reduction=reduction, name=name, dtype=dtype)
        self.margin = "soft" if isinstance(margin, str) and margin == "soft" else positive("margin", margin)
        self.mining = one_of("mining", mining, MINING)
        self.distance = one_of("distance", distance, DISTANCES)
        if self.mining == "all" and self.margin == "soft":
            raise ValueError(
                "mining='all' needs a number as `margin`, as its sums by sorting exist only for the hinge. For the "
                "soft margin pass mining='hard' or 'semi-hard'. Received: mining='all', margin='soft'"
            )

    def _terms(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> list[Term]:
        d = distances(x, self.distance)
        if self.mining == "hard":
            return [self._hard(d, pairs, weight)]
        if self.mining == "all":
            return [self._all(d, pairs, weight)]
        nearest = take_columns(d, semi_hard(ops.stop_gradient(d), pairs.negative))
        return [pair_term(self._loss(d - nearest), pairs.positive, pairs.n_positive, weight)]

    def _loss(self, difference: Tensor) -> Tensor:
        """Compute the losses of triplets from the differences d_ap - d_an."""
        return ops.softplus(difference) if self.margin == "soft" else ops.maximum(difference + self.margin, 0.0)

    def _hard(self, d: Tensor, pairs: PairMasks, weight: Tensor | None) -> Term:
        fixed = ops.stop_gradient(d)
        farthest = column_of_max(ops.where(pairs.positive, fixed, -1.0))
        nearest = column_of_max(ops.where(pairs.negative, -fixed, float("-inf")))
        difference = take_column(d, farthest) - take_column(d, nearest)
        losses = self._loss(difference[:, 0])
        plain = ops.where(pairs.anchor, losses, 0.0)
        weighted = plain if weight is None else weight * weight * plain
        return Term(plain, weighted, ops.cast(pairs.anchor, d.dtype))

    def _all(self, d: Tensor, pairs: PairMasks, weight: Tensor | None) -> Term:
        """Sum over the triplets with a loss, from sorted distances to negatives, and to positives plus the margin."""
        values = ops.where(pairs.negative, d, d + self.margin)
        order, rest = order_rows(ops.stop_gradient(values), ops.logical_not(pairs.negative))
        values, positive = take_columns(values, order), take_columns(pairs.positive, order)
        nearer = ops.cumsum(ops.cast(ops.logical_not(rest), d.dtype), axis=1)  # negatives up to each place
        losses = nearer * values - ops.cumsum(ops.where(rest, ops.zeros_like(values), values), axis=1)
        losses = ops.where(positive, losses, ops.zeros_like(losses))
        count = ops.sum(ops.where(positive, nearer, ops.zeros_like(nearer)), axis=1)
        plain = ops.sum(losses, axis=1)
        return Term(
            plain,
            plain if weight is None else weight * ops.sum(losses * ops.take(weight, order, axis=0), axis=1),
            count,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin, "mining": self.mining, "distance": self.distance}


def semi_hard(d: Tensor, negative: Tensor) -> Tensor:
    """Return the column `(B, B)` of the semi-hard negative of each pair (a, p), from the distances `(B, B)`.

    The columns are valid in the rows of anchors and the columns of other items than negatives.
    """
    order, rest = order_rows(d, ops.logical_not(negative))
    nearer = ops.cast(ops.cumsum(ops.cast(ops.logical_not(rest), d.dtype), axis=1), order.dtype)  # up to each place
    place = ops.maximum(nearer - 1, 0)  # among the negatives
    negatives = put_columns(ops.where(rest, ops.zeros_like(order), order), place)
    return put_columns(take_columns(negatives, ops.minimum(nearer, place[:, -1:])), order)
