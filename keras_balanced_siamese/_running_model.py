"""The model that is training, evaluating or predicting, and its data.

Keras does not pass the model and the purpose of a call to losses, metrics and data sets, so both are read from the
call stack.
"""

import gc
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

import keras

from keras_balanced_siamese._backend import is_stack_readable

ENTRIES = ("fit", "evaluate", "train_on_batch", "test_on_batch")
CONTAINERS = ("CompileLoss", "CompileMetrics", "MetricsList", "LossesContainer", "MetricsContainer")
STEPS = ("train_step", "test_step")
READERS = ("fit", "evaluate", "predict")
_no_collection = threading.Lock()


REVERSED_LABELS = (
    "A `BalancedPairSequence` labels similar pairs 1: leave out `similar_label`. Received: similar_label=0"
)


class RunningModel(NamedTuple):
    """A model, and the arguments `x` and `y` of its `fit` or `evaluate`; `None` where they are unknown."""

    model: Any
    x: Any
    y: Any
    compiled: bool  # whether Keras calls what was passed to `compile`, and not a training step written by hand


def running_model(part: Any) -> RunningModel | None:
    """Return the model that calls its loss or metric `part` on its output.

    It is `None` for any other call: in a custom loop, in a callback or a layer, or inside another loss or metric.
    """
    if not is_stack_readable():
        return None
    model, compiled = None, False
    for frame, owner in _owners(sys._getframe(1)):
        if model is not None:
            if owner is model and frame.f_code.co_name in ENTRIES:
                return RunningModel(model, frame.f_locals.get("x"), frame.f_locals.get("y"), compiled)
        elif type(owner).__name__ in CONTAINERS:
            compiled = True
        elif isinstance(owner, keras.Model) and (compiled or frame.f_code.co_name in STEPS):
            model = owner
        elif owner is not part:
            return None
    return None if model is None else RunningModel(model, None, None, compiled)


def label_kind(x: Any) -> str | None:
    """Return the kind of labels that a sequence of this package yields; `None` for all other data.

    A subclass with its own batches may yield anything.
    """
    own = getattr(type(x), "__getitem__", None)
    return getattr(x, "label_kind", None) if __package__ == getattr(own, "__module__", "").split(".")[0] else None


class Reader(NamedTuple):
    """The current call that reads data."""

    method: str  # "fit", "evaluate", "predict", or "callback"
    model: Any
    arguments: Mapping[str, Any]  # local variables of the call

    @property
    def has_begun(self) -> bool:
        """Whether `fit` has begun its first epoch, and does not only look at the data."""
        return "epoch" in self.arguments or "epoch" not in self.names

    @property
    def reads_a_data_set(self) -> bool:
        """Whether the data are a sequence of this package or a `tf.data.Dataset`, which another thread may read."""
        return any(hasattr(self.arguments.get("x"), name) for name in ("label_kind", "element_spec"))

    names: tuple[str, ...] = ()  # of all local variables


def reader() -> Reader | None:
    """Return the method of a model, or the callback, that is reading its data; `None` in a custom loop.

    The calls of this thread are searched first, then those of the main thread, which waits while a backend reads the
    data in another one.
    """
    for frame, owner in _owners(sys._getframe(1)):
        if isinstance(owner, keras.callbacks.Callback):
            return Reader("callback", None, {})
        if _is_reader(frame, owner):
            return _reader_of(frame, owner)
    if threading.current_thread() is not threading.main_thread():  # which may be in a callback at any time
        readers = _readers_of_main_thread()
        # a callback predicts arrays while another thread reads ahead for `fit`
        return next((one for one in readers if one.reads_a_data_set), readers[0] if readers else None)
    return None


def is_scoring() -> bool:
    """Return whether `evaluate` or `predict` of a model, or a callback, is reading its data, and not `fit`."""
    found = reader()
    return found is not None and found.method != "fit"


def _is_reader(frame: FrameType, owner: Any) -> bool:
    return isinstance(owner, keras.Model) and frame.f_code.co_name in READERS


def _reader_of(frame: FrameType, owner: Any) -> Reader:
    code = frame.f_code
    return Reader(code.co_name, owner, frame.f_locals, code.co_varnames + code.co_cellvars)


def is_fitting(model: Any) -> bool:
    """Return whether `fit` of the model is running, which a flag could not tell after an interruption."""
    calls = _owners(sys._getframe(1))
    return any(owner is model and frame.f_code.co_name == "fit" for frame, owner in calls)


def _readers_of_main_thread() -> list[Reader]:
    """Return the methods of models that the main thread is in, the innermost first.

    No garbage is collected meanwhile. Its deletion may let the main thread go on, and Python 3.11 then follows calls
    that have ended, which crashes; or it may need the lock that Python holds, for which all would wait for ever.
    """
    with _no_collection:
        enabled = gc.isenabled()
        gc.disable()
        try:
            newest = sys._current_frames().get(threading.main_thread().ident or 0)
            return [_reader_of(*one) for one in _owners(newest, READERS) if _is_reader(*one)]
        finally:
            if enabled:
                gc.enable()


def _owners(frame: FrameType | None, names: Collection[str] = ()) -> Iterator[tuple[FrameType, Any]]:
    """Yield the calls of methods in progress, the newest first, with the objects they belong to.

    Only the local variables of methods with these names are read; of all without names.
    """
    while frame is not None:
        code = frame.f_code
        if (not names or code.co_name in names) and ("self" in code.co_varnames[:1] or "self" in code.co_freevars):
            owner = frame.f_locals.get("self")
            if owner is not None:
                yield frame, owner
        frame = frame.f_back
