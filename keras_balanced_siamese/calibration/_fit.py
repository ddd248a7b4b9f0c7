"""Slope and threshold of a verifier, fitted to the distances of pairs."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import fraction
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.calibration._logistic import NOT_DISTANCES, fit_logistic, log_odds
from keras_balanced_siamese.calibration._operating_point import check_operating_point, find_threshold, float32_threshold
from keras_balanced_siamese.evaluation import Pairs, check_pairs, curves

FEW = 10  # small distances that are enough to recognise rounded ones


class Fit(NamedTuple):
    """A fitted verifier and the pairs it was fitted to."""

    pairs: Pairs  # distances rounded to float32
    operating_point: Any
    prior: float  # share of similar pairs for which the thresholds hold
    slope: float
    threshold: float  # of the operating point, in float32
    posterior_threshold: float


def fit_pairs(
    distances: ArrayLike,
    similar: ArrayLike,
    operating_point: Any = "eer",
    prior: float | None = None,
    sample_weight: ArrayLike | None = None,
) -> Fit:
    """Check the arguments of `calibrate`, then fit the slope and find the threshold.

    Raises:
        ValueError: See `calibrate`.
    """
    operating_point = check_operating_point(operating_point)
    if prior is not None and not 0 < fraction("prior", prior) < 1:
        raise ValueError(f"`prior` must lie between 0 and 1. Received: prior={prior!r}")
    pairs = _as_float32(check_pairs(distances, similar, sample_weight=sample_weight))
    _check_distances(pairs, distances)
    slope, threshold = fit_logistic(pairs.distance, pairs.similar, pairs.weight)
    sample_prior = float(pairs.weight[pairs.similar].sum() / pairs.weight.sum())
    share = sample_prior if prior is None else float(prior)
    posterior_threshold = threshold + (log_odds(share) - log_odds(sample_prior)) / slope
    if operating_point == "posterior":
        threshold = posterior_threshold
    else:
        points = curves(pairs.distance, pairs.similar, pairs.weight)
        threshold = find_threshold(points, operating_point, share, int((~pairs.similar).sum()))
    threshold = float32_threshold(threshold, pairs.distance)
    return Fit(pairs, operating_point, share, slope, threshold, posterior_threshold)


def _as_float32(pairs: Pairs) -> Pairs:
    """Round the distances to float32, the precision of the layer.

    Raises:
        ValueError: If a rounded distance is infinite, or all are equal.
    """
    with np.errstate(over="ignore"):
        distance = pairs.distance.astype("float32").astype("float64")
    n_infinite = int((~np.isfinite(distance)).sum())
    if n_infinite:
        raise ValueError(
            "`distances` must be finite in float32 to fit a slope: remove such pairs, or replace their distances by "
            f"the largest of the others. Received: {n_infinite:,} infinite or above 3.4e38 among {len(distance):,}"
        )
    if distance[0] == distance[-1]:
        raise ValueError(
            "All distances are equal, so no threshold separates the pairs: the embeddings have collapsed. "
            f"Received: {len(distance):,} times {distance[0] + 0.0:g} in float32"
        )
    return pairs._replace(distance=distance)


def _check_distances(pairs: Pairs, given: ArrayLike) -> None:
    """Raise for negated probabilities or similarities; warn if they are probabilities that were subtracted from 1.

    `1 - p` in float32 is a multiple of 2 ** -24, which small distances are not.
    """
    distance = pairs.distance
    middle = float(np.median(distance[pairs.similar]))
    if middle < 0:
        raise ValueError(
            f"`distances` must not be negative: a layer after a distance would accept nothing. {NOT_DISTANCES} "
            f"Received: the median {middle:.4g} for similar pairs"
        )
    small = distance[(distance > 0) & (distance < 1 / 8)]
    whole = small * 2.0**24 == np.round(small * 2.0**24)
    single = getattr(given, "dtype", None) == np.float32
    if single and distance[-1] <= 1 and len(small) >= FEW and whole.all() and not (small * 2.0**12 % 1 == 0).all():
        warnings.warn(
            "The distances look like 1 - p of probabilities p. A layer that is fitted to them is correct only for "
            "1 - p, not for a distance. Pass the distances that the probabilities were computed from, as "
            "`siamese_model(encoder).predict` returns them. If they are 1 - cosine, pass them in float64.",
            stacklevel=4,
        )
