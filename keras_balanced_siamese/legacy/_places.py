"""The places of weights in a `.keras` file of Keras 2."""

import re
from collections.abc import Iterator
from typing import Any

import keras

from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._source import LAYERS_OF_2_12


def paths(part: Part, root: str, twice: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the place in the file of each weight: containers number their parts by class; see `counts_twice`."""
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


def counts_twice(file: Any) -> bool:
    """Return whether the parts with weights count twice, as in Keras 2.12 and 2.13: numbers are left out then."""
    names: set[str] = set()
    file.visit(names.add)
    return LAYERS_OF_2_12 in file and any(one.endswith("_2") and f"{one[:-1]}1" not in names for one in names)


def paths_of_layer(layer: Any, path: str) -> Iterator[tuple[str, Any]]:
    inside = layers_inside(layer)
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


def layers_inside(layer: Any) -> list[tuple[str, Any]]:
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
    """Write the name of a class as Keras 2 does in files: `ConvLSTM2D` becomes `conv_lstm2d`."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
