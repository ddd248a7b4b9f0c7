"""Strategies: the wanted factors of the class weights, before the limits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese.class_weights import SCHEMES

FLOOR = 0.05  # share of the mean error that is added, so that a class without errors keeps a weight
TAU = {"difficulty": 0.25}  # default exponent, chosen by measurement; 1 for the other strategies
DYNAMIC = "dynamic"


class ClassStatistics(NamedTuple):
    """The input of a strategy, for the classes whose error is known."""

    errors: np.ndarray  # (C,) smoothed
    factors: np.ndarray  # (C,) in use, relative to the starting weights
    start: np.ndarray  # (C,) starting weights
    counts: np.ndarray  # (C,) items in an epoch, at least 1
    neutral: np.ndarray  # (C,) factors that correct class frequency


def neutral_factors(counts: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the factors `(C,)` that correct class frequency, from the items of each class in an epoch.

    They are 1 if the starting weights differ, since such weights are taken as the correction.
    """
    if not np.allclose(start, start[0], rtol=1e-6):
        return np.ones_like(start)
    return balancing_factors(np.maximum(counts, 1.0))  # a rare class may be missing from an epoch


def balancing_factors(shares: np.ndarray) -> np.ndarray:
    """Return the factors `(C,)` that make all shares equal; 1 for a share of 0."""
    return np.divide(shares.mean(), shares, out=np.ones_like(shares), where=shares > 0)


def difficulty(statistics: ClassStatistics, tau: float) -> np.ndarray:
    """Neutral factor times `(error + floor) ** tau`, with a floor of 5 % of the mean error."""
    return statistics.neutral * _power(statistics.errors + FLOOR * statistics.errors.mean(), tau)


def cdb(statistics: ClassStatistics, tau: float | str) -> np.ndarray:
    """`error ** tau` (Sinha et al., ACCV 2020); a dynamic tau grows with the imbalance of the accuracies.

    ```
    tau = 2 * sigmoid(max accuracy / (min accuracy + 0.01) - 1)
    ```
    """
    if tau == DYNAMIC:
        accuracy = 1.0 - np.clip(statistics.errors, 0.0, 1.0)
        tau = 2.0 / (1.0 + np.exp(1.0 - accuracy.max() / (accuracy.min() + 0.01)))
    return _power(statistics.errors, float(tau))


def group_dro(statistics: ClassStatistics, tau: float) -> np.ndarray:
    """Current factor times `exp(tau * error / mean error)`, once per epoch (Sagawa et al., ICLR 2020)."""
    scale = statistics.errors.mean()
    if not scale > 0:
        return statistics.factors
    exponent = tau * statistics.errors / scale
    return statistics.factors * np.exp(exponent - exponent.max())


def deferred(statistics: ClassStatistics, _tau: float) -> np.ndarray:
    """Weights by the effective number of samples, (1 - b) / (1 - b ** n), b = 0.9999 (Cao et al., NeurIPS 2019)."""
    wanted = SCHEMES["effective"](statistics.counts.astype(np.float64), 0.9999)
    return np.divide(wanted, statistics.start, out=statistics.factors.copy(), where=statistics.start > 0)


STRATEGIES: dict[str, Callable[[ClassStatistics, Any], np.ndarray]] = {
    "difficulty": difficulty,
    "cdb": cdb,
    "group_dro": group_dro,
    "deferred": deferred,
}


def misfit(strategy: str, tau: float | str, errors: np.ndarray) -> str | None:
    """Return why a strategy cannot use the errors `(C,)`, or `None` if it can."""
    if strategy == "deferred":  # does not use errors
        return None
    if errors.min() < 0:
        return "there are errors below 0"
    if errors.max() > 1 and tau == DYNAMIC:
        return "tau='dynamic' needs errors between 0 and 1, but some are larger"
    return None


def _power(values: np.ndarray, tau: float) -> np.ndarray:
    """Return `(values / max) ** tau`, which cannot overflow; 1 if no value is above 0."""
    largest = values.max()
    return (values / largest) ** tau if largest > 0 else np.ones_like(values)
