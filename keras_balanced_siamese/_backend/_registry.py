"""The classes of this package in saved models."""

from typing import Any

import keras

PACKAGE = "keras_balanced_siamese"
registered: dict[str, type] = {}  # name in saved models -> class


def register(cls: Any) -> Any:
    """Class decorator: register a class with Keras, and list it for `custom_objects`."""
    registered[f"{PACKAGE}>{cls.__name__}"] = cls
    return keras.saving.register_keras_serializable(package=PACKAGE)(cls)
