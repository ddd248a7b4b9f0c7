"""Count of the batches that a sequence has served, in forked worker processes too."""

import mmap
import struct
from multiprocessing.context import get_spawning_popen
from typing import Any


class ServedBatches:
    """A number in memory that forked processes share; a copy of it counts from 0."""

    def __init__(self):
        self._memory = mmap.mmap(-1, 8)
        self._elsewhere = False  # whether a started process, not forked, has a copy

    def add(self) -> None:
        struct.pack_into("Q", self._memory, 0, struct.unpack_from("Q", self._memory)[0] + 1)

    @property
    def number(self) -> int | None:
        """The number of batches; `None` if a process that does not share the memory may serve some."""
        return None if self._elsewhere else struct.unpack_from("Q", self._memory)[0]

    def __reduce__(self) -> Any:
        self._elsewhere |= get_spawning_popen() is not None
        return ServedBatches, ()
