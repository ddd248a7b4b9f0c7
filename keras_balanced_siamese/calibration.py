"""Distances and truth -> a layer that turns distances into decisions and probabilities."""

from typing import Any

import numpy as np

from keras_balanced_siamese._checks import fraction
from keras_balanced_siamese._curves import curves
from keras_balanced_siamese._operating_point import check_operating_point, find_threshold
from keras_balanced_siamese._reliability import prior_weights, reliability, sigmoid
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.evaluation import check_pairs, fingerprint
from keras_balanced_siamese.layers import DistanceToProbability


def calibrate(
    distances: ArrayLike,
    similar: ArrayLike,
    *,
    operating_point: Any = "eer",
    prior: float | None = None,
    sample_weight: ArrayLike | None = None,
    name: str = "probability",
) -> DistanceToProbability:
    """Fit the layer that ends a verifier: 1/2 at the chosen threshold, steeper the better distances tell.

    ```
    p = sigmoid(slope * (threshold - d))
    ```

    The threshold is that of the operating point on these pairs. The slope is that of the logistic regression of
    `similar` on the distances, with Platt's targets, so that it stays finite where the distances tell perfectly.
    Put the layer behind the distance and save the model: encoder, distance, threshold, prior and operating point are
    then in one file, and `p >= 0.5` is the decision.

    With `operating_point="posterior"` the probabilities are those of the logistic regression itself, for pairs of which
    the share `prior` is similar. Every other operating point moves them, so that 1/2 is where the decision changes:

    | `operating_point` | threshold |
    |---|---|
    | `"eer"` | where false accept and false reject rate are equal |
    | `"balanced_accuracy"` | of the largest balanced accuracy |
    | `"f1"` | of the largest F1 score of "similar", for the share `prior` |
    | `{"far": 1e-3}` | the largest distance with a false accept rate of at most 0.001 |
    | `{"cost": (10, 1)}` | of the least expected cost, a miss costing ten false accepts, for the share `prior` |
    | `"posterior"` | where similar and different are equally likely, for the share `prior` |

    Fit on validation pairs and judge on others: `evaluate_pairs(..., threshold=layer)` warns if it is given the same.

    Args:
        distances: `(n,)` or `(n, 1)`: small for similar pairs, from pairs that the model was not trained on.
        similar: `(n,)` or `(n, 1)`: 1 for pairs of one class, 0 for the others.
        operating_point: See above.
        prior: Share of similar pairs where the model will be used. `None` means as here. Balanced validation pairs are
            half similar; among all pairs of 1,000 people hardly any are.
        sample_weight: `(n,)` how much each pair counts.
        name: Name of the layer.

    Returns:
        A `DistanceToProbability` that is not trainable. Its `calibration` tells how it came about: `operating_point`,
        `prior`, `posterior_threshold` (the threshold of `"posterior"`), `false_accept_rate` and `false_reject_rate` at
        the threshold, `n_similar`, `n_different`, and `expected_calibration_error`, `brier` and `log_loss` of the
        posterior on these pairs.

    Raises:
        ValueError: If the input is not as described, all distances are equal, they are larger for similar pairs, or
            there are too few different pairs for the false accept rate.

    Examples:
        >>> layer = calibrate([0.1, 0.2, 0.4, 0.9, 0.3, 0.8, 1.0, 1.2], [1, 1, 1, 1, 0, 0, 0, 0])
        >>> round(layer.threshold, 3)
        0.6
        >>> [round(float(p), 2) for p in np.asarray(layer(np.array([0.0, 0.6, 1.2])))]
        [0.77, 0.5, 0.23]

    References:
        Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
        Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    operating_point = check_operating_point(operating_point)
    if prior is not None and not 0 < fraction("prior", prior) < 1:
        raise ValueError(f"`prior` must lie between 0 and 1. Received: prior={prior!r}")
    pairs = check_pairs(distances, similar, sample_weight=sample_weight)
    if not np.isfinite(pairs.distance).all():
        raise ValueError("`distances` must be finite to fit a slope. Received: infinite distances")
    if pairs.distance[0] == pairs.distance[-1]:
        raise ValueError(
            "All distances are equal, so no threshold tells anything: the embeddings have collapsed. "
            f"Received: {len(pairs.distance)} times {pairs.distance[0]:g}"
        )
    weight = prior_weights(pairs.similar, pairs.weight, prior)
    slope, posterior_threshold = _fit_logistic(pairs.distance, pairs.similar, weight)
    points = curves(pairs.distance, pairs.similar, pairs.weight)
    n_similar, n_different = int(pairs.similar.sum()), int((~pairs.similar).sum())
    share = float(weight[pairs.similar].sum()) if prior is None else float(prior)
    if operating_point == "posterior":
        threshold = posterior_threshold
    else:
        threshold = find_threshold(points, operating_point, share, n_different)
    accepted = pairs.distance <= threshold
    probability = sigmoid(slope * (posterior_threshold - pairs.distance))
    quality = reliability(probability, pairs.similar, weight)
    record = {
        "operating_point": operating_point,
        "prior": share,
        "posterior_threshold": posterior_threshold,
        "false_accept_rate": float(np.average(accepted[~pairs.similar], weights=pairs.weight[~pairs.similar])),
        "false_reject_rate": float(np.average(~accepted[pairs.similar], weights=pairs.weight[pairs.similar])),
        "n_similar": n_similar,
        "n_different": n_different,
        **{name: quality[name] for name in ("expected_calibration_error", "brier", "log_loss")},
        "pairs": fingerprint(pairs),
    }
    return DistanceToProbability(slope, threshold, calibration=record, trainable=False, name=name)


def _fit_logistic(distance: np.ndarray, similar: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and threshold of `sigmoid(slope * (threshold - distance))` with the largest likelihood, by Newton's method.

    The targets are Platt's: `(n + 1) / (n + 2)` for similar pairs and `1 / (n + 2)` for different ones, `n` of them.
    """
    n_similar, n_different = similar.sum(), (~similar).sum()
    target = np.where(similar, (n_similar + 1) / (n_similar + 2), 1 / (n_different + 2))
    centre, scale = distance.mean(), distance.std()
    x = np.stack([np.ones(len(distance)), (centre - distance) / scale], axis=1)
    share = weight @ target / weight.sum()
    beta = np.array([np.log(share / (1 - share)), 0.0])

    def loss(beta: np.ndarray) -> float:
        logit = x @ beta
        return float(weight @ (np.logaddexp(0, logit) - target * logit))

    for _ in range(100):
        p = sigmoid(x @ beta)
        gradient = x.T @ (weight * (p - target))
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + 1e-12 * np.eye(2)
        step, now = np.linalg.solve(hessian, gradient), loss(beta)
        shorter = next((step / 2**k for k in range(40) if loss(beta - step / 2**k) <= now), 0 * step)
        beta = beta - shorter
        if np.abs(shorter).max() < 1e-10:
            break
    if not beta[1] > 0:
        raise ValueError(
            "The distances are not smaller for similar pairs, so no threshold on them makes sense. Pass probabilities "
            "and similarities with a minus sign; check that 1 means similar. Received: mean distance "
            f"{distance[similar].mean():.4g} of similar and {distance[~similar].mean():.4g} of different pairs"
        )
    return float(beta[1] / scale), float(centre + beta[0] / beta[1] * scale)
