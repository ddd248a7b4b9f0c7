"""A model and validation pairs -> the error of each class."""

from typing import Any

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks._validation import measure
from keras_balanced_siamese.evaluation import evaluate_pairs
from keras_balanced_siamese.pairs import BalancedPairSequence

DEGENERATE = 0.55  # area under the ROC curve below which errors say nothing about classes


def validation_errors(
    model: Any, pairs: BalancedPairSequence, higher_is_similar: bool, classes: list[Label]
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """The error `(C,)` of each class at the threshold of all, its similar pairs, and why they say nothing if so.

    The error is NaN for a class that has none, and for all if an output is not finite.
    """
    found = measure(model, pairs, higher_is_similar)
    if not np.isfinite(found.distances).all():
        return np.full(len(classes), np.nan), np.zeros(len(classes)), None
    report = evaluate_pairs(found.distances, found.similar, classes=found.classes, n_resamples=0)
    rows = [report.per_class.get(label, {}) for label in classes]
    degenerate = None
    if report.roc_auc < DEGENERATE:
        degenerate = f"the model is degenerate, its area under the ROC curve is {report.roc_auc:.3f}"
    errors, support = ([row.get(name, np.nan) for row in rows] for name in ("error", "n_similar"))
    return np.array(errors), np.nan_to_num(np.array(support)), degenerate
