"""Smoothed statistics of the classes, which the next update depends on, and their form for JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np

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
        """Return all attributes and the current weights as lists."""
        bounds = {} if self.upper_bounds is None else vars(self.upper_bounds)
        return {
            **{name: getattr(self, name).tolist() for name in ARRAYS},
            "classes": [str(label) for label in self.classes],
            "weights": weights.tolist(),
            "upper_bounds": {name: array.tolist() for name, array in bounds.items()},
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
        for name in ARRAYS:
            setattr(self, name, np.array(state[name]))
        if self.upper_bounds is not None and state["upper_bounds"]:
            self.upper_bounds.restore(state["upper_bounds"])
        return np.array(state["weights"])

    def _smooth(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(old), new, self.momentum * old + (1.0 - self.momentum) * new)


def check_state(state: Any) -> None:
    """Raise if `state` does not have the form that `get_state` returns."""
    if not isinstance(state, Mapping) or not set(state) >= STATE_KEYS:
        raise TypeError(f"`state` must be what `get_state` returned. Received: state={short(state)}")
