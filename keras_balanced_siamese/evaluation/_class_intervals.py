"""Confidence intervals of the error rates of each class, from its own samples."""

import numpy as np

from keras_balanced_siamese.evaluation._intervals import wilson
from keras_balanced_siamese.evaluation._pair_data import Pairs

RATES = ("false_reject_rate", "false_accept_rate", "error")


def class_intervals(
    pairs: Pairs, accepted: np.ndarray, rates: dict[str, np.ndarray], confidence: float
) -> dict[str, np.ndarray]:
    """Intervals of the rates of each class, `(C, 2)`, with samples and not pairs as independent units.

    Args:
        pairs: Pairs with classes and samples.
        accepted: `(n,)` decisions.
        rates: `(C,)` false reject rate, false accept rate and error.
        confidence: Confidence level.
    """
    variances, n_samples = _variances(pairs, accepted, rates)
    found = {}
    for name, variance in zip(RATES, variances, strict=True):
        trials = n_samples if name == "false_accept_rate" else np.maximum(n_samples / 2, 1)
        found[name] = wilson(rates[name], variance, trials, confidence)
    return {**found, "balanced_accuracy": 1 - found["error"][:, ::-1]}


def mean_interval(
    pairs: Pairs, accepted: np.ndarray, rates: dict[str, np.ndarray], chosen: np.ndarray, confidence: float
) -> dict[str, np.ndarray]:
    """Intervals of the mean rates of the chosen classes `(K,)`, `(2,)` each, over other samples of these classes."""
    variances, n_samples = _variances(pairs, accepted, rates)
    found = {}
    for name, variance in zip(RATES, variances, strict=True):
        known = chosen[np.isfinite(rates[name][chosen])]
        if not known.size:
            continue
        mean = rates[name][known].mean(keepdims=True)
        total = variance[known].sum(keepdims=True) / len(known) ** 2
        found[name] = wilson(mean, total, n_samples[known].sum(keepdims=True) / 2, confidence)[0]
    return {**found, **({"balanced_accuracy": 1 - found["error"][::-1]} if "error" in found else {})}


def _variances(
    pairs: Pairs, accepted: np.ndarray, rates: dict[str, np.ndarray]
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Variances of the three rates, `(C,)` each, and numbers of samples of the classes."""
    n_classes, n_samples = len(pairs.classes), int(pairs.samples.max()) + 1
    class_of = np.zeros(n_samples, np.int64)
    class_of[pairs.samples] = pairs.sides
    n_of_class = np.bincount(class_of[np.unique(pairs.samples)], minlength=n_classes)

    left, right = pairs.samples[pairs.similar].T
    code, weight = pairs.sides[pairs.similar, 0], pairs.weight[pairs.similar]
    share = weight / np.bincount(code, weight, n_classes)[code]
    influence = share * (~accepted[pairs.similar] - rates["false_reject_rate"][code])
    of_rejects = np.bincount(left, influence, n_samples) + np.bincount(right, influence, n_samples)
    twice = _combined(left, right, influence, code, n_classes)  # is part of the squares of both samples

    position, code = pairs.by_class()
    different = ~pairs.similar[position]
    position, code = position[different], code[different]
    side = (code != pairs.sides[position, 0]).astype(np.int64)
    weight = pairs.weight[position]
    share = weight / np.bincount(code, weight, n_classes)[code]
    influence = share * (accepted[position] - rates["false_accept_rate"][code])
    of_accepts = np.bincount(pairs.samples[position, side], influence, n_samples)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(class_of, values**2, n_classes)

    correction = n_of_class / np.maximum(n_of_class - 1, 1)
    rejects, both = total(of_rejects), total((of_rejects + of_accepts) / 2)
    return (
        np.maximum(rejects - twice, rejects / 2) * correction,
        total(of_accepts) * correction,
        np.maximum(both - twice / 4, both / 2) * correction,
    ), n_of_class


def _combined(a: np.ndarray, b: np.ndarray, influence: np.ndarray, code: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum of the squared influences of all combinations of two samples, by class."""
    key = np.minimum(a, b).astype(np.int64) * (int(max(a.max(), b.max())) + 1) + np.maximum(a, b)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return np.bincount(code[first], np.bincount(which, influence) ** 2, n_classes)
