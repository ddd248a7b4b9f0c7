"""Adapted values of a target: class weights or class shares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

import keras
import numpy as np

from keras_balanced_siamese._model_output import losses_of
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.callbacks.adaptive._checks import check_double_correction
from keras_balanced_siamese.callbacks.adaptive._class_errors import LossRecord
from keras_balanced_siamese.callbacks.adaptive._strategies import balancing_factors, neutral_factors
from keras_balanced_siamese.losses import WeightedBatchLoss, WeightedLoss
from keras_balanced_siamese.sampling import EpochSequence, scale_shares


class HasClassWeight(Protocol):
    """An object with class weights that can be read and assigned."""

    @property
    def class_weight(self) -> Mapping[Label, float]: ...

    @class_weight.setter
    def class_weight(self, class_weight: dict[Label, float], /) -> None: ...


IMBALANCE = 2.0  # ratio of the numbers of pairs above which their frequency is corrected at once

Target = TypeVar("Target", bound=WeightedLoss | HasClassWeight)


class AdaptedValues(ABC, Generic[Target]):
    """Abstract: a value per class that is read from a target and set.

    A subclass defines `values` and `set`. Without more, the class frequency of the target is unknown.
    """

    noun = "weights"
    log_name = "class_weight"
    given_by_class = False  # whether the user gave the starting values class by class, even if they are equal

    def __init__(self, target: Target):
        self.target = target
        self.classes: list[Label] = list(target.class_weight or {})

    @property
    @abstractmethod
    def values(self) -> np.ndarray:
        """The current values, `(C,)`."""

    @property
    def mark(self) -> Any:
        """A value that changes when somebody sets the values."""
        return self.values.tobytes()

    @abstractmethod
    def set(self, values: np.ndarray) -> None:
        """Set the values `(C,)`."""

    def begin(self, epoch: int) -> None:
        """Prepare the target for an epoch."""

    def loss_record(self) -> LossRecord | None:
        """Return the losses since the last reset, or `None` if the target does not record them."""
        return None

    def reset_record(self) -> None:
        """Forget the recorded losses; Keras does so only for models that list all of their metrics."""

    def check_used(self, record: LossRecord | None) -> None:
        """Raise if the record of an epoch shows that the training does not use the target."""

    def items_per_epoch(self, record: LossRecord | None) -> np.ndarray:
        """Return the number of items of each class in the epoch, `(C,)`, given the record of its training."""
        return np.ones(len(self.classes))

    def neutral(self, items: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the factors `(C,)` that correct class frequency."""
        return neutral_factors(items, start)

    def check_start(self, items: np.ndarray, start: np.ndarray) -> None:
        """Warn if starting weights correct a frequency that the batches have corrected; a sequence does so itself."""

    def is_imbalanced(self, items: np.ndarray) -> bool:
        """Return whether the frequency is to be corrected at once, given the items `(C,)` of the first epoch."""
        return False

    def state_name(self, model: keras.Model) -> str:
        """Return the name of the state in a file."""
        return "data"

    def by_class(self, numbers: np.ndarray) -> dict[Label, float]:
        """Return numbers `(C,)` as a dict by class."""
        return dict(zip(self.classes, numbers.tolist(), strict=True))


class MappingWeights(AdaptedValues[HasClassWeight]):
    """The class weights of any object."""

    @property
    def values(self) -> np.ndarray:
        return np.array(list(self.target.class_weight.values()), np.float64)

    def set(self, values: np.ndarray) -> None:
        self.target.class_weight = self.by_class(values)


