"""Limits on adapted weights, the same for every strategy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

MIN_FACTOR = 1e-3  # a class with a factor of 0 would no longer be learned
MAX_FACTOR = 1e30
MIN_WANTED = 1e-12  # relative to the largest wanted factor
PRIOR_ITEMS = 2.0  # items with the mean error that are added to each class
PATIENCE = 3  # updates at the upper bound without progress until the bound falls
DECAY = 0.8  # factor on the bound at each further one


def shrink_to_mean(errors: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Shrink errors `(C,)` with little support `m` towards their mean: `(m x + 2 mean) / (m + 2)`."""
    return (support * errors + PRIOR_ITEMS * errors.mean()) / (support + PRIOR_ITEMS)


def factors_of(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the ratios `(C,)` of values to starting values; 1 where the starting value is 0."""
    return np.divide(values, start, out=np.ones_like(values), where=start > 0)


class UpperBounds:
    """The largest factor of each class: the bound, lowered where a class stays at it without improving."""

    def __init__(self, n_classes: int, bound: float):
        self.bound = np.array(bound)
        self.highest = np.full(n_classes, float(bound))
        self.waited = np.zeros(n_classes)
        self.best = np.full(n_classes, np.inf)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the attributes of other upper bounds, but keep this object's bound."""
        bound, highest, self.waited, self.best = (
            np.array(state[name]) for name in ("bound", "highest", "waited", "best")
        )
        self.highest = np.where(highest >= bound, self.bound, np.minimum(highest, self.bound))

    def update(self, factors: np.ndarray, errors: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """Return the largest factors `(C,)` after an epoch with these factors and smoothed errors (NaN if unknown).

        The bound of a class falls neither below 1 nor below its neutral factor, which corrects its frequency.
        """
        pinned = factors >= 0.999 * self.highest
        better = errors < 0.99 * self.best
        self.best = np.where(better | ~pinned, np.where(np.isnan(errors), self.best, errors), self.best)
        self.waited = np.where(pinned & ~better & ~np.isnan(errors), self.waited + 1, 0.0)
        falls = self.waited >= PATIENCE
        least = np.clip(neutral, 1.0, self.bound)
        self.highest = np.where(falls, np.maximum(self.highest * DECAY, least), self.highest)
        recovers = better & ~falls
        self.highest = np.where(recovers, np.minimum(self.highest / DECAY, self.bound), self.highest)
        return self.highest


def limit_factors(
    wanted: np.ndarray,
    current: np.ndarray,
    weight: np.ndarray,
    goal: float,
    bounds: tuple[float, float | np.ndarray] | None,
    max_step: float | None,
) -> np.ndarray:
    """Scale and limit the wanted factors so that their weighted sum is as near to the goal as the limits allow.

    ```
    f_c = clip(scale * wanted_c, lowest_c, highest_c)   with   sum of weight_c * f_c = goal
    ```

    The limits are the bounds and one step up or down from the current factor.

    Args:
        wanted: `(C,)` factors, at least 0, of any scale.
        current: `(C,)` factors in use.
        weight: `(C,)` weights of the factors in the sum.
        goal: The sum. It does not depend on the current factors, so that deviations do not add up over the updates.
        bounds: Smallest and largest factor; the latter for all classes or for each, `(C,)`.
        max_step: Largest ratio of new to current factor, and of current to new.
    """
    if not wanted.max() > 0 or not weight.any():
        return current
    wanted = np.maximum(wanted / wanted.max(), MIN_WANTED)  # no scale changes a factor of 0
    lowest, highest = _limits(current, bounds, max_step)
    if goal <= float((lowest * weight).sum()):
        return lowest
    if goal >= float((highest * weight).sum()):
        return highest
    return np.clip(_solve_scale(wanted, weight, goal, lowest, highest) * wanted, lowest, highest)


def _limits(
    current: np.ndarray, bounds: tuple[float, float | np.ndarray] | None, max_step: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest next factors, `(C,)` each."""
    lowest, highest = np.full_like(current, MIN_FACTOR), np.full_like(current, MAX_FACTOR)
    if bounds is not None:
        lowest, highest = np.maximum(lowest, bounds[0]), np.minimum(highest, bounds[1])
    if max_step is not None:
        lowest = np.maximum(lowest, current / max_step)
        highest = np.maximum(np.minimum(highest, current * max_step), lowest)
    return lowest, highest


def _solve_scale(wanted: np.ndarray, weight: np.ndarray, goal: float, lowest: np.ndarray, highest: np.ndarray) -> float:
    """Find the scale at which the limited factors have the weighted sum `goal`.

    Newton's method, which is exact once the set of limited factors is known, inside an interval that is halved
    whenever a step leaves it.
    """
    weighted = wanted * weight

    def sum_and_slope(scale: float) -> tuple[float, float]:
        scaled = scale * wanted
        free = (scaled > lowest) & (scaled < highest)
        limited = np.clip(scaled, lowest, highest)
        # not `@`: its last digits depend on the number of threads
        return float((limited * weight).sum()), float(weighted.sum(where=free))

    low, high = 0.0, 1.0
    while sum_and_slope(high)[0] < goal:
        high *= 2.0
    scale = high
    for _ in range(200):
        total, slope = sum_and_slope(scale)
        low, high = (scale, high) if total < goal else (low, scale)
        if abs(total - goal) <= 1e-13 * goal or high - low <= 1e-12 * high:
            break
        step = scale + (goal - total) / slope if slope > 0 else high
        scale = step if low < step < high else (low + high) / 2
    return scale
