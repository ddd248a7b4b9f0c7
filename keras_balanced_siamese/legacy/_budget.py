"""A limit to the weights that are made for a file: no more than the file has values for."""

import inspect
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

_budget = threading.local()
_lock = threading.RLock()


@contextmanager
def bounded_weights(elements: int) -> Iterator[None]:
    """Let the layers that this thread builds make at most so many elements of weights.

    A hostile file can ask for layers of any size, and Keras allocates their weights at once.
    """
    with _lock:
        base: Any = keras.layers.Layer
        original = base.add_weight
        signature = inspect.signature(original)

        def add_weight(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(_budget, "left", None) is not None:  # other threads build what they like
                shape = signature.bind(layer, *args, **kwargs).arguments.get("shape") or ()
                _budget.left -= math.prod(int(size) for size in ([shape] if isinstance(shape, int) else shape))
                if _budget.left < 0:
                    raise ValueError(f"the model has more weights than the file, which has {elements}")
            return original(layer, *args, **kwargs)

        base.add_weight, _budget.left = add_weight, elements
        try:
            yield
        finally:
            base.add_weight, _budget.left = original, None