class LossWeights(AdaptedValues[WeightedLoss]):
    """The live class weights of a loss."""

    def __init__(self, target: WeightedLoss):
        super().__init__(target)
        assert target.live_weights is not None
        self._live = target.live_weights

    @property
    def values(self) -> np.ndarray:
        return self._live.weights_of_classes()

    @property
    def mark(self) -> Any:
        return self._live.version  # a file may hold equal weights

    def set(self, values: np.ndarray) -> None:
        self._live.set_weights_of_classes(values)

    def begin(self, epoch: int) -> None:
        self.reset_record()

    def reset_record(self) -> None:
        self._live.reset_state()

    def loss_record(self) -> LossRecord:
        return self._live.means_and_counts()

    def check_used(self, record: LossRecord | None) -> None:
        assert record is not None
        if not record[1].any() and not isinstance(self.target, WeightedBatchLoss):  # batches may hold no pairs
            raise ValueError(
                "The target of AdaptiveClassWeight has recorded no pair in this epoch, so that its weights have no "
                "effect: the loss that the training step calls must be the target. Pass the same object to both. "
                f"Received: a target {self.target!r} that was not called"
            )

    def items_per_epoch(self, record: LossRecord | None) -> np.ndarray:
        assert record is not None
        return record[1]

    def check_start(self, items: np.ndarray, start: np.ndarray) -> None:
        if isinstance(self.target, WeightedBatchLoss):  # the ratio of similar to different pairs is a choice
            check_double_correction(self.classes, items, start)

    def is_imbalanced(self, items: np.ndarray) -> bool:
        pairs = not isinstance(self.target, WeightedBatchLoss)
        return pairs and bool(items.all()) and items.max() > IMBALANCE * items.min()

    def state_name(self, model: keras.Model) -> str:
        losses = losses_of(model)
        return f"loss_{losses.index(self.target)}" if self.target in losses else "loss"


class SequenceWeights(AdaptedValues[EpochSequence]):
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

    def items_per_epoch(self, record: LossRecord | None) -> np.ndarray:
        return self.target.items_by_code(self._epoch)  # the sequence may be at the next epoch already


class SequenceShares(SequenceWeights):
    """The class shares of a sequence."""

    noun = "shares"
    log_name = "class_share"

    def __init__(self, target: EpochSequence):
        super().__init__(target)
        self.given_by_class = isinstance(target.class_sampling, Mapping)

    @property
    def values(self) -> np.ndarray:
        return self.target.shares_by_code

    def set(self, values: np.ndarray) -> None:
        self.target.shares_by_code = scale_shares(values)

    def items_per_epoch(self, record: LossRecord | None) -> np.ndarray:
        return np.ones(len(self.classes))  # shares do not depend on the number of items

    def neutral(self, items: np.ndarray, start: np.ndarray) -> np.ndarray:
        return np.ones_like(start) if self.given_by_class else balancing_factors(start)

    def state_name(self, model: keras.Model) -> str:
        return "sampling"


def attach_loss(loss: WeightedLoss, model: keras.Model) -> None:
    """Attach the class weights of a loss to a model, so that its steps use new weights and record losses per class.

    A model without a compiled loss may call any loss in a `train_step` of its own.

    Raises:
        ValueError: If the loss has no class weights, or the model is compiled with other losses.
    """
    if loss.live_weights is None:
        raise ValueError(
            "`target` must have class weights: construct it with `class_weight`, for example with weights of 1, "
            f"`class_weight={{0: 1.0, 1: 1.0, ...}}`. Received: target={loss!r}"
        )
    losses = [one for one in losses_of(model) if one is not None]
    if losses and loss not in losses:
        raise ValueError(
            "`target` must be a loss that the model is compiled with: pass the same object to both, or no `target`. "
            f"Received: target={loss!r}, and a model with loss={losses}"
        )
    loss.live_weights.attach_to(model)


def adapted_of(target: WeightedLoss | HasClassWeight, adapt: str) -> AdaptedValues[Any]:
    """Return the values to adapt of a target; `adapt` is "weights" or "sampling"."""
    if isinstance(target, EpochSequence):
        return SequenceShares(target) if adapt == "sampling" else SequenceWeights(target)
    return LossWeights(target) if isinstance(target, WeightedLoss) else MappingWeights(target)
