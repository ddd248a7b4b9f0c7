"""Distances and truth -> a layer that turns distances into decisions and probabilities."""

from typing import Any

import numpy as np

from keras_balanced_siamese._backend import to_numpy
from keras_balanced_siamese._checks import fraction
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.calibration._logistic import fit_logistic, log_odds
from keras_balanced_siamese.calibration._operating_point import check_operating_point, find_threshold, float32_threshold
from keras_balanced_siamese.evaluation import check_pairs, curves, fingerprint, prior_weights, reliability, sigmoid
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

    The threshold is that of the operating point on these pairs, their distances read as float32. The slope is that of
    the logistic regression of `similar` on the distances. A small penalty keeps it finite where they tell perfectly,
    and a distance far from all others pulls no more than one at ten times the typical spread.

    Put the layer behind the distance and save the model: encoder, distance, threshold, prior and operating point are
    then in one file, and `p >= 0.5` is the decision.

    With `operating_point="posterior"` the probabilities are those of the logistic regression itself, moved from the
    share of similar pairs here, `drawn`, to the share `prior` where the model will be used:

    ```
    threshold + log(prior / (1 - prior) * (1 - drawn) / drawn) / slope
    ```

    Every other operating point moves them, so that 1/2 is where the decision changes:

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
        sample_weight: `(n,)` how much each pair counts; those of weight 0 are left out.
        name: Name of the layer.

    Returns:
        A `DistanceToProbability` that is not trainable. Its `calibration` tells how it came about: `operating_point`,
        `prior`, `posterior_threshold` (the threshold of `"posterior"`), `false_accept_rate` and `false_reject_rate` of
        the layer's own decisions, `n_similar`, `n_different`, `expected_calibration_error`, `brier` and `log_loss` of
        the posterior on these pairs, and `pairs`: number, mean and deviation of the distances of either kind.

    Raises:
        ValueError: If the input is not as described, all distances are equal, they are larger for similar pairs, their
            scale is beyond float32, or there are too few different pairs for the false accept rate.

    Examples:
        >>> layer = calibrate([0.1, 0.2, 0.4, 0.9, 0.3, 0.8, 1.0, 1.2], [1, 1, 1, 1, 0, 0, 0, 0])
        >>> round(layer.threshold, 3)
        0.6
        >>> [round(float(p), 2) for p in np.asarray(layer(np.array([0.0, 0.6, 1.2])))]
        [0.87, 0.5, 0.13]

    References:
        Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
        Saerens, Latinne, Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities", 2002.
        Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    """
    operating_point = check_operating_point(operating_point)
    if prior is not None and not 0 < fraction("prior", prior) < 1:
        raise ValueError(f"`prior` must lie between 0 and 1. Received: prior={prior!r}")
    pairs = _as_float32(check_pairs(distances, similar, sample_weight=sample_weight))
    slope, threshold = fit_logistic(pairs.distance, pairs.similar, pairs.weight)
    sample_prior = float(pairs.weight[pairs.similar].sum() / pairs.weight.sum())
    share = sample_prior if prior is None else float(prior)
    posterior_threshold = threshold + (log_odds(share) - log_odds(sample_prior)) / slope
    points = curves(pairs.distance, pairs.similar, pairs.weight)
    n_similar, n_different = int(pairs.similar.sum()), int((~pairs.similar).sum())
    if operating_point == "posterior":
        threshold = posterior_threshold
    else:
        threshold = find_threshold(points, operating_point, share, n_different)
    threshold = float32_threshold(threshold, pairs.distance)
    accepted = _decisions(DistanceToProbability(slope, threshold), pairs.distance)
    quality = reliability(
        sigmoid(slope * (posterior_threshold - pairs.distance)),
        pairs.similar,
        prior_weights(pairs.similar, pairs.weight, prior),
    )
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


def _as_float32(pairs: Any) -> Any:
    """The pairs with their distances as the layer reads them.

    Raises:
        ValueError: If a distance is infinite there, or all are equal.
    """
    with np.errstate(over="ignore"):
        distance = pairs.distance.astype("float32").astype("float64")
    endless = int((~np.isfinite(distance)).sum())
    if endless:
        raise ValueError(
            "`distances` must be finite in float32 to fit a slope: leave such pairs out, or give them the largest "
            f"distance of the others. Received: {endless:,} infinite or above 3.4e38 among {len(distance):,}"
        )
    if distance[0] == distance[-1]:
        raise ValueError(
            "All distances are equal, so no threshold tells anything: the embeddings have collapsed. "
            f"Received: {len(distance):,} times {distance[0] + 0.0:g} in float32"
        )
    return pairs._replace(distance=distance)


def _decisions(layer: DistanceToProbability, distance: np.ndarray) -> np.ndarray:
    """Which distances the layer itself accepts, `(n,)` booleans.

    Raises:
        ValueError: If it accepts others than the threshold says, by more than rounding.
    """
    accepted = to_numpy(layer(distance.astype("float32"))) >= 0.5
    gap = np.abs(distance - layer.threshold)
    clear = gap > 1e-6 * (abs(layer.threshold) + np.median(gap))  # not a matter of rounding
    wrong = clear & (accepted != (distance <= layer.threshold))
    if wrong.any():
        raise ValueError(
            "In float32 the probability is 1/2 on either side of the threshold: the distances hardly tell similar from "
            f"different pairs, or some are far from all others. Received: {int(wrong.sum()):,} of {len(distance):,} "
            f"pairs with another decision, slope {layer.slope:.3g}, threshold {layer.threshold:.3g}"
        )
    return accepted
