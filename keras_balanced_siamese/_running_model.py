"""The model that trains, evaluates or predicts right now, and its data.

Keras tells losses, metrics and data sets neither the model that uses them nor what for, so both are read off the call
stack.
"""

import sys
import threading
from typing import Any, NamedTuple

import keras

from keras_balanced_siamese._backend import is_stack_readable

ENTRIES = ("fit", "evaluate", "train_on_batch", "test_on_batch")


class RunningModel(NamedTuple):
    """A model, and the arguments `x` and `y` of its `fit` or `evaluate`; `None` where they are unknown."""

    model: Any
    x: Any
    y: Any


def running_model() -> RunningModel | None:
    """Return the model whose method calls the caller; `None` outside of a model, as in a loop of one's own."""
    if not is_stack_readable():
        return None
    model, frame = None, sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_varnames[:1] == ("self",):
            given = frame.f_locals
            if model is None and isinstance(given.get("self"), keras.Model):
                model = given.get("self")
            if model is not None and given.get("self") is model and frame.f_code.co_name in ENTRIES:
                return RunningModel(model, given.get("x"), given.get("y"))
        frame = frame.f_back
    return None if model is None else RunningModel(model, None, None)


def is_scoring() -> bool:
    """Return whether `evaluate` or `predict` of a model reads its data just now, and not `fit`.

    The calls of this thread are searched first, then those of the main thread, which waits while a backend reads the
    data in another one.
    """
    for thread in (threading.get_ident(), threading.main_thread().ident):
        frame = None if thread is None else sys._current_frames().get(thread)
        while frame is not None:
            name = frame.f_code.co_name
            if name in ("fit", "evaluate", "predict") and isinstance(frame.f_locals.get("self"), keras.Model):
                return name != "fit"
            frame = frame.f_back
    return False


def is_fitting(model: Any) -> bool:
    """Return whether `fit` of the model is running, which a flag could not tell after an interruption."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            return True
        frame = frame.f_back
    return False
