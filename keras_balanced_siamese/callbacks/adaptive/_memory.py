"""What the next update of class weights depends on, smoothed over the epochs, and as something that JSON can hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks.adaptive._limits import UpperBounds, shrink_to_mean

SMOOTHED = ("start", "errors", "counts")


class Memory:
    """Starting weights, smoothed errors, smoothed counts of what is drawn, and upper bounds, `(C,)` each.

    Args:
        classes: The class labels.
        start: The weights when adapting began.
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
        """Add an epoch: the error of each class (NaN if unknown), on how many items it rests, and items drawn."""
        known, shrunk = np.isfinite(errors), errors.copy()
        if support is not None and known.any():
            shrunk[known] = shrink_to_mean(errors[known], support[known])
        self.errors = np.where(known, self._blend(self.errors, shrunk), self.errors)
        self.counts = self._blend(self.counts, items)

    def factors(self, weights: np.ndarray) -> np.ndarray:
        """What the starting weights were multiplied by to give these; 1 where they are 0."""
        return np.divide(weights, self.start, out=np.ones_like(weights), where=self.start > 0)

    def state(self, weights: np.ndarray) -> dict[str, Any]:
        """All of it and the present weights, as lists."""
        upper_bounds = (
            {} if self.upper_bounds is None else {name: one.tolist() for name, one in vars(self.upper_bounds).items()}
        )
        kept = {name: getattr(self, name).tolist() for name in SMOOTHED}
        return {
            **kept,
            "classes": [str(label) for label in self.classes],
            "weights": weights.tolist(),
            "upper_bounds": upper_bounds,
        }

    def restore(self, state: Mapping[str, Any]) -> np.ndarray:
        """Go on from a state, and return its weights.

        Raises:
            ValueError: If it is of other classes.
        """
        classes = [str(label) for label in self.classes]
        if state["classes"] != classes:
            raise ValueError(
                f"The state must be of the classes of the target, {short(classes)}. Received: {short(state['classes'])}"
            )
        for name in SMOOTHED:
            setattr(self, name, np.array(state[name]))
        if self.upper_bounds is not None and state["upper_bounds"]:
            self.upper_bounds.restore(state["upper_bounds"])
        return np.array(state["weights"])

    def _blend(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(old), new, self.momentum * old + (1.0 - self.momentum) * new)


def check_state(state: Any) -> None:
    """Raise if something is no state."""
    if not isinstance(state, Mapping) or not set(state) >= {
        *SMOOTHED,
        "adapt",
        "given_by_class",
        "classes",
        "weights",
        "upper_bounds",
    }:
        raise TypeError(f"`state` must be what `get_state` returned. Received: state={short(state)}")
