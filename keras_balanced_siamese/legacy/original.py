"""The model of a file as Keras 2 itself opens it, to compare predictions with."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from keras_balanced_siamese._backend import opens_keras_2
from keras_balanced_siamese.legacy._objects import is_foreign
from keras_balanced_siamese.legacy._source import open_source

CODE = ("Lambda", "__lambda__", "lambda")  # whose code Keras 2 would run


def original_of(path: Path) -> tuple[Any, str]:
    """Open a file with Keras 2 where it is installed; return the model, or `None` and the reason in words.

    A file with `Lambda` layers or with objects that are not of Keras is not opened: Keras 2 runs the code in it, and
    imports the modules that it names.
    """
    if not opens_keras_2:
        return None, "Keras 2 is not installed here"
    with open_source(path) as source:
        found = list(_objects({**(source.config or {}), "compile_config": None}))
    if any(one.get("class_name") in CODE for one in found):
        return None, "Lambda layers hold code, which is not run"
    if any(is_foreign(one) for one in found):
        return None, "it has objects that are not of Keras"
    try:
        return keras.models.load_model(path, compile=False), ""
    except Exception as error:  # Keras 2 raises many kinds
        return None, f"Keras 2 does not open it: {type(error).__name__}"


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all dicts in a configuration that name a class or a module."""
    if isinstance(value, Mapping):
        if "class_name" in value or "module" in value:
            yield value
        for one in value.values():
            yield from _objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)
