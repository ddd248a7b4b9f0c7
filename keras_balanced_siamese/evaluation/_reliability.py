"""Calibration errors of probabilities."""

from typing import Any

import numpy as np

N_BINS = 15


def prior_weights(similar: np.ndarray, weight: np.ndarray, prior: float | None) -> np.ndarray:
    """Weights of sum 1 in which similar pairs have the share `prior`; `None` keeps their share in the data."""
    total = weight[similar].sum(), weight[~similar].sum()
    share = total[0] / (total[0] + total[1]) if prior is None else prior
    return weight * np.where(similar, share / total[0], (1 - share) / total[1])


def reliability(probability: np.ndarray, similar: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    """Calibration error of probabilities.

    ```
    expected_calibration_error = sum over bins of  share_b * |mean probability_b - share of similar pairs_b|
    ```

    over 15 bins of equal weight. Equal probabilities share one bin.

    Args:
        probability: `(n,)` probabilities.
        similar: `(n,)` booleans.
        weight: `(n,)` weights of sum 1.

    Returns:
        `expected_calibration_error`, `brier` (mean squared error), `log_loss` (in nats), and `bins`: lists of the mean
        `probability`, the share of similar pairs `similar`, the share of the weight `weight` and the number of pairs
        `count` of each bin.
    """
    order = np.argsort(probability, kind="stable")
    p, s, w = probability[order], similar[order].astype(np.float64), weight[order]
    first = np.searchsorted(p, p)  # start of each run of equal probabilities
    running = np.cumsum(w) - w
    place = np.minimum((running[first] * N_BINS / w.sum()).astype(np.int64), N_BINS - 1)
    total = np.bincount(place, w, N_BINS)
    used = total > 0
    mean = np.bincount(place, w * p, N_BINS)[used] / total[used]
    share = np.bincount(place, w * s, N_BINS)[used] / total[used]
    likelihood = np.clip(np.where(s > 0, p, 1 - p), 1e-15, 1)
    return {
        "expected_calibration_error": float(np.sum(total[used] * np.abs(mean - share))),
        "brier": float(np.sum(w * (p - s) ** 2)),
        "log_loss": float(-np.sum(w * np.log(likelihood))),
        "bins": {
            "probability": mean.tolist(),
            "similar": share.tolist(),
            "weight": total[used].tolist(),
            "count": np.bincount(place, minlength=N_BINS)[used].tolist(),
        },
    }


def sigmoid(x: np.ndarray) -> np.ndarray:
    """`1 / (1 + exp(-x))` without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)
