"""Arguments of a constructor that cannot be changed afterwards."""

import functools
import inspect
from typing import Any

KERAS_OWN = {"name", "dtype", "reduction", "class_weight"}  # with rules of their own


class FixedArguments:
    """Mixin: an argument of the constructor is stored once, as compiled steps and saved files rely on its value.

    A compiled step would ignore a later assignment on one backend and follow it on another.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) and name in _arguments_of(type(self)):
            raise AttributeError(
                f"`{name}` cannot be changed, as a compiled step may keep the old value: construct a new "
                f"`{type(self).__name__}` and call `model.compile` with it. Received: {name}={value!r}"
            )
        super().__setattr__(name, value)


@functools.cache
def _arguments_of(cls: type) -> frozenset[str]:
    return frozenset(inspect.signature(cls.__init__).parameters) - KERAS_OWN
