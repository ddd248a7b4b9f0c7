"""Weights of a file of Keras 2, put into the layers that were built for it; each is used once, or it is an error."""

import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._checkpoint import Checkpoint
from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._source import LAYERS_OF_2_12, Source, array_in, arrays_under, group_in, names_in


def load_weights(part: Part, source: Source) -> int:
    """Set all weights of a model to those in the file; return their number.

    Raises:
        ValueError: If weights are missing or left over, or have other shapes or names.
    """
    read = {"h5": _of_h5, "keras": _of_keras, "saved_model": _of_checkpoint}[source.kind]
    found = dict(read(part, source.weights))
    variables = {id(one): one for one in part.layer.weights}
    missing = [one for key, one in variables.items() if key not in found]
    if missing:
        raise ValueError(f"The file has no values for the weights {short([one.name for one in missing])}")
    for key, variable in variables.items():
        variable.assign(found[key])
    refresh(part)
    return len(variables)


def refresh(part: Part) -> None:
    """Let each layer that keeps values computed from its weights compute them again."""
    for layer, _ in leaves(part):
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, keras.layers.Normalization):
            inner.finalize_state()


def leaves(part: Part, trainable: bool = True) -> Iterator[tuple[Any, bool]]:
    """Yield the layers without parts of their own, in the order of the file, and whether they train."""
    if not isinstance(part.layer, keras.layers.Layer):  # an input or an operation
        return
    trainable = trainable and part.layer.trainable
    if not part.parts:
        yield part.layer, trainable
    for one in part.parts:
        yield from leaves(one, trainable)


def keras2_order(part: Part) -> list[Any]:
    """The weights of a layer as Keras 2 lists them: all that train, then all others."""
    first: list[Any] = []
    then: list[Any] = []
    for layer, trainable in leaves(part):
        own = layer.trainable_weights if trainable else []
        first += own
        then += [one for one in layer.weights if not any(one is other for other in own)]
    return first + then


def _of_h5(part: Part, group: Any) -> Iterator[tuple[int, np.ndarray]]:
    used = 0
    for name in names_in(group, "layer_names"):
        own = group_in(group, name)
        names = [] if own is None else names_in(own, "weight_names")
        layer = next((one for one in part.parts if one.name == name), None)
        variables = [] if layer is None else keras2_order(layer)
        if len(names) != len(variables):
            raise ValueError(
                f"The layer {name!r} must have {len(variables)} weights in the file. Received: {short(names)}"
            )
        for path, variable in zip(names, variables, strict=True):
            yield id(variable), fitting(array_in(own, path), variable, f"{name}/{path}", path)
            used += 1
    stored = len(arrays_under(group))
    if stored > used:
        raise ValueError(f"The file has {stored} arrays of weights, but the model has {used} weights")


def _of_keras(part: Part, file: Any) -> Iterator[tuple[int, np.ndarray]]:
    used: set[str] = set()
    for path, variable in paths(part, "", LAYERS_OF_2_12 in file):
        used.add(path)
        yield id(variable), fitting(array_in(file, path), variable, path)
    names = [one.replace(f"{LAYERS_OF_2_12}/", "layers/") for one in arrays_under(file)]
    stored = [one for one in names if one.split("/")[0] in ("layers", "vars")]  # no state of losses
    if left := sorted(set(stored) - used):
        raise ValueError(f"The file has weights that the model has not: {short(left)}")


def _of_checkpoint(part: Part, checkpoint: Checkpoint) -> Iterator[tuple[int, np.ndarray]]:
    variables = [one for layer, _ in leaves(part) for one in keras2_order(Part("", "", layer))]
    if len(variables) != len(checkpoint.variables):
        raise ValueError(
            f"The SavedModel must have {len(variables)} weights, as many as the model. "
            f"Received: {short([name for name, _ in checkpoint.variables])}"
        )
    for (name, key), variable in zip(checkpoint.variables, variables, strict=True):
        yield id(variable), fitting(checkpoint.array(key), variable, name, name)


def paths(part: Part, root: str, twice: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the place in the file of each weight: containers number their parts by class.

    Keras 2.12 counts the parts with weights twice.
    """
    counts: dict[str, int] = {}
    for one in part.parts:
        kind = snake_case(one.class_name.split(">")[-1])
        k = counts.get(kind, 0)
        counts[kind] = k + 1 + int(twice and bool(getattr(one.layer, "weights", ())))
        path = f"{root}layers/{kind}" + (f"_{k}" if k else "")
        if one.parts:
            yield from paths(one, f"{path}/", twice)
        elif isinstance(one.layer, keras.layers.Layer):
            yield from paths_of_layer(one.layer, path)


def paths_of_layer(layer: Any, path: str) -> Iterator[tuple[str, Any]]:
    inside = _layers_inside(layer)
    below = [variable for name, one in inside for variable in one.weights]
    own = [one for one in layer.weights if not any(one is other for other in below)]
    for k, variable in enumerate(own):
        yield f"{path}/vars/{k}", variable
    for name, one in inside:
        yield from paths_of_layer(one, f"{path}/{name}")


INSIDE = (
    "layer",
    "cell",
    "forward_layer",
    "backward_layer",
    "_query_dense",
    "_key_dense",
    "_value_dense",
    "_output_dense",
)


def _layers_inside(layer: Any) -> list[tuple[str, Any]]:
    """The layers inside a layer with weights, by the names of their places."""
    found = [(name, getattr(layer, name, None)) for name in INSIDE]
    if isinstance(layer, keras.layers.Bidirectional):
        found = [one for one in found if one[0] != "layer"]
    cells = getattr(layer, "cells", None)
    if isinstance(cells, (list, tuple)):
        counts: dict[str, int] = {}
        for cell in cells:
            kind = snake_case(type(cell).__name__)
            k = counts.get(kind, 0)
            counts[kind] = k + 1
            found.append((f"cells/{kind}" + (f"_{k}" if k else ""), cell))
    return [(name, one) for name, one in found if isinstance(one, keras.layers.Layer) and one.weights]


def snake_case(name: str) -> str:
    """Write the name of a class as Keras does in files: `Conv2D` becomes `conv2d`."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def fitting(values: np.ndarray | None, variable: Any, place: str, name: str | None = None) -> np.ndarray:
    """Check that an array belongs to a variable."""
    if values is None:
        raise ValueError(f"The file has no array {place!r}, the values of {variable.name!r}")
    if values.shape != tuple(variable.shape):
        raise ValueError(
            f"The weights {variable.name!r} must have the shape {tuple(variable.shape)}. "
            f"Received: {place!r} of shape {values.shape}"
        )
    last = None if name is None else name.split("/")[-1].split(":")[0]
    own = variable.name.split("/")[-1].split(":")[0]
    if last is not None and not last.endswith(own):  # `depthwise_kernel` is `kernel` in Keras 3
        raise ValueError(f"The weights {variable.name!r} must have a name that ends in {own!r}. Received: {place!r}")
    other = {"forward": "/backward_", "backward": "/forward_"}
    path = getattr(variable, "path", variable.name)
    if name is not None and any(f"/{side}_" in path and there in f"/{name}" for side, there in other.items()):
        raise ValueError(
            f"The weights {path!r} must have a name of the same direction: one of them was frozen alone when the file "
            f"was written, which Keras 2 then lists last. Received: {place!r}"
        )
    return values
