"""Logistic regression of `similar` on the distances."""

import numpy as np

from keras_balanced_siamese.evaluation import sigmoid

NOT_DISTANCES = (
    "If they are probabilities, pass the distances that they were computed from, as `siamese_model(encoder).predict` "
    "returns them. If they are cosines, pass 1 - cosine, as `CosineDistance` returns it."
)

LARGEST_UNIT = 1e30  # slope and threshold of larger units overflow in float32
FARTHEST = 10.0  # clip distances this many units from the centre
PENALTY = 0.01  # on the squared slope: a normal prior with a standard deviation of 10 per unit


def fit_logistic(distance: np.ndarray, similar: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and threshold of `sigmoid(slope * (threshold - distance))`, by penalised maximum likelihood.

    Newton's method maximises the log-likelihood minus `PENALTY / 2 * slope ** 2`, with the slope per unit of distance.
    The unit is made of medians and quartiles, so single distances hardly change it.
    """
    centre, unit = _centre_and_unit(distance, similar)
    x = np.clip((centre - distance) / unit, -FARTHEST, FARTHEST)
    x = np.stack([np.ones(len(x)), x], axis=1)  # (n, 2)
    beta = _newton(x, similar.astype("float64"), weight / weight.mean())
    if beta is None:
        raise ValueError(
            "The logistic regression has not converged: check the distances and the sample weights for extreme values. "
            f"Received: {len(x):,} distances from {distance[0]:.4g} to {distance[-1]:.4g}"
        )
    if not beta[1] > 0:
        raise ValueError(
            f"The distances are not smaller for similar pairs, so no threshold separates the pairs. {NOT_DISTANCES} "
            "Otherwise check that 1 means similar. Received: mean distance "
            f"{distance[similar].mean():.4g} of similar and {distance[~similar].mean():.4g} of different pairs"
        )
    return float(beta[1] / unit), float(centre + beta[0] / beta[1] * unit)


def _centre_and_unit(distance: np.ndarray, similar: np.ndarray) -> tuple[float, float]:
    """Location and scale of the distances: the middle of the medians of both kinds, and a robust spread."""
    medians = [np.median(distance[kind]) for kind in (similar, ~similar)]
    unit = abs(medians[0] - medians[1]) + sum(_quartile_range(distance[kind]) for kind in (similar, ~similar))
    unit = unit or float(distance.std())
    if not 1 / LARGEST_UNIT <= unit <= LARGEST_UNIT:
        raise ValueError(
            "The distances are too small or too large for a layer in float32: multiply them by a constant, in the "
            f"model too, so that they are near 1. Received: distances that differ by about {unit:.3g}"
        )
    return sum(medians) / 2, unit


def _newton(x: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Coefficients `(2,)` of the logistic regression, or `None` without convergence."""
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
        step, current = np.linalg.solve(hessian, gradient), loss(beta)
        if gradient @ step <= 1e-12 * len(x):  # twice the remaining decrease
            return beta
        beta = beta - next((step / 2**k for k in range(40) if loss(beta - step / 2**k) < current), 0 * step)
    return None


def _quartile_range(distance: np.ndarray) -> float:
    """Difference of the upper and the lower quartile."""
    low, high = np.quantile(distance, [0.25, 0.75])
    return float(high - low)


def log_odds(share: float) -> float:
    """`log(share / (1 - share))`."""
    return float(np.log(share) - np.log1p(-share))
