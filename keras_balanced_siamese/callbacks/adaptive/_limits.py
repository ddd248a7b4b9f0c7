"""What keeps adapted weights from running away, whatever the strategy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

LEAST = 1e-3  # no factor falls below it: a class that counts nothing would never be learned again
MOST = 1e30
LEAST_WANTED = 1e-12  # of the largest wanted factor
PRIOR = 2.0  # items of mean error that each class is given
PATIENCE = 3  # updates at the upper bound without progress until the bound falls
DECAY = 0.8  # of the bound, with each further one


def shrink_to_mean(errors: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Errors `(C,)` drawn to their mean where few items support them: `(m x + 2 mean) / (m + 2)`."""
    return (support * errors + PRIOR * errors.mean()) / (support + PRIOR)


class UpperBounds:
    """The largest factor of each class: the bound, less where a class has been at it without getting better."""

    def __init__(self, n_classes: int, bound: float):
        self.bound = np.array(bound)
        self.highest = np.full(n_classes, float(bound))
        self.waited = np.zeros(n_classes)
        self.best = np.full(n_classes, np.inf)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the attributes of other upper_bounds, under the bound of these."""
        bound, highest, self.waited, self.best = (
            np.array(state[name]) for name in ("bound", "highest", "waited", "best")
        )
        self.highest = np.where(highest >= bound, self.bound, np.minimum(highest, self.bound))

    def update(self, factors: np.ndarray, errors: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """The largest factors `(C,)`, after an epoch with these factors and smoothed errors (NaN if unknown).

        A class is given up to no less than 1, and no less than its neutral factor, which makes up for its frequency.
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
    """Scale the wanted factors so that, once limited, their weighted sum is the goal, or as near as the limits allow.

    ```
    f_c = clip(scale * wanted_c, lowest_c, highest_c)   with   sum of weight_c * f_c = goal
    ```

    The limits are the bounds and one step up or down from where the factor is. The scale is found by Newton's method,
    which is exact once it knows which factors are limited, inside an interval that is halved where a step leaves it.

    Args:
        wanted: `(C,)` factors, at least 0, of any scale.
        current: `(C,)` factors in force.
        weight: `(C,)` what each factor counts in the sum.
        goal: The sum. It does not depend on the current factors: what one update misses would add up over many.
        bounds: Smallest and largest factor, the latter for all classes or for each, `(C,)`.
        max_step: Largest ratio of new to current factor, and of current to new.
    """
    if not wanted.max() > 0 or not weight.any():
        return current
    wanted = np.maximum(wanted / wanted.max(), LEAST_WANTED)  # of zeros no scale would make anything
    lowest, highest = np.full_like(current, LEAST), np.full_like(current, MOST)
    if bounds is not None:
        lowest, highest = np.maximum(lowest, bounds[0]), np.minimum(highest, bounds[1])
    if max_step is not None:
        lowest = np.maximum(lowest, current / max_step)
        highest = np.maximum(np.minimum(highest, current * max_step), lowest)
    weighted = wanted * weight

    def mean_and_slope(scale: float) -> tuple[float, float]:
        asked = scale * wanted
        free = (asked > lowest) & (asked < highest)
        limited = np.clip(asked, lowest, highest)
        # not `@`, whose last digits depend on the number of threads
        return float((limited * weight).sum()), float(weighted.sum(where=free))

    if goal <= float((lowest * weight).sum()):
        return lowest
    if goal >= float((highest * weight).sum()):
        return highest
    low, high = 0.0, 1.0
    while mean_and_slope(high)[0] < goal:
        high *= 2.0
    scale = high
    for _ in range(200):
        mean, slope = mean_and_slope(scale)
        low, high = (scale, high) if mean < goal else (low, scale)
        if abs(mean - goal) <= 1e-13 * goal or high - low <= 1e-12 * high:
            break
        step = scale + (goal - mean) / slope if slope > 0 else high
        scale = step if low < step < high else (low + high) / 2
    return np.clip(scale * wanted, lowest, highest)
