"""Base class of the metrics: histograms of the scores of similar and different pairs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import add_metric_variable, is_stack_readable, ops, to_numpy
from keras_balanced_siamese._checks import finite, flag
from keras_balanced_siamese._fixed_arguments import FixedArguments
from keras_balanced_siamese._model_output import higher_is_similar
from keras_balanced_siamese._running_model import REVERSED_LABELS, label_kind, running_model
from keras_balanced_siamese._text import log_names
from keras_balanced_siamese._typing import Label, Tensor
from keras_balanced_siamese.metrics._labelled_scores import LabelledScores, labelled_scores
from keras_balanced_siamese.metrics._score_bins import COARSE, ScoreBins, ThresholdBins

SUM_ROUNDING = 1e-5  # of a sum in float32


class PairHistogram(FixedArguments, keras.metrics.Metric):
    """Abstract base class of metrics that are a function of the histograms of similar and of different pairs.

    Histograms are summed over batches and replicas, so the value is that of all pairs together. A subclass implements
    `_values`, which maps two histograms `(rows, bins)` to values `(rows,)`, and `_bound`, which maps two histograms
    `(bins,)` and their value to an upper bound of its error.

    Args:
        higher_is_similar: Whether scores grow with similarity; they are then negated before binning. `None` takes it
            from the model that calls the metric; outside of a model, scores are distances.
        similar_label: The value of `y_true` that means "same class", 1 or 0.
        classes: Labels of the classes that get a value of their own.
        name: Name of the metric.
        dtype: Type of the value; the state is always float32.
        threshold: Threshold between two bins, accepted and rejected.
        resolution: Resolution of fine bins. Each bin of a class joins `COARSE` of them.
    """

    _direction = "up"  # of improvement, read by Keras if a callback monitors the metric

    def __init__(
        self,
        higher_is_similar: bool | None,
        similar_label: int,
        classes: Sequence[Label] | None,
        name: str,
        dtype: Any,
        *,
        threshold: float | None = None,
        resolution: int | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if similar_label not in (0, 1):
            raise ValueError(f"`similar_label` must be 1 or 0. Received: similar_label={similar_label!r}")
        self.higher_is_similar = None if higher_is_similar is None else flag("higher_is_similar", higher_is_similar)
        self._negate = self.higher_is_similar or False
        self.similar_label = int(similar_label)
        self.classes = None if classes is None else _plain_labels(classes)
        if resolution is None:
            self.threshold = finite("threshold", threshold)
            self._scale: dict[str, float] = {"threshold": self.threshold}
            self._bins: ScoreBins | ThresholdBins = ThresholdBins(self.threshold)
            self._bins_per_class_bin = 1
        else:
            self.resolution = resolution
            self._scale = {"resolution": self.resolution}
            self._bins = ScoreBins(self.resolution)
            self._bins_per_class_bin = COARSE
        shape = (len(self.classes or ()), 2, -(-self._bins.count // self._bins_per_class_bin))
        if np.prod(shape, dtype="float64") >= 2**31:
            raise ValueError(
                "The histograms have too many bins: lower `resolution`. Received: "
                f"{shape[0]} classes and {shape[2]} bins"
            )
        # of all pairs (1, 2, bins) and of the pairs of each class (classes, 2, bins); axis 1: similar, different
        self.histogram = add_metric_variable(self, "histogram", (1, 2, self._bins.count), "zeros", "sum")
        self.class_histogram = None
        if self.classes is not None:
            self.class_histogram = add_metric_variable(self, "class_histogram", shape, "zeros", "sum")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add the pairs of a batch to the histograms."""
        pairs = labelled_scores(y_true, y_pred, sample_weight, self.classes is not None)
        similar = pairs.similar if self.similar_label == 1 else 1.0 - pairs.similar
        self._negate = self._is_similarity()
        score = ops.where(ops.isnan(pairs.score), 0.0, pairs.score)
        position = self._bins(score, self._negate)  # (n,)
        weight = _nan_if_invalid(pairs, len(self.classes or ()))
        counted = weight != 0.0  # false for masked pairs, even if they are NaN
        mass = ops.stack([ops.where(counted, weight * share, 0.0) for share in (similar, 1.0 - similar)])  # (2, n)
        _count(self.histogram, ops.zeros_like(position), position, mass)
        if self.class_histogram is not None:
            code, belongs = _classes_of(pairs.sides, len(self.classes or ()))
            joined, mass = ops.concatenate([position, position], axis=0), ops.concatenate([mass, mass], axis=1)
            _count(self.class_histogram, code, joined // self._bins_per_class_bin, ops.where(belongs, mass, 0.0))

    def result(self) -> Tensor | dict[str, Tensor]:
        """Return the value over all pairs since the last reset; with `classes`, a dict that also holds each class."""
        value = self._values_of(self.histogram)[0]
        if self.classes is None:
            return value
        values = self._values_of(self.class_histogram)
        return {self.name: value, **{name: values[k] for k, name in enumerate(self.log_names.values())}}

    @property
    def log_names(self) -> dict[Label, str]:
        """The name of the entry of each class in `logs`: characters that trackers refuse are `_` in it."""
        return {label: f"{self.name}/{name}" for label, name in log_names(self.classes or ()).items()}

    def reset_state(self) -> None:
        for histogram in (self.histogram, self.class_histogram):
            if histogram is not None:
                histogram.assign(np.zeros(tuple(histogram.shape), "float32"))

    def error_bound(self) -> float:
        """Return an upper bound of the error of the value over all pairs, for any order of the pairs inside each bin.

        It is computed from the pairs counted so far, plus 0.00001 for rounding in float32. It is NaN if the value is
        NaN.
        """
        similar, different = to_numpy(self.histogram)[0].astype("float64")
        if not (similar.sum() > 0 and different.sum() > 0):
            return float("nan")
        histogram = ops.convert_to_tensor(self.histogram)
        value = float(to_numpy(self._values(histogram[:, 0], histogram[:, 1]))[0])
        return float(self._bound(similar, different, value)) + SUM_ROUNDING

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._scale,
            "higher_is_similar": self.higher_is_similar,
            "similar_label": self.similar_label,
            "classes": None if self.classes is None else list(self.classes),
        }

    def _is_similarity(self) -> bool:
        """Return whether the scores grow with similarity."""
        if self.higher_is_similar is not None:
            return self.higher_is_similar
        if not is_stack_readable():
            return self._negate  # as when the model was built
        running = running_model(self)
        if running is None:
            return False
        if self.similar_label == 0 and label_kind(running.x) == "pair labels":
            raise ValueError(REVERSED_LABELS)
        try:
            return higher_is_similar(running.model, self.similar_label)
        except ValueError:
            if running.compiled:
                raise
            return False

    def _values(self, similar: Tensor, different: Tensor) -> Tensor:
        raise NotImplementedError

    def _bound(self, similar: np.ndarray, different: np.ndarray, value: float) -> float:
        return 0.0

    def _values_of(self, histogram: Any) -> Tensor:
        histogram = ops.convert_to_tensor(histogram)
        return ops.cast(self._values(histogram[:, 0], histogram[:, 1]), self.dtype)


