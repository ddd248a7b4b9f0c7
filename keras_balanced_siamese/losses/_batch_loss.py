"""What every loss on a batch of embeddings shares: labels, class weights, who counts, and one value an anchor."""

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import keras

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._pairwise import PairMasks
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.losses._weighted_loss import WeightedLoss

EXACT = 2.0**24  # from here on float32 does not tell whole numbers apart
NOWHERE = -1e30  # a logit that counts as minus infinity, and whose differences are finite


class Term(NamedTuple):
    """A sum over the pairs (or triplets) of each anchor, `(B,)` each."""

    plain: Tensor
    weighted: Tensor
    count: Tensor  # how many were added; 0 for what is no anchor


class WeightedBatchLoss(WeightedLoss):
    """Abstract: a loss on embeddings `(B, dim)` and class labels `(B,)`, which pairs inside the batch.

    A subclass gives terms. Each is divided by the count of the whole batch, so that the mean over the batch is the sum
    of the terms' means over what they counted.
    """

    def __init__(self, class_weight: ClassWeights | None, **kwargs: Any):
        if kwargs.get("dtype") is None and "16" in keras.backend.floatx():
            kwargs["dtype"] = "float32"
        super().__init__(class_weight, None if class_weight is None else _whole_numbers(class_weight), **kwargs)
        if "16" in str(self.dtype):
            raise ValueError(
                "Class labels are cast to the `dtype` of the loss, and half precision cannot hold them: leave it out; "
                f"a mixed precision policy does not touch it. Received: dtype={self.dtype!r}"
            )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, x = _one_label_each(y_true, y_pred)  # (B,), (B, dim)
        pairs = PairMasks(labels)
        weight = None if self.live_weights is None else self.live_weights.weights_of(labels)
        losses, own = self._losses(x, pairs, weight)
        if self.live_weights is not None:
            self.live_weights.update_state_of(labels, ops.stop_gradient(own), pairs.anchor)
        return losses + _nan_where_broken(labels, x)

    def _losses(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """The weighted loss of each anchor, and what it has without weights and among its own pairs; `(B,)` both."""
        terms = self._terms(x, pairs, weight)
        losses = sum(term.weighted * share_of(term.count) for term in terms)
        return losses, sum(term.plain / at_least_one(term.count) for term in terms)

    def _terms(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> list[Term]:
        raise NotImplementedError


def sums(losses: Tensor, mask: Tensor, count: Tensor, weight: Tensor | None) -> Term:
    """The term of the losses `(B, B)` of the pairs in `mask`, each weighted by both members."""
    losses = ops.cast(ops.where(mask, losses, 0.0), count.dtype)  # some operations of Keras make float32 of float64
    if weight is None:
        plain = ops.sum(losses, axis=1)
        return Term(plain, plain, count)
    both = losses @ ops.stack([ops.ones_like(weight), weight], axis=1)  # (B, 2)
    return Term(both[:, 0], weight * both[:, 1], count)


def _whole_numbers(class_weight: Any) -> list[int]:
    """The classes of a mapping, sorted."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"`class_weight` must be a mapping of class to weight. Received: class_weight={class_weight!r}")
    odd = [label for label in class_weight if isinstance(label, bool) or not isinstance(label, Integral)]
    if odd or not class_weight or not all(abs(int(label)) < EXACT for label in class_weight):
        raise ValueError(
            "`class_weight` must have the whole numbers that `y_true` holds as its keys, below 2 ** 24: for a "
            "`BalancedBatchSequence` the positions in its `classes`, "
            "`{k: weights[label] for k, label in enumerate(batches.classes)}`. "
            f"Received: {str(dict(class_weight))[:200]}"
        )
    return sorted(int(label) for label in class_weight)


def _one_label_each(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Labels `(B,)` and embeddings `(B, dim)`, in float32 or wider."""
    labels, x = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    given = tuple(labels.shape), tuple(x.shape)
    one_each = len(given[0]) == 1 or (len(given[0]) == 2 and given[0][1] in (1, None))
    if len(given[1]) != 2 or not one_each or (None not in (given[0][0], given[1][0]) and given[0][0] != given[1][0]):
        raise ValueError(
            "This loss needs embeddings `y_pred` of shape (batch, dim) and one class label for each, `y_true` of shape "
            "(batch,) or (batch, 1). One-hot rows become labels by `y.argmax(axis=1)`. "
            f"Received: y_true of shape {given[0]}, y_pred of shape {given[1]}"
        )
    if given[1][1] == 1:
        warnings.warn(
            "Embeddings of one number: if they are the distances of a `siamese_model`, they need a loss on pairs, such "
            "as `WeightedContrastiveLoss`; a loss on class labels trains the encoder alone.",
            stacklevel=4,
        )
    dtype = "float64" if "float64" in str(x.dtype) else "float32"
    return ops.reshape(ops.cast(labels, dtype), (-1,)), ops.cast(x, dtype)


def share_of(count: Tensor) -> Tensor:
    """What a sum over an anchor's pairs is multiplied by: the size of the batch over the sum of the counts `(B,)`."""
    return ops.cast(ops.shape(count)[0], count.dtype) / at_least_one(ops.sum(count))


def at_least_one(count: Tensor) -> Tensor:
    """A count to divide by."""
    return ops.maximum(count, ops.ones_like(count))


def _nan_where_broken(labels: Tensor, x: Tensor) -> Tensor:
    """0, or NaN if an embedding or a label is not finite: it has to show even if its pairs do not count."""
    whole = ops.isfinite(ops.sum(x) + ops.sum(labels))
    whole = ops.logical_and(whole, ops.max(ops.abs(labels)) < EXACT)
    return ops.where(whole, ops.zeros_like(x[0, 0]), ops.cast(float("nan"), x.dtype))
