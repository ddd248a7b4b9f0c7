"""The state that all streaming metrics share: how similar and different pairs spread over the scores."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import add_metric_variable, ops, to_numpy
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._labelled_scores import LabelledScores, labelled_scores
from keras_balanced_siamese.metrics._score_bins import ScoreBins, ThresholdBins

ROUNDING = 1e-6  # of values that are summed in float32


class PairHistogram(keras.metrics.Metric):
    """Abstract: a metric that is a function of the histograms of similar and of different pairs.

    Histograms add up, over batches and over replicas, so the value is that of all pairs together. A subclass gives
    `_values`, from two histograms `(rows, bins)` to `(rows,)` values, and `_bound`, from two `(bins,)` to how far off
    the value can be.

    Args:
        bins: From distances to bins, in their order.
        higher_is_similar: Whether scores grow with likeness; they are binned with a minus sign then.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Labels of the classes that get a value of their own.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32.
    """

    def __init__(
        self,
        bins: ScoreBins | ThresholdBins,
        higher_is_similar: bool,
        similar_label: int,
        classes: Sequence[Label] | None,
        name: str,
        dtype: Any,
    ):
        super().__init__(name=name, dtype=dtype)
        if similar_label not in (0, 1):
            raise ValueError(f"`similar_label` must be 1 or 0. Received: similar_label={similar_label!r}")
        self.higher_is_similar = bool(higher_is_similar)
        self.similar_label = int(similar_label)
        self.classes = None if classes is None else _plain_labels(classes)
        self._bins = bins
        self._shape = (1 + len(self.classes or ()), 2, bins.count)
        if np.prod(self._shape, dtype="float64") >= 2**31:
            raise ValueError(
                "The histograms have too many bins: lower `resolution`. Received: "
                f"{len(self.classes or ())} classes and {bins.count} bins"
            )
        # row 0 is for all pairs, row 1 + k for those with class k; similar pairs come first
        self.histogram = add_metric_variable(self, "histogram", self._shape, "zeros", "sum")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Count the pairs of a batch."""
        pairs = labelled_scores(y_true, y_pred, sample_weight, self.classes is not None)
        similar = pairs.similar if self.similar_label == 1 else 1.0 - pairs.similar
        distance = -pairs.score if self.higher_is_similar else pairs.score
        weight = _spoil(pairs, len(self.classes or ()))
        position = self._bins(ops.where(ops.isnan(distance), 0.0, distance))  # (n,)
        counted = weight != 0.0  # false for what a mask hides, even if it is NaN
        mass = ops.stack([ops.where(counted, weight * share, 0.0) for share in (similar, 1.0 - similar)])  # (2, n)
        rows, belongs = _rows_of(pairs.sides, position, len(self.classes or ()))  # each (n, rows of a pair)
        first = rows * 2 * self._bins.count + position[:, None]
        index = ops.stack([first, first + self._bins.count])  # (2, n, rows of a pair)
        mass = ops.where(belongs, mass[:, :, None], 0.0)
        size = int(np.prod(self._shape))
        added = ops.segment_sum(ops.reshape(mass, (-1,)), ops.reshape(index, (-1,)), num_segments=size)
        self.histogram.assign_add(ops.reshape(added, self._shape))

    def result(self) -> Tensor | dict[str, Tensor]:
        """The value over all pairs since the last reset; with `classes`, a dict that has each class as well."""
        histogram = ops.convert_to_tensor(self.histogram)
        values = ops.cast(self._values(histogram[:, 0], histogram[:, 1]), self.dtype)
        if self.classes is None:
            return values[0]
        names = [self.name, *(f"{self.name}/{label}" for label in self.classes)]
        return {name: values[row] for row, name in enumerate(names)}

    def reset_state(self) -> None:
        self.histogram.assign(np.zeros(self._shape, "float32"))

    def error_bound(self) -> float:
        """How far the value over all pairs can be from the exact one, whatever the order inside each bin.

        It follows from the pairs counted so far, with a millionth for the rounding of float32. It is NaN while the
        value is.
        """
        similar, different = to_numpy(self.histogram)[0].astype("float64")
        if not (similar.sum() > 0 and different.sum() > 0):
            return float("nan")
        return float(self._bound(similar, different)) + ROUNDING

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "higher_is_similar": self.higher_is_similar,
            "similar_label": self.similar_label,
            "classes": None if self.classes is None else list(self.classes),
        }

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        raise NotImplementedError

    def _bound(self, similar: np.ndarray, different: np.ndarray) -> float:
        raise NotImplementedError


def where_measured(measured: Tensor, values: Tensor) -> Tensor:
    """The values, or NaN where there was nothing to measure them on (or what there was is NaN)."""
    return ops.where(measured, values, float("nan"))


def _spoil(pairs: LabelledScores, n_classes: int) -> Tensor:
    """The weights `(n,)`, NaN for a pair that cannot be counted, so that the value shows it."""
    fine = (ops.abs(pairs.similar - 0.5) <= 0.501) & ~ops.isnan(pairs.score)
    if pairs.sides is not None:
        fine = fine & (pairs.sides[:, 0] < n_classes) & (pairs.sides[:, 1] < n_classes)
    return ops.where(fine | (pairs.weight == 0.0), pairs.weight, float("nan"))


def _rows_of(sides: Tensor, position: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """The rows of the histogram that a pair may belong to, and whether it does: 0, and one for each of its classes."""
    every = ops.zeros_like(position)[:, None]  # (n, 1)
    if sides is None:
        return every, every == 0
    known = (sides >= 0.0) & (sides < n_classes)  # (n, 2)
    codes = ops.cast(ops.where(known, sides, 0.0), "int32")
    left, right = codes[:, :1], codes[:, 1:]
    rows = ops.concatenate([every, 1 + left, 1 + right], axis=1)
    return rows, ops.concatenate([every == 0, known[:, :1], known[:, 1:] & (left != right)], axis=1)


def _plain_labels(classes: Sequence[Label]) -> list[Label]:
    """The labels as JSON can hold them."""
    labels = [label.item() if isinstance(label, np.generic) else label for label in classes]
    if not labels or not all(isinstance(label, (str, int, float)) for label in labels):
        raise ValueError(f"`classes` must be a list of strings or numbers, at least one. Received: classes={classes!r}")
    if len({str(label) for label in labels}) < len(labels):
        raise ValueError(f"`classes` must not name a class twice. Received: classes={classes!r}")
    return labels
