"""Confidence intervals by resampling classes or samples.

Pairs that share a class or a sample are not independent, so these units are resampled, not pairs. A resample draws U of
the U units with replacement. If the unit a is drawn m_a times, the weight of a pair is multiplied by

    1 + (m_a - 1) + (m_b - 1)   for a pair of two units,      1 + (m_a - 1) = m_a   for a pair within one unit

which is the first-order part of m_a * m_b, so a resample is a matrix product on a grid of thresholds.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation._curves import Curves
from keras_balanced_siamese.evaluation._pair_data import Pairs

MAX_UNITS = 2000  # more units are merged at random: an equivalent estimate in bounded memory
STILL = 1e-6  # deviation below which a figure is constant but for float32 rounding
Interval = tuple[float, float]


def grid_of(points: Curves, threshold: float, fars: tuple[float, ...]) -> np.ndarray:
    """Up to about 1,300 ascending thresholds that describe a curve, denser at its ends and near `fars`."""
    tar, far = points.rates()
    ends = np.geomspace(1e-6, 1, 150)
    rates = np.concatenate([np.linspace(0, 1, 250), ends, *(np.linspace(0.2 * f, 3 * f, 60) for f in fars)])
    places = [np.searchsorted(rate, share) for rate in (tar, far) for share in (rates, 1 - ends)]
    places = np.unique(np.clip(np.concatenate(places), 1, len(far) - 1))
    return np.unique(np.append(points.threshold[places], [threshold, points.threshold[-1]]))


def resample_curves(
    pairs: Pairs, units: np.ndarray, grid: np.ndarray, threshold: float, n_resamples: int, rng: np.random.Generator
) -> tuple[Curves, int]:
    """Curves on the grid, first of the original pairs, then of each resample; and the number of units."""
    units, n_units = _at_most(units, rng)
    extra = (_draw_counts(n_units, n_resamples, rng) - 1).astype(np.float32)
    bins = np.searchsorted(grid, pairs.distance)
    accepted = pairs.distance <= threshold
    similar, different = (
        _sums(pairs, kind, units, n_units, bins, accepted, extra, len(grid)).ravel() for kind in (True, False)
    )
    thresholds = np.tile(np.append(-np.inf, grid), len(extra))
    return Curves(thresholds, similar, different, np.arange(len(extra)) * (len(grid) + 1)), n_units


def _draw_counts(n_units: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Number of times each resample draws each unit, `(1 + n_resamples, n_units)`; the first row is all ones."""
    drawn = rng.integers(n_units, size=(n_resamples, n_units)) + n_units * np.arange(n_resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=n_resamples * n_units).reshape(n_resamples, n_units)
    return np.vstack([np.ones(n_units, times.dtype), times])


def _sums(
    pairs: Pairs,
    kind: bool,
    units: np.ndarray,
    n_units: int,
    bins: np.ndarray,
    accepted: np.ndarray,
    extra: np.ndarray,
    n_bins: int,
) -> np.ndarray:
    """Running weight, `(1 + n_resamples, 1 + n_bins)`, of the similar (`kind=True`) or different pairs."""
    chosen = pairs.similar == kind
    a, b = units[chosen].T
    weight, place, two = pairs.weight[chosen], bins[chosen], units[chosen, 0] != units[chosen, 1]
    of_unit = np.bincount(a * n_bins + place, weight, n_units * n_bins)
    of_unit += np.bincount((b * n_bins + place)[two], weight[two], n_units * n_bins)
    shrink = _counted_once(a, b, weight * (accepted[chosen] - np.average(accepted[chosen], weights=weight)), n_units)
    whole = np.bincount(place, weight, n_bins)
    moved = whole + shrink * (extra @ of_unit.reshape(n_units, n_bins).astype(np.float32))
    return np.pad(
        np.maximum.accumulate(np.maximum(np.cumsum(moved, axis=1, dtype=np.float64), 0), axis=1), ((0, 0), (1, 0))
    )


def _counted_once(a: np.ndarray, b: np.ndarray, influence: np.ndarray, n_units: int) -> float:
    """Factor on the deviations that corrects for counting a pair of two units in both of them.

    The variance of a mean over pairs is the sum of the squared influences of the units, minus the squared influence of
    each combination of two units, which is part of two of those squares.
    """
    two = a != b
    of_unit = np.bincount(a, influence, n_units) + np.bincount(b[two], influence[two], n_units)
    combination = np.minimum(a, b)[two].astype(np.int64) * n_units + np.maximum(a, b)[two]
    _, which = np.unique(combination, return_inverse=True)
    twice, all_of_it = np.sum(np.bincount(which, influence[two]) ** 2), np.sum(of_unit**2)
    return math.sqrt(min(max(1 - twice / all_of_it, 0.5), 1.0)) if all_of_it > 0 else 1.0


