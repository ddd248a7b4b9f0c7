"""What a callback adapts, class weights or class shares: reading and setting them, and what frequency asks of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._strategies import balancing_factors, neutral_factors
from keras_balanced_siamese._typing import Label


class Weights:
    """The class weights of a target."""

    noun = "weights"
    entry = "class_weight"  # in logs
    place = "data"  # where the state is in a file

    def __init__(self, target: Any):
        self.target = target
        self.classes: list[Label] = list(target.class_weight or {})

    @property
    def values(self) -> np.ndarray:
        """They as they are now, `(C,)`."""
        return np.array(list(self.target.class_weight.values()))

    def set(self, values: np.ndarray) -> None:
        """Change them to `(C,)` others."""
        self.target.class_weight = self.by_class(values)

    def drawn(self, record: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        """How many items of each class an epoch draws, `(C,)`, by the record of the training if there is one."""
        if record is not None:
            return record[1]
        if not hasattr(self.target, "class_distribution"):
            return np.ones(len(self.classes))
        return np.array(list(self.target.class_distribution.values())) * len(self.target.labels)

    def neutral(self, drawn: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The factors `(C,)` that make up for frequency, from the starting ones and what an epoch draws."""
        return neutral_factors(drawn, start)

    def by_class(self, values: np.ndarray) -> dict[Label, float]:
        """Any `(C,)` numbers, by class."""
        return dict(zip(self.classes, values.tolist(), strict=True))


class Shares(Weights):
    """The class shares of a sequence."""

    noun = "shares"
    entry = "class_share"
    place = "sampling"

    def __init__(self, target: Any):
        super().__init__(target)
        self._told = isinstance(target.class_sampling, Mapping)  # class by class, what each is to have

    @property
    def values(self) -> np.ndarray:
        return np.array(list(self.target.class_shares.values()))

    def set(self, values: np.ndarray) -> None:
        self.target.class_sampling = self.by_class(values)

    def drawn(self, record: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        return np.ones(len(self.classes))  # a share counts what it is

    def neutral(self, drawn: np.ndarray, start: np.ndarray) -> np.ndarray:
        return np.ones_like(start) if self._told else balancing_factors(start)
