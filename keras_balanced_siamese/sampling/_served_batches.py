"""Counts of the batches that a sequence serves, and its epochs as a `tf.data.Dataset`."""

import mmap
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from keras_balanced_siamese._running_model import is_scoring


class ServedBatches:
    """Numbers of batches, in this process and in processes that are forked from it."""

    def __init__(self) -> None:
        self._counts = np.frombuffer(mmap.mmap(-1, 16), np.int64)  # memory that forked processes share

    @property
    def total(self) -> int:
        """All batches so far."""
        return int(self._counts[0])

    @property
    def of_epoch(self) -> int:
        """Batches since the epoch was set."""
        return int(self._counts[1])

    def add(self) -> None:
        """Count a batch."""
        self._counts += 1

    def begin_epoch(self) -> None:
        """Set the count of the epoch to 0."""
        self._counts[1] = 0

    def __reduce__(self) -> Any:
        self._counts[0] += 1  # a copy begins at 0, and may serve batches in another process
        return ServedBatches, ()


class ServedSequence(Protocol):
    """A sequence of epochs."""

    epoch: int
    redraw: bool
    _served: ServedBatches

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


def tf_passes(sequence: ServedSequence) -> Callable[[], Iterator[Any]]:
    """Return a generator function that yields the batches of one epoch of the sequence.

    A new pass goes to the next epoch if the last one drew this epoch, and nobody has set an epoch since. The end of a
    pass cannot be seen, because no more batches are asked for than there are. `evaluate` and `predict` stay.
    """
    drawn: int | None = None

    def batches() -> Iterator[Any]:
        nonlocal drawn
        if not is_scoring():
            if sequence.redraw and drawn == sequence.epoch and sequence._served.of_epoch:
                sequence.set_epoch(sequence.epoch + 1)
            drawn = sequence.epoch
        for index in range(len(sequence)):
            yield sequence[index]

    return batches
