"""Opening of models that Keras 2 saved, with tensorflow-addons or without."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from keras_balanced_siamese.layers.cosine import CosineDistance
from keras_balanced_siamese.layers.euclidean import EuclideanDistance
from keras_balanced_siamese.layers.manhattan import ManhattanDistance
from keras_balanced_siamese.legacy._graph import build_model
from keras_balanced_siamese.legacy._objects import Objects
from keras_balanced_siamese.legacy._source import open_source
from keras_balanced_siamese.legacy._weights import load_weights


def load_legacy_model(
    path: str | PathLike[str],
    *,
    lambda_map: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> keras.Model:
    """Open a model that Keras 2 has saved."""
    with open_source(Path(path)) as source:
        objects = Objects(custom_objects or {}, lambda_map or {})
        part = build_model(source.config, objects)
        load_weights(part, source)
        return part.layer
