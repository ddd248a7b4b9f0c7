"""Thresholds of operating points."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation import Curves, between, equal_error_rate, tar_at_far

OPERATING_POINTS = ("eer", "balanced_accuracy", "f1", "posterior")


def check_operating_point(operating_point: Any) -> Any:
    """Check an operating point and return it with plain numbers, ready for JSON.

    It is one of `OPERATING_POINTS`, `{"far": rate}` or `{"cost": (miss, false accept)}`.

    Raises:
        ValueError: For anything else.
    """
    if isinstance(operating_point, str) and operating_point in OPERATING_POINTS:
        return operating_point
    if isinstance(operating_point, Mapping) and len(operating_point) == 1:
        ((name, value),) = operating_point.items()
        if name == "far" and _is_number(value) and 0 < value < 1:
            return {"far": float(value)}
        pair = isinstance(value, (tuple, list)) and len(value) == 2
        if name == "cost" and pair and all(_is_number(one) and 0 < one < np.inf for one in value):
            return {"cost": [float(one) for one in value]}
    raise ValueError(
        f"`operating_point` must be one of {OPERATING_POINTS}, {{'far': rate}} with a rate between 0 and 1, or "
        "{'cost': (cost of a miss, cost of a false accept)} with positive costs. "
        f"Received: operating_point={operating_point!r}"
    )


def float32_threshold(threshold: float, distance: np.ndarray) -> float:
    """Round a threshold to float32 so that it accepts the same distances, which are float32 values themselves."""
    rounded = np.float32(threshold)
    if float(rounded) > threshold and (distance == rounded).any():
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)


def find_threshold(points: Curves, operating_point: Any, prior: float, n_different: int) -> float:
    """Largest distance to accept, halfway between two measured distances where possible.

    Args:
        points: A single curve.
        operating_point: An operating point other than `"posterior"`, checked by `check_operating_point`.
        prior: Share of similar pairs, used by `"f1"` and `"cost"`.
        n_different: Number of different pairs.

    Raises:
        ValueError: If the false accept rate is not measurable on these pairs, or accepting nothing is optimal.
    """
    if operating_point == "eer":
        return float(equal_error_rate(points)[1][0])
    tar, far = points.rates()
    if isinstance(operating_point, dict) and "far" in operating_point:
        return _at_far(points, operating_point["far"], n_different)
    if operating_point == "balanced_accuracy":
        gain = tar - far
    elif operating_point == "f1":
        gain = 2 * prior * tar / (prior * (1 + tar) + (1 - prior) * far)
    else:
        miss, false_accept = operating_point["cost"]
        gain = -(miss * prior * (1 - tar) + false_accept * (1 - prior) * far)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    place = best[[len(best) // 2]]  # the middle one of equally good thresholds
    if place[0] == 0:
        raise ValueError(
            f"With operating_point={operating_point!r} and a share of {prior:g} similar pairs the optimum is to accept "
            "nothing: the distances do not separate similar pairs well enough. Raise the cost of a miss or the prior."
        )
    return float(between(points, place)[0])


def _at_far(points: Curves, far: float, n_different: int) -> float:
    """Largest threshold with a false accept rate of at most `far`."""
    if n_different * far < 1 - 1e-9:
        raise ValueError(
            f"A false accept rate of {far:g} needs at least {int(np.ceil(1 / far)):,} different pairs to be measured. "
            f"Received: {n_different:,}"
        )
    threshold = float(tar_at_far(points, far)[2][0])
    if threshold == -np.inf:
        smallest = points.threshold[1]
        share = points.rates()[1][1]
        raise ValueError(
            f"The false accept rate at the smallest distance is above {far:g}: too many different pairs are equally "
            f"close. Received: the distance {smallest:g} at {share:.3g} of the different pairs"
        )
    return threshold


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
