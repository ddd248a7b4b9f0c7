"""The models of Keras 2.15 in `data/legacy` and of older versions in `data/versions`, and what opens them."""

from pathlib import Path

import keras
import numpy as np

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops

FOLDER = Path(__file__).parent / "data" / "legacy"
VERSIONS = FOLDER.with_name("versions")


@keras.saving.register_keras_serializable("Tests")
class Root(keras.layers.Layer):
    """A distance with a constant under the root, as in many tutorials."""

    def __init__(self, least=1e-12, **kwargs):
        super().__init__(**kwargs)
        self.least = least

    def call(self, inputs):
        squared = ops.sum(ops.square(inputs[0] - inputs[1]), axis=1, keepdims=True)
        return ops.sqrt(ops.maximum(squared, self.least))

    def get_config(self):
        return {**super().get_config(), "least": self.least}


@keras.saving.register_keras_serializable("Tests")
class Absolute(keras.layers.Layer):
    def call(self, inputs):
        return ops.abs(inputs[0] - inputs[1])


class Distance(Root):
    def __init__(self, least=1e-7, **kwargs):
        super().__init__(least, **kwargs)


CUSTOM = {"MyPkg>EuclideanDistance": Root, "EuclideanDistance": Root, "Mine>Distance": Distance, "Distance": Distance}


def lambdas(name):
    """What takes the place of the Lambda layers of a model."""
    if "sequential_alone" in name:
        return {"unit": keras.layers.UnitNormalization(name="unit")}
    return {"d": Absolute(name="d") if "sequential_deferred" in name else "euclidean"}


def opened(name, **options):
    """The model of a file, by the name of the file."""
    return kbs.load_legacy_model(FOLDER / name, lambda_map=lambdas(name), custom_objects=CUSTOM, **options)


def inputs_and_outputs(name):
    """The recorded inputs of a model and what it predicts, each a list."""
    return recorded(FOLDER / f"{name.split('.')[0]}.npz")


def recorded(path):
    arrays = np.load(path)
    return [[arrays[key] for key in arrays.files if key.startswith(kind)] for kind in ("input", "output")]


def predictions(model, inputs):
    """What a model returns, as a list of arrays."""
    found = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0, batch_size=64)
    return found if isinstance(found, list) else [found]
