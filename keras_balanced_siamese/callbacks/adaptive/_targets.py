"""What a callback adapts, class weights or class shares: reading and setting them, and what frequency asks of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks.adaptive._checks import check_double_correction
from keras_balanced_siamese.callbacks.adaptive._strategies import balancing_factors, neutral_factors
from keras_balanced_siamese.losses import WeightedBatchLoss, WeightedLoss
from keras_balanced_siamese.sampling import EpochSequence, scale_shares


class Weights:
    """The class weights of any object: a mapping that is read and assigned. Nothing is known of frequency."""

    noun = "weights"
    entry = "class_weight"  # in logs
    place = "data"  # where the state is in a file
    given_by_class = False  # whether starting values were given class by class though they may be equal

    def __init__(self, target: Any):
        self.target = target
        self.classes: list[Label] = list(target.class_weight or {})

    @property
    def values(self) -> np.ndarray:
        """They as they are now, `(C,)`."""
        return np.array(list(self.target.class_weight.values()), np.float64)

    def set(self, values: np.ndarray) -> None:
        """Change them to `(C,)` others."""
        self.target.class_weight = self.by_class(values)

    def begin(self, epoch: int) -> None:
        """Take notice of the epoch that begins."""

    def items_per_epoch(self, record: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        """How many items of each class the epoch has drawn, `(C,)`, by the record of the training if there is one."""
        return np.ones(len(self.classes))

    def neutral(self, items: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The factors `(C,)` that make up for frequency, from the starting ones and what an epoch draws."""
        return neutral_factors(items, start)

    def check_start(self, items: np.ndarray, start: np.ndarray) -> None:
        """Warn if starting weights seem to correct frequency twice, which a sequence does by itself."""

    def by_class(self, values: np.ndarray) -> dict[Label, float]:
        """Any `(C,)` numbers, by class."""
        return dict(zip(self.classes, values.tolist(), strict=True))


class LossWeights(Weights):
    """The live class weights of a loss."""

    @property
    def values(self) -> np.ndarray:
        return self.target.live_weights.weights_of_classes()

    def set(self, values: np.ndarray) -> None:
        self.target.live_weights.set_weights_of_classes(values)

    def items_per_epoch(self, record: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        assert record is not None
        return record[1]

    def check_start(self, items: np.ndarray, start: np.ndarray) -> None:
        if isinstance(self.target, WeightedBatchLoss):  # similar and different pairs are few or many by choice
            check_double_correction(self.classes, items, start)


class SequenceWeights(Weights):
    """The class weights of a sequence."""

    @property
    def values(self) -> np.ndarray:
        return self.target.weights_by_code

    def set(self, values: np.ndarray) -> None:
        self.target.weights_by_code = values

    def begin(self, epoch: int) -> None:
        if self.target.redraw:
            self.target.set_epoch(epoch)
        self._epoch = self.target.epoch

    def items_per_epoch(self, record: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        return self.target.items_by_code(self._epoch)  # its own epoch may be the next one by now


class Shares(SequenceWeights):
    """The class shares of a sequence."""

    noun = "shares"
    entry = "class_share"
    place = "sampling"

    def __init__(self, target: Any):
        super().__init__(target)
        self.given_by_class = isinstance(target.class_sampling, Mapping)

    @property
    def values(self) -> np.ndarray:
        return self.target.shares_by_code

    def set(self, values: np.ndarray) -> None:
        self.target.shares_by_code = scale_shares(values)

    def items_per_epoch(self, record: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        return np.ones(len(self.classes))  # shares of whatever there is

    def neutral(self, items: np.ndarray, start: np.ndarray) -> np.ndarray:
        return np.ones_like(start) if self.given_by_class else balancing_factors(start)


def adapted_of(target: Any, adapt: str) -> Weights:
    """What there is to adapt of a target, by `adapt`: "weights" or "sampling"."""
    if adapt == "sampling":
        return Shares(target)
    kinds = {WeightedLoss: LossWeights, EpochSequence: SequenceWeights}
    return next((kind(target) for one, kind in kinds.items() if isinstance(target, one)), Weights(target))