def _at_most(units: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Codes and number of the units, merged at random if there are more than `MAX_UNITS`."""
    n_units = int(units.max()) + 1
    if n_units <= MAX_UNITS:
        return units.astype(np.int64), n_units
    return (rng.permutation(n_units) % MAX_UNITS)[units], MAX_UNITS


def interval(
    values: np.ndarray, n_units: int, confidence: float, exact: float | None = None, lowest: float = 0.0
) -> Interval:
    """Interval of a figure between `lowest` and 1, from the deviation of its resamples on the logit scale.

    ```
    logit(low), logit(high) = logit(value) -+ t * sqrt(U / (U - 1)) * deviation of logit(resamples)
    ```

    On the logit scale the interval stays within the range of the figure, and that of a small rate is longer upwards. At
    the ends of the range resamples do not vary, so the units are treated as independent trials without a failure.
    Within the range, a figure that is constant over the resamples has no interval (NaN). An example is the false accept
    rate of two classes, whose different pairs are all of the same two classes.

    Args:
        values: `(1 + n_resamples,)` the figure of the original pairs, then of the resamples.
        n_units: Number of resampled units.
        confidence: Confidence level.
        exact: The figure itself, if `values` are approximate.
        lowest: Lowest possible value of the figure.
    """
    exact = float(values[0]) if exact is None else exact
    share = (exact - lowest) / (1 - lowest)
    known = (values[1:][np.isfinite(values[1:])] + exact - values[0] - lowest) / (1 - lowest)
    if known.size < len(values) / 2 or n_units < 2 or not 0 <= share <= 1:
        return math.nan, math.nan
    if share in (0, 1):
        reach = 1 - ((1 - confidence) / 2) ** (1 / n_units)
        bounds = np.array([0, reach] if share == 0 else [1 - reach, 1])
    else:
        known = np.clip(known, share / 20, 1 - (1 - share) / 20)
        deviation = np.std(np.log(known / (1 - known)))
        if deviation < STILL:
            return math.nan, math.nan
        deviation *= t_quantile(n_units - 1, confidence) * math.sqrt(n_units / (n_units - 1))
        bounds = 1 / (1 + (1 - share) / share * np.exp([deviation, -deviation]))
    low, high = (lowest + bounds * (1 - lowest)).tolist()
    return low, high


def resampled_ratios(total: np.ndarray, count: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Ratios of the sums of `total` and `count` `(C, F)` over resampled classes, `(1 + n_resamples, F)`."""
    units, n_units = _at_most(np.arange(len(total)), rng)
    sums = np.zeros((2, n_units, total.shape[1]))
    np.add.at(sums[0], units, total)
    np.add.at(sums[1], units, count)
    times = _draw_counts(n_units, n_resamples, rng)
    with np.errstate(invalid="ignore"):
        return (times @ sums[0]) / (times @ sums[1])


def t_quantile(freedom: Any, confidence: float) -> Any:
    """Two-sided quantile of Student's t distribution, by expansion around the normal quantile.

    The relative error is below 1 % from 3 degrees of freedom on. Below 3 the quantile is too small.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (k + 1) for k, term in enumerate(terms))


def wilson(rate: np.ndarray, variance: np.ndarray, n_units: np.ndarray, confidence: float) -> np.ndarray:
    """Wilson's intervals `(G, 2)` of rates, with as many trials as independent ones of the same variance.

    The measured variance of a rate of 0 or 1 is 0. There the number of units is the number of trials.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = rate * (1 - rate)
        trials = np.where(variance > 0, spread / variance, n_units)
        trials = np.where((spread > 0) & (variance <= 0), n_units, trials)
        z = t_quantile(np.maximum(n_units - 1.0, 1.0), confidence)
        centre = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
        half = z / (1 + z**2 / trials) * np.sqrt(spread / trials + z**2 / (4 * trials**2))
    # at 0 and 1 one end equals the rate; remove its rounding error
    return np.stack([np.where(rate == 0, 0, centre - half), np.where(rate == 1, 1, centre + half)], axis=1)
