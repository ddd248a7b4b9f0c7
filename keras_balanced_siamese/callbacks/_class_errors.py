"""What a model makes of validation pairs -> the error of each class."""

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks._validation import Measured
from keras_balanced_siamese.evaluation import evaluate_pairs

DEGENERATE = 0.55  # area under the ROC curve below which errors say nothing about classes


def class_errors(found: Measured, classes: list[Label]) -> tuple[np.ndarray, np.ndarray, str | None]:
    """The error `(C,)` of each class at the threshold of all, its similar pairs, and why they say nothing if so.

    The error is NaN for a class that has none, and for all if a distance is not finite.
    """
    if not np.isfinite(found.distances).all():
        return np.full(len(classes), np.nan), np.zeros(len(classes)), None
    report = evaluate_pairs(found.distances, found.similar, classes=found.classes, n_resamples=0)
    rows = [report.per_class.get(label, {}) for label in classes]
    degenerate = None
    if report.roc_auc < DEGENERATE:
        degenerate = f"the model is degenerate, its area under the ROC curve is {report.roc_auc:.3f}"
    errors, support = ([row.get(name, np.nan) for row in rows] for name in ("error", "n_similar"))
    return np.array(errors), np.nan_to_num(np.array(support)), degenerate
