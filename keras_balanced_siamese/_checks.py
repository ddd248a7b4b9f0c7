"""Checks of plain arguments, in a positive form that also rejects NaN."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np


def positive(name: str, value: Any) -> float:
    """Return `value` as a float if it is a finite number above 0."""
    number = _number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"`{name}` must be positive and finite. Received: {name}={value!r}")
    return number


def at_least(name: str, value: Any, least: float) -> float:
    """Return `value` as a float if it is a finite number not below `least`."""
    number = _number(name, value)
    if not least <= number < math.inf:
        raise ValueError(f"`{name}` must be at least {least} and finite. Received: {name}={value!r}")
    return number


def finite(name: str, value: Any) -> float:
    """Return `value` as a float if it is a finite number."""
    number = _number(name, value)
    if not -math.inf < number < math.inf:
        raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
    return number


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float if it is a number from 0 to 1."""
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"`{name}` must be from 0 to 1. Received: {name}={value!r}")
    return number


def whole(name: str, value: Any, least: int) -> int:
    """Return `value` as an int if it is a whole number not below `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be a whole number. Received: {name}={value!r}")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value!r}")
    return int(value)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the `allowed` words."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={value!r}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool if it is one, or 0 or 1."""
    if not isinstance(value, (Integral, np.bool_)) or value not in (0, 1):
        raise TypeError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    return float(value)
