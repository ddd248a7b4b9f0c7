"""A layer that turns distances into decisions and probabilities, fitted to pairs."""

from typing import Any

import numpy as np

from keras_balanced_siamese._backend import to_numpy
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.calibration._fit import Fit, fit_pairs
from keras_balanced_siamese.evaluation import fingerprint, prior_weights, reliability, sigmoid
from keras_balanced_siamese.layers.probability import DistanceToProbability


def calibrate(
    distances: ArrayLike,
    similar: ArrayLike,
    *,
    operating_point: Any = "eer",
    prior: float | None = None,
    sample_weight: ArrayLike | None = None,
    name: str = "probability",
) -> DistanceToProbability:
    """Fit the output layer of a verifier: a sigmoid of the distance that is 1/2 at the chosen threshold.

    ```
    p = sigmoid(slope * (threshold - d))
    ```

    The threshold is that of the operating point on these pairs, with distances rounded to float32. The slope is that of
    a logistic regression of `similar` on the distances. A small penalty keeps it finite for separable distances. For
    this fit distances are clipped at ten times their typical spread, which limits the influence of outliers.

    Place the layer after the distance and save the model: encoder, distance, threshold, prior and operating point are
    then in one file, and `p >= 0.5` is the decision.

    With `operating_point="posterior"` the probabilities are those of the logistic regression itself, corrected from the
    share of similar pairs in the data, `sample_prior`, to the share `prior` at deployment:

    ```
    threshold + log(prior / (1 - prior) * (1 - sample_prior) / sample_prior) / slope
    ```

    Every other operating point shifts the probabilities, so that they are 1/2 at its threshold:

    | `operating_point` | threshold |
    |---|---|
    | `"eer"` | equal false accept and false reject rates |
    | `"balanced_accuracy"` | largest balanced accuracy |
    | `"f1"` | largest F1 score of "similar", for the share `prior` |
    | `{"far": 1e-3}` | largest distance with a false accept rate of at most 0.001 |
    | `{"cost": (10, 1)}` | least expected cost, if a miss costs ten false accepts, for the share `prior` |
    | `"posterior"` | similar and different are equally likely, for the share `prior` |

    Fit on validation pairs and evaluate on others: `evaluate_pairs(..., threshold=layer)` warns about the same pairs.

    Args:
        distances: `(n,)` or `(n, 1)` distances, small for similar pairs, of pairs that the model was not trained on.
            They must be on the scale of the distance before the layer. If the model ends in a probability, these are
            the distances of `siamese_model(encoder)`, not `1 - probability`.
        similar: `(n,)` or `(n, 1)`: 1 for pairs of the same class, 0 for the others.
        operating_point: See above.
        prior: Share of similar pairs at deployment. `None` means the share in the data. Balanced validation pairs are
            half similar; among all pairs of 1,000 people hardly any are.
        sample_weight: `(n,)` weights of the pairs; pairs of weight 0 are left out.
        name: Name of the layer.

    Returns:
        A `DistanceToProbability` that is not trainable. Its `calibration` is a record of the fit: `operating_point`,
        `prior`, `posterior_threshold` (the threshold of `"posterior"`), `false_accept_rate` and `false_reject_rate` of
        the layer's own decisions, `n_similar`, `n_different`, `expected_calibration_error`, `brier` and `log_loss` of
        the posterior on these pairs, and `pairs`: number, mean and standard deviation of the distances of similar and
        of different pairs.

    Raises:
        ValueError: If the input is not as described, distances are negative or all equal, similar pairs have the larger
            distances, the scale of the distances is beyond float32, or there are too few different pairs for the false
            accept rate.

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
    fit = fit_pairs(distances, similar, operating_point, prior, sample_weight)
    return DistanceToProbability(fit.slope, fit.threshold, calibration=_record(fit, prior), trainable=False, name=name)


def _record(fit: Fit, prior: float | None) -> dict[str, Any]:
    """The entries of `calibration`, from the decisions of the layer itself."""
    pairs, similar = fit.pairs, fit.pairs.similar
    layer = DistanceToProbability(fit.slope, fit.threshold, {"operating_point": fit.operating_point})
    accepted = _decisions(layer, pairs.distance)
    quality = reliability(
        sigmoid(fit.slope * (fit.posterior_threshold - pairs.distance)),
        similar,
        prior_weights(similar, pairs.weight, prior),
    )
    return {
        "operating_point": fit.operating_point,
        "prior": fit.prior,
        "posterior_threshold": fit.posterior_threshold,
        "false_accept_rate": float(np.average(accepted[~similar], weights=pairs.weight[~similar])),
        "false_reject_rate": float(np.average(~accepted[similar], weights=pairs.weight[similar])),
        "n_similar": int(similar.sum()),
        "n_different": int((~similar).sum()),
        **{name: quality[name] for name in ("expected_calibration_error", "brier", "log_loss")},
        "pairs": fingerprint(pairs),
    }


def _decisions(layer: DistanceToProbability, distance: np.ndarray) -> np.ndarray:
    """Decisions of the layer itself, `(n,)` booleans that are true for accepted distances.

    Raises:
        ValueError: If they differ from those of the threshold by more than rounding.
    """
    accepted = to_numpy(layer(distance.astype("float32"))) >= 0.5
    gap = np.abs(distance - layer.threshold)
    clear = gap > 1e-6 * (abs(layer.threshold) + np.median(gap))  # beyond rounding
    wrong = clear & (accepted != (distance <= layer.threshold))
    if wrong.any():
        raise ValueError(
            "In float32 the probability is 1/2 on both sides of the threshold: the distances hardly separate similar "
            f"from different pairs, or some are far from all others. Received: {int(wrong.sum()):,} of "
            f"{len(distance):,} pairs with another decision, slope {layer.slope:.3g}, threshold {layer.threshold:.3g}"
        )
    return accepted
