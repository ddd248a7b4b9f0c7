"""Batches that worker threads or processes load before they are requested."""

import multiprocessing
import os
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

from keras_balanced_siamese.loading._loader import Loader
from keras_balanced_siamese.loading._workers import WorkerDied, Workers


class Prefetch:
    """Loads the batches that are expected next.

    Keras starts workers of its own, but on some backends they return old batches after `fit` has built a model, and on
    all backends they fix the sample weights when they fetch a batch. Here only the samples are loaded ahead.

    The expected order is that of `fit`: ascending, or shuffled by `random.shuffle` of Python's global generator, whose
    state is saved just before. Every batch is requested by its number, so a wrong expectation costs time and never
    changes a batch. Without the saved state, workers would not help under `fit(shuffle=True)`, the default.

    The workers end with the last batch of an epoch, because a backend may never free a data set that it has read. Only
    processes that are not forked stay, since they take seconds to start. All end when they have been idle for a while,
    or once nothing else refers to this object.

    Args:
        loader: Loads the samples; a worker process gets a copy.
        workers: Number of threads or processes.
        use_multiprocessing: Whether the workers are processes, started by Python's default method.
        ahead: Number of batches to keep loaded or in progress.
    """

    def __init__(self, loader: Loader, workers: int, use_multiprocessing: bool, ahead: int):
        self.loader = loader
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.ahead = ahead
        self.active = workers > 1 or (workers == 1 and use_multiprocessing)
        self._reset()

    def save_random_state(self) -> None:
        """Save the state of Python's global random generator: Keras reads the length just before it shuffles."""
        if self.active:
            self._random_state = random.getstate()

    def get(self, plan: Hashable, index: int, steps: int, job: Callable[[int], tuple[Any, ...]]) -> Any:
        """The samples of batch `index`.

        Args:
            plan: The plan of the epoch; batches of another plan are dropped.
            index: Number of the batch.
            steps: Number of batches in the epoch.
            job: Function from the number of a batch to the arguments of `Loader.load`.

        Raises:
            RuntimeError: If a worker process cannot be started, or dies; the next call starts new ones.
        """
        if self._pid != os.getpid():  # after a fork, the threads do not exist here, and a lock may never be released
            self._reset()
        with self._lock:
            if plan is not self._plan or not self._expected or self._expected[0] != index:
                self._invalidate()
                self._plan, self._expected = plan, deque(self._order(index, steps))
            self._expected.popleft()
            requested = self._futures.pop(index, None) or self._submit(job(index))
            for k in range(min(self.ahead, len(self._expected))):
                if self._expected[k] not in self._futures:
                    self._futures[self._expected[k]] = self._submit(job(self._expected[k]))
            if not self._expected and self._starts_fast():
                self.end_workers()
        try:
            return requested.result()
        except WorkerDied:
            with self._lock:
                self._invalidate()
                self.end_workers()
            raise
        finally:
            del requested  # an error holds this frame, which must not hold the error

    def end_workers(self) -> None:
        """Let the workers end once they have loaded what they were asked for; the next batch starts new ones."""
        with self._lock:
            if self._workers is not None:
                self._workers[1].detach()
                self._workers[0].close()
                self._workers = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._workers: tuple[Workers, Any] | None = None  # and what ends them with this object
        self._futures: dict[int, Future[Any]] = {}
        self._plan: Hashable = None
        self._expected: deque[int] = deque()
        self._random_state: Any = None

    def _order(self, index: int, steps: int) -> list[int]:
        """The expected order of an epoch that begins with batch `index`."""
        order = list(range(steps))
        if self._random_state is not None:
            generator = random.Random()
            generator.setstate(self._random_state)
            generator.shuffle(order)
            if order[0] == index:
                return order
        return list(range(index, steps))

    def _starts_fast(self) -> bool:
        return not self.use_multiprocessing or multiprocessing.get_start_method() == "fork"

    def _submit(self, arguments: tuple[Any, ...]) -> "Future[Any]":
        if self._workers is None:
            prefetch = weakref.ref(self)

            def when_idle() -> None:
                if (found := prefetch()) is not None:
                    found.end_workers()

            workers = Workers(self.loader, self.workers, self.use_multiprocessing, when_idle)
            self._workers = workers, weakref.finalize(self, workers.cancel)
        return self._workers[0].submit(arguments)

    def _invalidate(self) -> None:
        for future in self._futures.values():
            future.cancel()
        self._futures.clear()
