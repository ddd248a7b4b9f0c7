"""Starting class weights of a sequence, with a warning if class frequency is corrected twice."""

import warnings

import numpy as np

from keras_balanced_siamese._labels import Labels
from keras_balanced_siamese._typing import ClassSampling, WeightScheme
from keras_balanced_siamese.class_weights import scheme_weights

FREQUENCY_SCHEMES = ("balanced", "sqrt", "effective")


def starting_weights(
    labels: Labels, shares: np.ndarray, class_sampling: ClassSampling, class_weight: WeightScheme | None
) -> np.ndarray:
    """The starting weights `(C,)` of a sequence.

    A warning, attributed to the caller's caller, is raised if `shares` `(C,)` already draw rare classes more often and
    the weights follow the class counts again. Classes without a share are ignored.
    """
    if class_weight is None:
        return np.ones(len(labels.classes))
    classes, counts = labels.classes, labels.counts
    weights = scheme_weights(classes, counts, class_weight, name="class_weight")
    present = np.flatnonzero(shares > 0)
    rare, common = present[counts[present].argmin()], present[counts[present].argmax()]
    corrected = shares[rare] / shares[common] > 1.5 * counts[rare] / counts[common]
    once_more = weights[rare] > 1.01 * weights[common]  # the effective numbers of large classes are almost equal
    schemes = [scheme_weights(classes, counts, scheme) for scheme in FREQUENCY_SCHEMES]
    if corrected and once_more and any(_proportional(weights, one) for one in schemes):
        cure = "" if class_sampling == "natural" else ", or class_sampling='natural'"
        warnings.warn(
            f"Class frequency is corrected twice: class_sampling={class_sampling!r} draws "
            f"{classes[rare]!r} ({counts[rare]} samples) {shares[rare] / shares[common]:.3g} times as often "
            f"as {classes[common]!r} ({counts[common]} samples), and class_weight weights it "
            f"{weights[rare] / weights[common]:.3g} times as much. Pass class_weight=None{cure}",
            stacklevel=3,
        )
    return weights


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a / a.mean(), b / b.mean(), rtol=0.01)
