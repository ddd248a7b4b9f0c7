"""How far the figures would move with other classes or samples of the same kind: confidence intervals.

Pairs that share a class or a sample are not independent, so it is those units that are drawn again, not pairs. A
resample draws U of the U units with replacement; with the unit a drawn m_a times, a pair counts by its units:

    1 + (m_a - 1) + (m_b - 1)   on two units,      1 + (m_a - 1) = m_a   on one

which is the part of m_a * m_b that matters, and makes every resample a matrix product on a grid of thresholds.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation._curves import Curves
from keras_balanced_siamese.evaluation._pair_data import Pairs

MAX_UNITS = 2000  # more are put together at random: as good an estimate, in bounded memory
STILL = 1e-6  # a deviation that is no more than the rounding of float32
Interval = tuple[float, float]


def grid_of(points: Curves, threshold: float, fars: tuple[float, ...]) -> np.ndarray:
    """Up to about 1,300 rising thresholds that hold the shape of a curve, denser at its ends and at `fars`."""
    tar, far = points.rates()
    ends = np.geomspace(1e-6, 1, 150)
    wanted = np.concatenate([np.linspace(0, 1, 250), ends, *(np.linspace(0.2 * f, 3 * f, 60) for f in fars)])
    places = [np.searchsorted(rate, share) for rate in (tar, far) for share in (wanted, 1 - ends)]
    places = np.unique(np.clip(np.concatenate(places), 1, len(far) - 1))
    return np.unique(np.append(points.threshold[places], [threshold, points.threshold[-1]]))


def resample_curves(
    pairs: Pairs, units: np.ndarray, grid: np.ndarray, threshold: float, n_resamples: int, rng: np.random.Generator
) -> tuple[Curves, int]:
    """Curves on the grid, first of the pairs as they are, then of each resample; and the number of units."""
    units, n_units = _at_most(units, rng)
    extra = (_times_drawn(n_units, n_resamples, rng) - 1).astype(np.float32)
    bins = np.searchsorted(grid, pairs.distance)
    accepted = pairs.distance <= threshold
    similar, different = (
        _sums(pairs, kind, units, n_units, bins, accepted, extra, len(grid)).ravel() for kind in (True, False)
    )
    thresholds = np.tile(np.append(-np.inf, grid), len(extra))
    return Curves(thresholds, similar, different, np.arange(len(extra)) * (len(grid) + 1)), n_units


def _times_drawn(n_units: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each resample draws each unit, `(1 + n_resamples, n_units)`; in the first row each one once."""
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
    """Running weight `(1 + n_resamples, 1 + n_bins)` of the similar (`kind`) or different pairs."""
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
    """Factor on the deviations that makes up for counting what two units share at both of them.

    The variance of a mean over pairs is the sum over units of their squared influence, less the squared influence of
    each combination of two units, which stands in two of those squares.
    """
    two = a != b
    of_unit = np.bincount(a, influence, n_units) + np.bincount(b[two], influence[two], n_units)
    combination = np.minimum(a, b)[two].astype(np.int64) * n_units + np.maximum(a, b)[two]
    _, which = np.unique(combination, return_inverse=True)
    twice, all_of_it = np.sum(np.bincount(which, influence[two]) ** 2), np.sum(of_unit**2)
    return math.sqrt(min(max(1 - twice / all_of_it, 0.5), 1.0)) if all_of_it > 0 else 1.0


def _at_most(units: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    n_units = int(units.max()) + 1
    if n_units <= MAX_UNITS:
        return units.astype(np.int64), n_units
    return (rng.permutation(n_units) % MAX_UNITS)[units], MAX_UNITS


def interval(
    values: np.ndarray, n_units: int, confidence: float, exact: float | None = None, lowest: float = 0.0
) -> Interval:
    """Interval around a figure from `lowest` to 1, the first of `values`, by how far its resamples scatter.

    ```
    logit(low), logit(high) = logit(value) -+ t * sqrt(U / (U - 1)) * deviation of logit(resamples)
    ```

    On the scale of the logit the figure cannot leave its range, and a small rate has the longer side above it. At the
    very end of the range nothing scatters: there the units count as independent trials without a single failure. Inside
    the range a figure that never moves says nothing of how far it would: NaN. So it is with the false accept rate of
    two classes, whose different pairs are all of the same two.
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
    """Sum of `total` by sum of `count`, `(C, F)` each, over classes drawn with replacement: `(1 + n_resamples, F)`."""
    units, n_units = _at_most(np.arange(len(total)), rng)
    sums = np.zeros((2, n_units, total.shape[1]))
    np.add.at(sums[0], units, total)
    np.add.at(sums[1], units, count)
    times = _times_drawn(n_units, n_resamples, rng)
    with np.errstate(invalid="ignore"):
        return (times @ sums[0]) / (times @ sums[1])


def t_quantile(freedom: Any, confidence: float) -> Any:
    """Two-sided quantile of Student's t, by the expansion around the normal quantile.

    Exact to 1 % from 3 degrees of freedom on; below, too short.
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
    """Wilson's interval `(G, 2)` of a rate with a known variance, as if of so many independent trials.

    A rate of 0 or 1 has no measured variance: there the units count as the trials.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = rate * (1 - rate)
        trials = np.where(variance > 0, spread / variance, n_units)
        trials = np.where((spread > 0) & (variance <= 0), n_units, trials)
        z = t_quantile(np.maximum(n_units - 1.0, 1.0), confidence)
        centre = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
        half = z / (1 + z**2 / trials) * np.sqrt(spread / trials + z**2 / (4 * trials**2))
    # at 0 and 1 one end is the rate itself, but for rounding
    return np.stack([np.where(rate == 0, 0, centre - half), np.where(rate == 1, 1, centre + half)], axis=1)
