"""Smoothed statistics of the classes, which the next update depends on, and their form for JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._checks import finite, positive
from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks.adaptive._limits import UpperBounds, factors_of, shrink_to_mean

ARRAYS = ("start", "errors", "counts")  # attributes that are part of the state
STATE_KEYS = {*ARRAYS, "adapt", "given_by_class", "classes", "weights", "upper_bounds"}


class Memory:
    """Starting weights, smoothed errors, smoothed item counts and upper bounds, `(C,)` each.

    Args:
        classes: The class labels.
        start: The weights before the first update.
        momentum: Share of the old values in the smoothed ones.
        bound: Largest factor on a starting weight, or `None`.
    """

    def __init__(self, classes: list[Label], start: np.ndarray, momentum: float, bound: float | None):
        self.classes = classes
        self.start = start
        self.errors, self.counts = (np.full(len(start), np.nan) for _ in range(2))
        self.momentum = momentum
        self.upper_bounds = None if bound is None else UpperBounds(len(start), bound)

    def learn(self, errors: np.ndarray, support: np.ndarray | None, items: np.ndarray) -> None:
        """Add an epoch.

        Args:
            errors: `(C,)`, NaN where unknown.
            support: `(C,)` number of items behind each error, or `None` if unknown.
            items: `(C,)` items of each class in the epoch.
        """
        known, shrunk = np.isfinite(errors), errors.copy()
        if support is not None and known.any():
            shrunk[known] = shrink_to_mean(errors[known], support[known])
        self.errors = np.where(known, self._smooth(self.errors, shrunk), self.errors)
        self.counts = self._smooth(self.counts, items)

    def update_bounds(self, values: np.ndarray, errors: np.ndarray, neutral: np.ndarray) -> np.ndarray | None:
        """Update the upper bounds after an epoch with these values; return them, `(C,)`, or `None` without bounds."""
        if self.upper_bounds is None:
            return None
        return self.upper_bounds.update(factors_of(values, self.start), errors, neutral)

    def state(self, weights: np.ndarray) -> dict[str, Any]:
        """Return all attributes and the current weights as lists, with `None` for a number that is not yet known."""
        bounds = {} if self.upper_bounds is None else vars(self.upper_bounds)
        return {
            **{name: _known(getattr(self, name)) for name in ARRAYS},
            "classes": [str(label) for label in self.classes],
            "weights": weights.tolist(),
            "upper_bounds": {name: _known(array) for name, array in bounds.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> np.ndarray:
        """Take over a state and return its weights.

        Raises:
            ValueError: If it has other classes.
        """
        classes = [str(label) for label in self.classes]
        if state["classes"] != classes:
            raise ValueError(
                f"The state must be of the classes of the target, {short(classes)}. Received: {short(state['classes'])}"
            )
        numbers = _numbers(state)
        for name in ARRAYS:
            setattr(self, name, numbers[name])
        if self.upper_bounds is not None and state["upper_bounds"]:
            self.upper_bounds.restore(numbers)
        return numbers["weights"]

    def _smooth(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(old), new, self.momentum * old + (1.0 - self.momentum) * new)


def check_state(state: Any) -> None:
    """Raise a TypeError if `state` has not the form that `get_state` returns, a ValueError for impossible numbers."""
    if not isinstance(state, Mapping) or not set(state) >= STATE_KEYS:
        raise TypeError(f"`state` must be what `get_state` returned. Received: state={short(state)}")
    _numbers(state)


def _numbers(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Check the numbers of a state and return them as arrays.

    Raises:
        ValueError: If they cannot be weights, errors, counts or bounds.
    """
    classes, bounds = state["classes"], state["upper_bounds"]
    numbers = {name: align_weights(_by_class(state, name, classes), classes, name) for name in ("start", "weights")}
    numbers |= {name: _checked(state, name, classes, np.nan) for name in ("errors", "counts")}
    if bounds:
        numbers |= {name: _checked(bounds, name, classes) for name in ("highest", "waited")}
        numbers |= {
            "best": _checked(bounds, "best", classes, np.inf),
            "bound": np.array(positive("bound", bounds["bound"])),
        }
    lowest = {"counts": 0.0, "waited": 0.0, "highest": np.finfo(np.float64).tiny}
    for name, least in lowest.items():
        if name in numbers and (numbers[name] < least).any():
            raise ValueError(
                f"`{name}` of the state must be at least 0. Received: {name}={short(numbers[name].tolist())}"
            )
    return numbers


def _by_class(state: Mapping[str, Any], name: str, classes: list[str]) -> dict[str, Any]:
    """Return a list of a state as a dict by class."""
    values = state.get(name)
    if not isinstance(values, (list, tuple)) or len(values) != len(classes):
        raise ValueError(f"`{name}` of the state must have one number per class. Received: {name}={short(values)}")
    return dict(zip(classes, values, strict=True))


def _checked(state: Mapping[str, Any], name: str, classes: list[str], missing: float | None = None) -> np.ndarray:
    """Return a list of a state as an array `(C,)`, with `missing` for `None` or NaN."""
    given = [missing if one is None or one != one else one for one in _by_class(state, name, classes).values()]
    return np.array([one if one is missing else finite(name, one) for one in given])


def _known(array: np.ndarray) -> Any:
    """Return numbers as JSON can hold them: `None` in place of NaN and infinity."""
    finite_or_none = np.array(array, object)
    finite_or_none[~np.isfinite(array)] = None
    return finite_or_none.tolist()
