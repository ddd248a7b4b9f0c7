"""Per-class errors -> class weights: the default rule of `AdaptiveClassWeight`, and the limits on every rule."""

import numpy as np

FLOOR = 0.05  # of the mean error: a class without any error still counts


def difficulty(errors: np.ndarray, tau: float) -> np.ndarray:
    """Factors `(C,)`, at most 1, proportional to `(error + floor) ** tau`; the floor is 5 % of the mean error."""
    scale = errors.mean()
    if not scale > 0:
        return np.ones_like(errors)
    relative = errors / scale + FLOOR
    return (relative / relative.max()) ** tau


def limit_factors(
    wanted: np.ndarray,
    current: np.ndarray,
    weight: np.ndarray,
    bounds: tuple[float, float] | None,
    max_step: float | None,
) -> np.ndarray:
    """Scale the wanted factors so that, once limited, their mean is that of the current ones.

    ```
    f_c = clip(scale * wanted_c, lowest_c, highest_c)   with   sum of weight_c * f_c = sum of weight_c * current_c
    ```

    The limits are the bounds and one step up or down from where the factor is. A scale exists because the current
    factors lie inside the limits; it is found by halving an interval.

    Args:
        wanted: `(C,)` factors, at least 0, of any scale.
        current: `(C,)` factors in force.
        weight: `(C,)` what each factor counts in the mean.
        bounds: Smallest and largest factor.
        max_step: Largest ratio of new to current factor, and of current to new.
    """
    if not wanted.max() > 0:
        return current
    wanted = wanted / wanted.max()
    lowest, highest = np.zeros_like(current), np.full_like(current, np.inf)
    if bounds is not None:
        lowest, highest = np.maximum(lowest, bounds[0]), np.minimum(highest, bounds[1])
    if max_step is not None:
        lowest, highest = np.maximum(lowest, current / max_step), np.minimum(highest, current * max_step)
    goal = float(current @ weight)

    def mean_of(scale: float) -> float:
        return float(np.clip(scale * wanted, lowest, highest) @ weight)

    low, high = 0.0, 1.0
    while mean_of(high) < goal and high < 1e30:
        high *= 2.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_of(middle) < goal else (low, middle)
    return np.clip(high * wanted, lowest, highest)
