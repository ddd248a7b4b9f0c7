"""The data that a callback and `fit` share: copies that keep it, and the check that `fit` draws from it."""

import copy
from typing import Any

import keras

from keras_balanced_siamese.sampling import EpochSequence

PEEKED = 2  # batches that Keras may have taken before the training begins
MODELS = ("model", "_model", "encoder", "encoder_")


class DataCallback(keras.callbacks.Callback):
    """Abstract callback with data: a deep copy of it shares data and models, and has a state of its own.

    So a tuner can copy the callbacks for each trial while `fit` gets the same data.
    """

    shared: tuple[str, ...] = ()  # names of the attributes that are not copied
    _served_before: int | None = None  # batches that the data had served when the training began

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        kept = [vars(self).get(name) for name in (*MODELS, *self.shared)]
        memo = {id(one): one for one in kept} | memo
        memo[id(self)] = twin = copy.copy(self)
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin

    def _begin_to_count(self, data: Any) -> None:
        self._served_before = data.batches_served if isinstance(data, EpochSequence) else None

    def _check_served(self, data: Any, name: str, effect: str) -> None:
        """Raise if the data has served no batch in the first epoch of the training.

        `name` is the argument of the callback, and `effect` what the callback has not done therefore.
        """
        before, self._served_before = self._served_before, None  # later epochs may come from a cache
        if before is None or len(data) <= PEEKED or data.batches_served > before:
            return
        me = type(self).__name__
        raise ValueError(
            f"`fit` has drawn no batch of this epoch from the `{name}` of {me}, so that {effect}. Pass the same object "
            f"to both: `model.fit(pairs, callbacks=[{me}(pairs, ...)])`. Where `pairs` is constructed again, construct "
            "the callback again too; where `fit` gets a part, `part = pairs.shard(...)`, or another copy, pass that "
            f"one. Received: a {type(data).__name__} of which `fit` has drawn 0 of {len(data)} batches"
        )