def where_measured(measured: Tensor, values: Tensor) -> Tensor:
    """Return the values, with NaN where no pair was counted or a count is NaN."""
    return ops.where(measured, values, float("nan"))


def _nan_if_invalid(pairs: LabelledScores, n_classes: int) -> Tensor:
    """Return the weights `(n,)`, with NaN for an invalid pair, which makes the value NaN."""
    valid = (ops.abs(pairs.similar - 0.5) <= 0.501) & ~ops.isnan(pairs.score) & (pairs.weight >= 0.0)
    if pairs.sides is not None:
        valid = valid & (pairs.sides[:, 0] < n_classes) & (pairs.sides[:, 1] < n_classes)
    return ops.where(valid | (pairs.weight == 0.0), pairs.weight, float("nan"))


def _count(histogram: Any, row: Tensor, position: Tensor, mass: Tensor) -> None:
    """Add the mass `(2, n)` of similar and different pairs to the bins `position` of the rows `row`, both `(n,)`."""
    shape = tuple(histogram.shape)  # (rows, 2, bins)
    first = row * (2 * shape[2]) + position
    index = ops.concatenate([first, first + shape[2]], axis=0)  # (2 n,)
    added = ops.segment_sum(ops.reshape(mass, (-1,)), index, num_segments=int(np.prod(shape)))
    histogram.assign_add(ops.reshape(added, shape))


def _classes_of(sides: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Return the class codes of all left, then all right sides, and whether the pair counts for them, both `(2 n,)`."""
    known = (sides >= 0.0) & (sides < n_classes)  # (n, 2)
    codes = ops.cast(ops.where(known, sides, 0.0), "int32")
    twice = known[:, 0] & (codes[:, 0] == codes[:, 1])  # a pair within one class counts once
    return (
        ops.concatenate([codes[:, 0], codes[:, 1]], axis=0),
        ops.concatenate([known[:, 0], known[:, 1] & ~twice], axis=0),
    )


def _plain_labels(classes: Sequence[Label]) -> list[Label]:
    """Return the labels as values that JSON can store."""
    listed = hasattr(classes, "__iter__") and not isinstance(classes, (str, bytes))
    labels = [label.item() if isinstance(label, np.generic) else label for label in (classes if listed else ())]
    if not labels or not all(isinstance(label, (str, int, float)) for label in labels):
        raise ValueError(f"`classes` must be a list of strings or numbers, at least one. Received: classes={classes!r}")
    if len({str(label) for label in labels}) < len(labels):
        raise ValueError(f"`classes` must not contain a class twice. Received: classes={classes!r}")
    return labels
