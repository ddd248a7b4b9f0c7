"""Weights of a file of Keras 2, put into the layers that were built for it; each is used once, or it is an error."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._checkpoint import Checkpoint
from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._order import in_order_of, leaves
from keras_balanced_siamese.legacy._places import counts_twice, paths
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


def _of_h5(part: Part, group: Any) -> Iterator[tuple[int, np.ndarray]]:
    used = 0
    for name in names_in(group, "layer_names"):
        own = group_in(group, name)
        names = [] if own is None else names_in(own, "weight_names")
        layer = next((one for one in part.parts if one.name == name), None)
        variables = [] if layer is None else in_order_of(names, layer)
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
    for path, variable in paths(part, "", counts_twice(file)):
        used.add(path)
        yield id(variable), fitting(array_in(file, path), variable, path)
    names = [one.replace(f"{LAYERS_OF_2_12}/", "layers/") for one in arrays_under(file)]
    stored = [one for one in names if one.split("/")[0] in ("layers", "vars")]  # no state of losses
    if left := sorted(set(stored) - used):
        raise ValueError(f"The file has weights that the model has not: {short(left)}")


def _of_checkpoint(part: Part, checkpoint: Checkpoint) -> Iterator[tuple[int, np.ndarray]]:
    names = [one.name for one in checkpoint.variables]
    if len(names) != (count := sum(len(layer.weights) for layer, _ in leaves(part))):
        raise ValueError(f"The SavedModel must have {count} weights, as many as the model. Received: {short(names)}")
    variables: list[Any] = []
    for layer, _ in leaves(part):
        own = names[len(variables) :][: len(layer.weights)]
        variables += in_order_of(own, Part("", "", layer))
    for (name, key), variable in zip(checkpoint.variables, variables, strict=True):
        yield id(variable), fitting(checkpoint.array(key), variable, name, name)


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
    return values
