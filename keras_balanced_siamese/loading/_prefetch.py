"""Batches that are loaded before they are asked for, by worker threads or processes."""

import multiprocessing
import os
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from keras_balanced_siamese.loading._sources import Loader

_loader: Loader | None = None  # of a worker process


class Prefetch:
    """Loads the batches that probably come next.

    Keras starts workers of its own, but on some backends they hand out old batches after a model was built by `fit`,
    and on all they fix the sample weights when they fetch a batch. Here only the samples are loaded ahead. A wrong
    guess costs time and nothing else, because each batch is asked for by its number.

    Args:
        loader: What loads; a process gets a copy of it.
        workers: Threads or processes.
        use_multiprocessing: Whether they are processes, started in the way that is Python's default.
        ahead: Batches to have in hand or under way.
    """

    def __init__(self, loader: Loader, workers: int, use_multiprocessing: bool, ahead: int):
        self.loader = loader
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.ahead = ahead
        self.active = workers > 1 or (workers == 1 and use_multiprocessing)
        self._reset()

    def watch(self) -> None:
        """Note how the dice lie: Keras asks for the number of batches just before it shuffles them."""
        if self.active:
            self._dice = random.getstate()

    def get(self, plan: Hashable, index: int, steps: int, job: Callable[[int], tuple[Any, ...]]) -> Any:
        """The samples of batch `index`.

        Args:
            plan: What the batches belong to; those of another plan are forgotten.
            index: Number of the batch, of `steps`.
            steps: Batches there are.
            job: From a batch's number to the arguments of `Loader.load`.
        """
        with self._lock:
            if self._pid != os.getpid():  # a fork: the threads are not here
                self._reset()
            if plan is not self._plan or not self._coming or self._coming[0] != index:
                self._invalidate()
                self._plan, self._coming = plan, deque(self._guess(index, steps))
            self._coming.popleft()
            mine = self._futures.pop(index, None) or self._submit(job(index))
            for k in range(min(self.ahead, len(self._coming))):
                if self._coming[k] not in self._futures:
                    self._futures[self._coming[k]] = self._submit(job(self._coming[k]))
        return mine.result()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._executor: Executor | None = None
        self._futures: dict[int, Future[Any]] = {}
        self._plan: Hashable = None
        self._coming: deque[int] = deque()
        self._dice: Any = None

    def _guess(self, index: int, steps: int) -> list[int]:
        """The order of an epoch that begins with `index`: shuffled as Keras does it, or one after the other."""
        order = list(range(steps))
        if self._dice is not None:
            dice = random.Random()
            dice.setstate(self._dice)
            dice.shuffle(order)
            if order[0] == index:
                return order
        return list(range(index, steps))

    def _submit(self, arguments: tuple[Any, ...]) -> Future[Any]:
        if self._executor is None:
            if self.use_multiprocessing:
                context = multiprocessing.get_context()
                self._executor = ProcessPoolExecutor(self.workers, context, _keep, (self.loader,))
            else:
                self._executor = ThreadPoolExecutor(self.workers)
            weakref.finalize(self, self._executor.shutdown, wait=False, cancel_futures=True)
        if self.use_multiprocessing:
            return self._executor.submit(_load, *arguments)
        return self._executor.submit(self.loader.load, *arguments)

    def _invalidate(self) -> None:
        for future in self._futures.values():
            future.cancel()
        self._futures.clear()


def _keep(loader: Loader) -> None:
    global _loader
    _loader = loader


def _load(*arguments: Any) -> Any:
    assert _loader is not None
    return _loader.load(*arguments)
