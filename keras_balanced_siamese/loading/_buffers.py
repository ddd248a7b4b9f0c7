"""Memory for batches that is used again once nobody looks at it any more."""

import sys
import threading
from typing import Any

import numpy as np

KEPT = 8  # arrays
WORTH_IT = 2**16  # bytes: smaller ones the allocator itself keeps at hand


def _references(kept: list[np.ndarray], k: int) -> int:
    return sys.getrefcount(kept[k])


FREE = _references([np.empty(1)], 0)  # what an array has that only the list holds


class Buffers:
    """Arrays for batches; fresh memory costs large batches half of their time.

    An array is given out again when nobody else refers to it or to a view of it: at the moment at which Python would
    have freed it otherwise.
    """

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Like `np.empty`."""
        with self._lock:
            for k in range(len(self._kept)):
                if _references(self._kept, k) == FREE and self._kept[k].shape == shape and self._kept[k].dtype == dtype:
                    return self._kept[k]
            buffer = np.empty(shape, dtype)
            if buffer.nbytes >= WORTH_IT:
                self._kept = [buffer, *self._kept[: KEPT - 1]]
            return buffer

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()
