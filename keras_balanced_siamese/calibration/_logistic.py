"""Logistic regression of the truth on the distances."""

import numpy as np

from keras_balanced_siamese.evaluation import sigmoid

LARGEST_UNIT = 1e30  # with which float32 can hold slope and threshold

FARTHEST = 10.0  # units from the middle at which a distance pulls no more at the slope

PENALTY = 0.01  # of the squared slope: as if slopes were normal with a deviation of 10 per unit


def fit_logistic(distance: np.ndarray, similar: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and threshold of `sigmoid(slope * (threshold - distance))`, by Newton's method on the log-likelihood.

    `PENALTY / 2 * slope ** 2` is taken off it, with the slope in a unit that single distances cannot stretch.
    """
    medians = [np.median(distance[kind]) for kind in (similar, ~similar)]
    unit = abs(medians[0] - medians[1]) + sum(_quartile_range(distance[kind]) for kind in (similar, ~similar))
    unit = unit or float(distance.std())
    if not 1 / LARGEST_UNIT <= unit <= LARGEST_UNIT:
        raise ValueError(
            "The distances are too small or too large for a layer in float32: multiply them, in the model too, so that "
            f"they come near 1. Received: distances that differ by about {unit:.3g}"
        )
    centre = sum(medians) / 2
    x = np.clip((centre - distance) / unit, -FARTHEST, FARTHEST)
    x = np.stack([np.ones(len(x)), x], axis=1)  # (n, 2)
    weight, target = weight / weight.mean(), similar.astype("float64")
    ridge = np.array([0.0, PENALTY])
    share = weight @ target / weight.sum()
    beta = np.array([log_odds(share), 0.0])

    def loss(beta: np.ndarray) -> float:
        logit = x @ beta
        return float(weight @ (np.logaddexp(0, logit) - target * logit) + ridge @ beta**2 / 2)

    for _ in range(100):
        p = sigmoid(x @ beta)
        gradient = x.T @ (weight * (p - target)) + ridge * beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step, now = np.linalg.solve(hessian, gradient), loss(beta)
        if gradient @ step <= 1e-12 * len(x):  # twice what is left to gain
            break
        beta = beta - next((step / 2**k for k in range(40) if loss(beta - step / 2**k) < now), 0 * step)
    else:
        raise ValueError(
            "The logistic regression has not converged: check the distances and the sample weights for extreme values. "
            f"Received: {len(x):,} distances from {distance[0]:.4g} to {distance[-1]:.4g}"
        )
    if not beta[1] > 0:
        raise ValueError(
            "The distances are not smaller for similar pairs, so no threshold on them makes sense. Pass probabilities "
            "and similarities with a minus sign; check that 1 means similar. Received: mean distance "
            f"{distance[similar].mean():.4g} of similar and {distance[~similar].mean():.4g} of different pairs"
        )
    return float(beta[1] / unit), float(centre + beta[0] / beta[1] * unit)


def _quartile_range(distance: np.ndarray) -> float:
    low, high = np.quantile(distance, [0.25, 0.75])
    return float(high - low)


def log_odds(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
