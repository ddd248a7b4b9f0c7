"""Counterparts of the objects of tensorflow-addons, for users who call `keras.models.load_model` themselves."""

import importlib
from collections.abc import Callable
from typing import Any

from keras_balanced_siamese._backend import has_addons
from keras_balanced_siamese.legacy._compile import FUNCTIONS, SAME_OPTIMIZER, Reader
from keras_balanced_siamese.legacy._objects import Objects

LOSSES = tuple(FUNCTIONS.values())
METRICS = ("F1Score", "FBetaScore", "RSquare")
OPTIMIZERS = (*SAME_OPTIMIZER, "MovingAverage")


def addons_custom_objects() -> dict[str, Any]:
    """Return the counterparts of the objects of tensorflow-addons by their names in files, for `custom_objects`.

    The losses are those of this package, the metrics and optimizers those of Keras, with the arguments of the file.
    Where tensorflow-addons itself runs, its own objects are returned. Nothing is registered: pass the dict to
    `keras.models.load_model(path, custom_objects=...)`. Keras opens only some files of Keras 2 at all;
    `load_legacy_model` opens the others too.

    Returns:
        A dict from names, such as `"Addons>ContrastiveLoss"`, to classes and losses.

    Examples:
        >>> sorted(addons_custom_objects())[0]
        'Addons>AdamW'
    """
    if has_addons:
        return _own_objects()
    reader = Reader(Objects({}, {}), returns_distance=True)
    kinds = [(LOSSES, reader.loss), (METRICS, reader.metric), (OPTIMIZERS, reader.optimizer)]
    found: dict[str, Any] = {}
    for names, build in kinds:
        found |= {f"Addons>{name}": _stand_in(name, build) for name in names}
    for function, name in FUNCTIONS.items():
        found |= dict.fromkeys(
            (function, f"Addons>{function}"), reader.loss({"class_name": f"Addons>{name}", "config": {}})
        )
    return found


def _stand_in(name: str, build: Callable[[Any], Any]) -> type:
    """Return a class that Keras builds from the config of an object of tensorflow-addons."""

    def from_config(_cls: type, config: dict[str, Any]) -> Any:
        return build({"class_name": f"Addons>{name}", "config": config})

    def new(_cls: type) -> Any:  # of a class that a file names by a string
        return build({"class_name": f"Addons>{name}", "config": {}})

    return type(name, (), {"from_config": classmethod(from_config), "__new__": new})


def _own_objects() -> dict[str, Any]:
    addons: Any = importlib.import_module("tensorflow_addons")
    places = (
        (addons.losses, LOSSES),
        (addons.metrics, METRICS),
        (addons.optimizers, OPTIMIZERS),
        (addons.losses, FUNCTIONS),
    )
    found = {f"Addons>{name}": getattr(place, name) for place, names in places for name in names}
    return {**found, **{name: found[f"Addons>{name}"] for name in FUNCTIONS}}
