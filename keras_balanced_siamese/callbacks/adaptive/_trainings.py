"""The training that has left its values in a target."""

import weakref
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_balanced_siamese.callbacks.adaptive._targets import AdaptedValues
from keras_balanced_siamese.losses import WeightedLoss
from keras_balanced_siamese.sampling import EpochSequence


class Training(NamedTuple):
    """The newest training that has adapted a target."""

    model: Any  # weak reference
    start: np.ndarray  # (C,) values before it
    given_by_class: bool
    mark: Any  # of the values that it has left


_trainings: Any = weakref.WeakKeyDictionary()  # target -> {name of its values: Training}


def remember_training(adapted: AdaptedValues[Any], model: keras.Model, start: np.ndarray) -> None:
    """Note that a training of the model, which began with `start` `(C,)`, has set the current values."""
    if isinstance(adapted.target, (EpochSequence, WeightedLoss)):
        training = Training(weakref.ref(model), start, adapted.given_by_class, adapted.mark)
        _trainings.setdefault(adapted.target, {})[adapted.log_name] = training


def is_trained_by(adapted: AdaptedValues[Any], model: keras.Model) -> bool:
    """Return whether the newest training that has adapted the target is one of this model, or none is known."""
    training = _training_of(adapted)
    return training is None or training.model() is model


def starting_values(adapted: AdaptedValues[Any], model: keras.Model) -> np.ndarray:
    """Return the starting values `(C,)` for a callback that begins to train the model.

    If a training has left the current values, they are those with which it began; for another model, the target gets
    them again. Otherwise they are the current values.
    """
    training = _training_of(adapted)
    if training is None or training.mark != adapted.mark:
        return adapted.values
    adapted.given_by_class = training.given_by_class
    if training.model() is not model:
        adapted.set(training.start)
    return training.start


def _training_of(adapted: AdaptedValues[Any]) -> Training | None:
    if not isinstance(adapted.target, (EpochSequence, WeightedLoss)):
        return None
    return _trainings.get(adapted.target, {}).get(adapted.log_name)
