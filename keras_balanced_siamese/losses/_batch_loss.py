"""Base class of the losses on a batch of embeddings, with one value per anchor."""

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import keras

from keras_balanced_siamese._backend import averages_gradients, gather, ops, replica_count
from keras_balanced_siamese._checks import flag
from keras_balanced_siamese._pairwise import SHRINK, PairMasks
from keras_balanced_siamese._typing import ClassWeights, Tensor
from keras_balanced_siamese.class_weights import CountedWeights
from keras_balanced_siamese.losses._feature_transfer import mean_of_copies, with_transferred
from keras_balanced_siamese.losses._weighted_loss import WeightedLoss

LABEL_LIMIT = 2.0**24  # from here on neighbouring integers are equal in float32
MASKED_LOGIT = -1e30  # acts as minus infinity, but its differences are finite


class Term(NamedTuple):
    """Sums over the pairs (or triplets) of each anchor, each `(B,)`."""

    plain: Tensor
    weighted: Tensor
    count: Tensor  # number of summands; 0 for an item that is not an anchor


class WeightedBatchLoss(WeightedLoss):
    """Abstract loss on embeddings `(B, dim)` and class labels `(B,)`, which forms pairs inside the batch.

    A subclass returns terms. Each term is divided by its count over the whole batch, so the mean over the batch is the
    sum of the means of the terms.

    With `gather`, each of several replicas computes the losses of the whole batch and returns those of its own items.
    Their gradient has a factor with which the step of all replicas is that of one device, also where parts differ in
    size: the engines average over the replicas.

    Attributes:
        counted: The starting weights in the order of the classes, if they were computed from class counts.
        feature_transfer: Number of generated members for each item, see `with_transferred`. They are items of the batch
            like any other; the value of an item is the mean of its own loss and those of its generated members.
    """

    takes = "embedding"
    feature_transfer = 0

    def __init__(self, class_weight: ClassWeights | None, gather: bool = True, **kwargs: Any):
        if kwargs.get("dtype") is None and "16" in keras.backend.floatx():
            kwargs["dtype"] = "float32"
        super().__init__(class_weight, None if class_weight is None else _class_labels(class_weight), **kwargs)
        is_counted = isinstance(class_weight, CountedWeights)
        self.counted = self._aligned(class_weight) if is_counted else None
        if "16" in str(self.dtype):
            raise ValueError(
                "`dtype` must be float32 or float64: class labels are cast to it, and half precision cannot hold them. "
                f"Omit it; mixed precision policies do not change it. Received: dtype={self.dtype!r}"
            )
        self.gather = flag("gather", gather)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> Tensor:
        loss = super().__call__(y_true, y_pred, sample_weight)
        if self.reduction in (None, "none"):
            return loss
        if len(loss.shape) > 0:
            loss = ops.sum(loss)  # Keras does not reduce an empty batch
        if self.reduction != "mean_with_sample_weight" or self._replicas(y_pred) == 1:
            return loss
        weight = ops.ones_like(y_pred[:, 0]) if sample_weight is None else sample_weight
        weight = ops.reshape(ops.sum(ops.cast(weight, loss.dtype)), (1, 1))
        total = ops.sum(gather(weight)[0])
        return _with_slope(loss, self._replicas(y_pred) * weight[0, 0] / ops.where(total > 0.0, total, 1.0))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        items, embeddings = _labels_and_embeddings(y_true, y_pred)  # (B,), (B, dim)
        replicas = self._replicas(embeddings)
        if replicas == 1:
            return self._of_items(items, embeddings)
        size = ops.shape(items)[0]
        rows, start = gather(ops.concatenate([embeddings, items[:, None]], axis=1))
        own = slice(start, start + size)
        losses = self._of_items(ops.stop_gradient(rows[:, -1]), rows[:, :-1], own)
        if self.reduction == "sum":
            return _with_slope(losses, replicas) if averages_gradients else losses
        if self.reduction in ("mean", "sum_over_batch_size"):
            return _with_slope(losses, replicas * size / ops.shape(rows)[0])
        return losses

    def _replicas(self, x: Tensor) -> int:
        return replica_count(x) if self.gather else 1

    def _of_items(self, items: Tensor, embeddings: Tensor, own: slice | None = None) -> Tensor:
        """Return the losses of labels `(B,)` and embeddings `(B, dim)`, or of those that are `own`; record them."""
        if embeddings.shape[0] == 0:
            return ops.sum(embeddings, axis=1)
        labels, x = with_transferred(items, embeddings, self.feature_transfer)
        size = ops.shape(items)[0]
        pairs = PairMasks(labels, size if self.feature_transfer else None)
        weight = None if self.live_weights is None else self.live_weights.weights_of(labels)
        losses, unweighted = (mean_of_copies(one, self.feature_transfer) for one in self._losses(x, pairs, weight))
        losses, anchor = losses + _nan_if_not_finite(items, embeddings), pairs.anchor[:size]
        if own is not None:
            losses, unweighted, items, anchor = losses[own], unweighted[own], items[own], anchor[own]
        if self.live_weights is not None:
            self.live_weights.record_items(items, ops.stop_gradient(unweighted), anchor)
        return losses

    def _losses(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the weighted losses of the anchors and the unweighted means over their own pairs, each `(B,)`."""
        terms = self._terms(x, pairs, weight)
        losses = sum(term.weighted * mean_factor(term.count) for term in terms)
        return losses, sum(term.plain / at_least_one(term.count) for term in terms)

    def _terms(self, x: Tensor, pairs: PairMasks, weight: Tensor | None) -> list[Term]:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gather": self.gather}


def pair_term(losses: Tensor, mask: Tensor, count: Tensor, weight: Tensor | None) -> Term:
    """Sum the losses `(B, B)` of the pairs in `mask`, weighted by both members."""
    losses = ops.cast(ops.where(mask, losses, 0.0), count.dtype)  # some operations of Keras convert float64 to float32
    if weight is None:
        plain = ops.sum(losses, axis=1)
        return Term(plain, plain, count)
    both = losses @ ops.stack([ops.ones_like(weight), weight], axis=1)  # (B, 2)
    return Term(both[:, 0], weight * both[:, 1], count)


def _class_labels(class_weight: Any) -> list[Any]:
    """Return the sorted class labels of a mapping of weights: integers, or strings."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"`class_weight` must be a mapping of class to weight. Received: class_weight={class_weight!r}")
    if class_weight and all(isinstance(label, str) for label in class_weight):
        return sorted(class_weight)
    odd = [label for label in class_weight if isinstance(label, bool) or not isinstance(label, Integral)]
    if odd or not class_weight or not all(abs(int(label)) < LABEL_LIMIT for label in class_weight):
        raise ValueError(
            "The keys of `class_weight` must be all class names of the data, or the integers of `y_true`, below "
            "2 ** 24. A `BalancedBatchSequence` gives positions in its `classes`: "
            "`{k: weights[label] for k, label in enumerate(batches.classes)}`. "
            f"Received: {str(dict(class_weight))[:200]}"
        )
    return sorted(int(label) for label in class_weight)


def _labels_and_embeddings(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Check and return labels `(B,)` and embeddings `(B, dim)`, in float32 or wider."""
    labels, x = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    given = tuple(labels.shape), tuple(x.shape)
    one_each = len(given[0]) == 1 or (len(given[0]) == 2 and given[0][1] in (1, None))
    if len(given[1]) != 2 or not one_each or (None not in (given[0][0], given[1][0]) and given[0][0] != given[1][0]):
        raise ValueError(
            "This loss needs embeddings `y_pred` of shape (batch, dim) and one class label per embedding, `y_true` of "
            "shape (batch,) or (batch, 1). One-hot labels: pass `y.argmax(axis=1)`. "
            f"Received: y_true of shape {given[0]}, y_pred of shape {given[1]}"
        )
    if given[1][1] == 1:
        warnings.warn(
            "Embeddings have one dimension. If they are distances from a `siamese_model`, use a loss on pairs, such as "
            "`WeightedContrastiveLoss`; this loss is for an encoder and class labels.",
            stacklevel=4,
        )
    dtype = "float64" if "float64" in str(x.dtype) else "float32"
    return ops.reshape(ops.cast(labels, dtype), (-1,)), ops.cast(x, dtype)


def mean_factor(count: Tensor) -> Tensor:
    """Return the size of the batch divided by the sum of `count` `(B,)`, a factor of the sums of the anchors."""
    return ops.cast(ops.shape(count)[0], count.dtype) / at_least_one(ops.sum(count))


def at_least_one(count: Tensor) -> Tensor:
    """Return `count`, or 1 where it is 0."""
    return ops.maximum(count, ops.ones_like(count))


def _with_slope(x: Tensor, factor: Any) -> Tensor:
    """Return `x`, with its gradient multiplied by a factor."""
    factor = factor if isinstance(factor, (int, float)) else ops.cast(factor, x.dtype)
    return x + (factor - 1.0) * (x - ops.stop_gradient(x))


def _nan_if_not_finite(labels: Tensor, x: Tensor) -> Tensor:
    """Return 0, or NaN if any embedding or label is not finite or a label is too large, even without pairs."""
    valid = ops.isfinite(ops.sum(SHRINK * x) + ops.sum(labels))  # a sum of large embeddings does not overflow
    valid = ops.logical_and(valid, ops.max(ops.abs(labels)) < LABEL_LIMIT)
    return ops.where(valid, ops.zeros_like(x[0, 0]), ops.cast(float("nan"), x.dtype))
