"""Opening of models that Keras 2 has saved, with tensorflow-addons or without."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from keras_balanced_siamese._checks import flag
from keras_balanced_siamese._text import short
from keras_balanced_siamese.layers.cosine import CosineDistance
from keras_balanced_siamese.layers.euclidean import EuclideanDistance
from keras_balanced_siamese.layers.manhattan import ManhattanDistance
from keras_balanced_siamese.layers.squared import SquaredDistance
from keras_balanced_siamese.legacy._budget import bounded_weights
from keras_balanced_siamese.legacy._compile import compile_arguments
from keras_balanced_siamese.legacy._graph import Part, build_model
from keras_balanced_siamese.legacy._objects import Objects, has_masks
from keras_balanced_siamese.legacy._slots import restore_slots
from keras_balanced_siamese.legacy._source import Source, elements_under, open_source
from keras_balanced_siamese.legacy._weights import load_weights


@dataclass
class Report:
    """What was found in a file, and what became of it.

    Attributes:
        version: Version of Keras that wrote the file.
        n_layers, n_weights: Numbers of layers, also inside others, and of arrays of weights.
        replaced: Kind or name, what it was, and what took its place.
        inferring: Layers that Keras 2 called with `training=False` in `fit` too, which Keras 3 does not.
        missing: What has no counterpart.
        compiled: Whether the model is compiled.
        optimizer: What became of the state of the optimizer.
    """

    version: str
    n_layers: int = 0
    n_weights: int = 0
    replaced: list[tuple[str, str, str]] = field(default_factory=list)
    inferring: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    optimizer: str = "not read"
    compiled: bool = False


def load_legacy_model(
    path: str | PathLike[str],
    *,
    lambda_map: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> keras.Model:
    """Open a model that Keras 2 has saved, with tensorflow-addons or without, as a model of the Keras in use.

    The file is read as data: no code in it is run, and no name in it is imported. Functional and `Sequential` models
    open, also nested ones and those with a shared tower. Operations of TensorFlow in the graph, such as
    `tf.norm(a - b, axis=1)`, become layers that run on every backend.

    Args:
        path: An `.h5` or `.keras` file of Keras 2, or a SavedModel directory that `model.save` wrote.
        lambda_map: What takes the place of each `Lambda` layer, by its name: a layer, or `"euclidean"`, `"cosine"`,
            `"manhattan"` or `"squared"`, a distance of the two tensors on which the layer is called.
        custom_objects: Your own layers, losses, metrics and functions by their names in the file. Classes that are
            registered with `keras.saving.register_keras_serializable` are found without it.
        compile: Whether to compile the model as it was. The losses of tensorflow-addons become those of this package,
            its metrics and optimizers those of Keras. The state of the optimizer is restored if it fits.

    Returns:
        A model of Keras with the weights of the file, which can be saved, loaded and trained.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or of Keras 3 or another kind, it has a layer or an operation that is
            unknown, a `Lambda` layer is not in `lambda_map`, or the weights do not fit.

    Warns:
        UserWarning: If a loss, a metric or an optimizer has no counterpart. Without loss or optimizer the model is not
            compiled. If a layer that acts otherwise in training is called with `training=False`.

    Examples:
        >>> model = load_legacy_model("old.h5", lambda_map={"d": "euclidean"})
        >>> model.loss.margin
        1.5
    """
    model, report = load_with_report(path, lambda_map, custom_objects, flag("compile", compile))
    if report.inferring:
        warnings.warn(
            f"{Path(path).name!r} calls layers with training=False, which this Keras ignores in `fit`: "
            f"{short(report.inferring)}. Predictions are not affected. Before `fit`, set `trainable = False` for their "
            "`BatchNormalization` layers and `rate = 0` for their `Dropout` layers.",
            stacklevel=2,
        )
    if report.missing:
        warnings.warn(
            f"{Path(path).name!r} was compiled with what has no counterpart: {'; '.join(report.missing)}. "
            + ("" if report.compiled else "The model is not compiled: call `compile` before `fit`."),
            stacklevel=2,
        )
    return model


def load_with_report(
    path: str | PathLike[str],
    lambda_map: Mapping[str, Any] | None,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
) -> tuple[keras.Model, Report]:
    """The model of `load_legacy_model`, and what became of the parts of the file."""
    with open_source(Path(path)) as source:
        if source.config is None:
            raise ValueError(
                f"{str(path)!r} holds weights without the layers. Build the network in code and call "
                "`load_legacy_weights(model, path)`"
            )
        if not source.version.startswith(("2.", "unknown")):
            raise ValueError(
                f"{str(path)!r} was written by Keras {source.version}: open it with `keras.models.load_model`. "
                "Some names in it mean something else in Keras 2"
            )
        objects = Objects(_mapping("custom_objects", custom_objects), _layers(lambda_map), has_masks(source.config))
        with bounded_weights(elements_under(source.weights)):
            part = build_model(source.config, objects)
        report = Report(source.version, n_layers=_size(part))
        report.n_weights = load_weights(part, source)
        report.replaced += objects.replaced
        report.inferring += dict.fromkeys(objects.inferring)
        if compile:
            _compile(part, source, objects, report)
        return part.layer, report


def _compile(part: Part, source: Source, objects: Objects, report: Report) -> None:
    compiled = compile_arguments(source.compiled, objects, part.layer)
    report.replaced += compiled.replaced
    report.missing += compiled.missing
    if compiled.arguments is not None:
        part.layer.compile(**compiled.arguments)
        report.compiled = True
        if "optimizer" in compiled.arguments:
            report.optimizer = restore_slots(part.layer, part, source)


def _size(part: Part) -> int:
    return sum(_size(one) for one in part.parts) if part.parts else 1


def _mapping(name: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"`{name}` must be a dict by name. Received: {name}={short(given)}")
    return given or {}


DISTANCES = {
    "cosine": CosineDistance,
    "euclidean": EuclideanDistance,
    "manhattan": ManhattanDistance,
    "squared": SquaredDistance,
}


def _layers(lambda_map: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the layer for each name."""
    layers: dict[str, Any] = {}
    for name, given in _mapping("lambda_map", lambda_map).items():
        if isinstance(given, str) and given in DISTANCES:
            given = DISTANCES[given](name=name)
        if not callable(given) or isinstance(given, type):
            raise ValueError(
                f"`lambda_map` must hold layers, or names among {sorted(DISTANCES)}. "
                f"Received: lambda_map[{name!r}]={short(given)}"
            )
        layers[name] = given
    return layers
