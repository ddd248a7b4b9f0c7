"""Worker threads that load batches, each by itself or in a process of its own."""

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection, wait
from queue import Empty, SimpleQueue
from typing import Any

from keras_balanced_siamese.loading._loader import Loader

IDLE = 60.0  # seconds without a batch, after which the workers end
AT_EXIT = 5.0  # seconds that the exit of the interpreter waits for the batches in progress
_open: "weakref.WeakSet[Workers]" = weakref.WeakSet()
_starting = threading.Lock()  # one process at a time, so that no other one inherits its half-open pipe


class Workers:
    """Threads that load the batches that are submitted, in that order.

    Nobody waits for a worker that cannot answer: a thread ends with its queue, and one that drives a process waits for
    its answer or its death, whichever comes first. All threads are daemons.

    Args:
        loader: Loads the samples; a worker process gets a copy.
        number: Number of threads.
        use_multiprocessing: Whether each thread drives a process, started by Python's default method.
        when_idle: A function that a thread calls after `IDLE` seconds without a batch.
    """

    def __init__(self, loader: Loader, number: int, use_multiprocessing: bool, when_idle: Callable[[], None]):
        self._jobs: SimpleQueue[tuple[Future[Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._pid = os.getpid()
        loaders = [LoaderProcess(loader) if use_multiprocessing else loader for _ in range(number)]
        self._threads = [
            threading.Thread(target=_work, args=(self._jobs, each, when_idle), name="kbs_loader", daemon=True)
            for each in loaders  # all processes are started before any thread
        ]
        for thread in self._threads:
            thread.start()
        _open.add(self)

    def submit(self, arguments: tuple[Any, ...]) -> "Future[Any]":
        """Load a batch; `arguments` are those of `Loader.load`."""
        future: Future[Any] = Future()
        self._jobs.put((future, arguments))
        return future

    def close(self) -> None:
        """Let the workers end once they have loaded what was submitted; this does not wait for them."""
        for _ in self._threads:
            self._jobs.put(None)

    def cancel(self) -> None:
        """Let the workers end after the batches in progress."""
        with contextlib.suppress(Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()
        self.close()

    def join(self, deadline: float) -> None:
        """Wait for the threads, until a time of `time.monotonic` at most."""
        for thread in self._threads:
            if self._pid == os.getpid():
                thread.join(max(deadline - time.monotonic(), 0.0))


class WorkerDied(RuntimeError):
    """A worker process died while it loaded a batch."""


class LoaderProcess:
    """A loader in a process of its own, which is started again if there is another batch after it has died.

    Raises:
        RuntimeError: If the process cannot be started.
    """

    def __init__(self, loader: Loader):
        self._loader = loader
        self._process, self._connection = self._start()

    def load(self, *arguments: Any) -> Any:
        """The result of `Loader.load`.

        Raises:
            WorkerDied: If the process dies.
        """
        if self._process is None:
            self._process, self._connection = self._start()
        process = self._process
        try:
            self._connection.send(arguments)
            wait([self._connection, process.sentinel])
            if not self._connection.poll():
                raise EOFError
            samples, failure = self._connection.recv()
        except (EOFError, OSError):
            raise WorkerDied(self._death(*arguments)) from None
        if failure is not None:
            error, trace = failure
            raise error from RuntimeError(f"in a worker process:\n{trace}")
        return samples

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._connection.send(None)
            self._connection.close()
            self._process.join(AT_EXIT)
            self._process = None

    def _start(self) -> tuple[Any, Connection]:
        context = multiprocessing.get_context()
        with _starting:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self._loader), name="kbs_loader", daemon=True)
            try:
                process.start()
            except Exception as error:
                ours.close()
                raise RuntimeError(
                    f"A worker process cannot be started: {type(error).__name__}: {error}. Python's start method "
                    f"{context.get_start_method()!r} may have to pickle `x` and the transforms: define them at the top "
                    "level of a module, or pass use_multiprocessing=False"
                ) from error
            finally:
                theirs.close()
        return process, ours

    def _death(self, index: Any, epoch: int, batch: int, *rows: Any) -> str:
        """Clear away the dead process, and return a message."""
        process: Any = self._process
        self._process = None
        self._connection.close()
        process.join(AT_EXIT)
        return (
            f"A worker process died while it loaded batch {batch} of epoch {epoch}, {len(index)} samples from "
            f"x[{index[0]}] on. The system kills processes when memory runs out: pass fewer `workers`, a smaller "
            "`max_queue_size` or smaller batches. A library that crashes in a process is another cause: "
            f"use_multiprocessing=False. Received: exit code {process.exitcode}"
        )


def _work(jobs: "SimpleQueue[Any]", loader: Any, when_idle: Callable[[], None]) -> None:
    """Load batches until the queue holds `None`."""
    while True:
        try:
            job = jobs.get(timeout=IDLE)
        except Empty:
            when_idle()
            continue
        if job is None:
            break
        future, arguments = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(loader.load(*arguments))
            except BaseException as error:
                future.set_exception(error)
        del job, future, arguments  # an idle worker must not keep a batch alive
    if isinstance(loader, LoaderProcess):
        loader.close()


def _serve(connection: Connection, loader: Loader) -> None:
    """Load batches in a worker process, until told to end or until the main process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the main process
    parent = multiprocessing.parent_process()
    assert parent is not None
    with contextlib.suppress(EOFError, OSError):
        while connection in wait([connection, parent.sentinel]):
            arguments = connection.recv()
            if arguments is None:
                return
            try:
                answer = loader.load(*arguments), None
            except BaseException as error:
                answer = None, (error, traceback.format_exc())
            try:
                connection.send(answer)
            except OSError:
                raise
            except Exception as error:  # a sample or an error that cannot be pickled
                connection.send((None, (RuntimeError(f"{type(error).__name__}: {error}"), traceback.format_exc())))


def _end_all() -> None:
    """End all workers before the interpreter does, so that no thread is cut off inside a library."""
    deadline, workers = time.monotonic() + AT_EXIT, list(_open)
    for each in workers:
        each.cancel()
    for each in workers:
        each.join(deadline)


atexit.register(_end_all)
