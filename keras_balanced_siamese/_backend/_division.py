"""Division of the batches of `fit` among the processes, by Keras or by this package."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_balanced_siamese._backend._processes import ALONE, Processes, processes


def parts_by_number() -> int:
    """Return the number of parts into which Keras divides a data set by the number of the batch, 1 for no division."""
    distribution = _distribution()
    return getattr(distribution, "num_data_shards", 1) if _divides(distribution) else 1


def is_divided() -> bool:
    """Return whether Keras divides a data set of `fit` among the processes, by batch number or each batch."""
    return processes().number > 1 and (keras.backend.backend() == "tensorflow" or parts_by_number() > 1)


def slices(model: Any) -> Processes:
    """Return the slices of each batch that the processes take where Keras does not divide, and averages gradients."""
    own = processes()
    if own.number == 1 or is_divided():
        return ALONE
    distribution = _distribution()
    if keras.backend.backend() == "torch" and not hasattr(model, "ddp_model"):  # Keras 3.16 has it
        return ALONE
    if distribution is None:
        return own if keras.backend.backend() == "torch" else ALONE
    if _divides(distribution):
        return ALONE
    number = min(own.number, getattr(distribution, "num_model_replicas", own.number))
    return Processes(getattr(distribution, "data_shard_id", own.rank), number)


@contextlib.contextmanager
def undivided() -> Iterator[None]:
    """Let Keras give all data, and all results, to each process inside this context."""
    distribution, divides = _distribution(), parts_by_number() > 1
    if divides:
        distribution.auto_shard_dataset = False
    try:
        yield
    finally:
        if divides:
            distribution.auto_shard_dataset = True


def is_shuffled_globally() -> bool:
    """Return whether `fit` shuffles by the state of Python's `random`, and not by the number of the epoch."""
    return tuple(map(int, keras.__version__.split(".")[:2])) < (3, 16)


def has_own_variables() -> bool:
    """Return whether each of several processes has variables of its own, which no other process reads."""
    if processes().number == 1 or keras.backend.backend() == "tensorflow":
        return False
    return keras.backend.backend() == "torch" or _distribution() is None


def _distribution() -> Any:
    return keras.distribution.distribution() if hasattr(keras, "distribution") else None


def _divides(distribution: Any) -> bool:
    return bool(getattr(distribution, "auto_shard_dataset", False))
