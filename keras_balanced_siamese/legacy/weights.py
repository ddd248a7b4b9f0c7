"""Weights of Keras 2 for a network that is built in code."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import keras

from keras_balanced_siamese._checks import flag
from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._checkpoint import Checkpoint, Variable
from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._order import in_order_of
from keras_balanced_siamese.legacy._places import counts_twice, paths, paths_of_layer, snake_case
from keras_balanced_siamese.legacy._source import (
    Source,
    array_in,
    arrays_under,
    group_in,
    names_in,
    open_source,
)
from keras_balanced_siamese.legacy._weights import fitting, refresh

Row = tuple[str, list[Any], list[tuple[str, Any]]]  # name of the layer, its weights, places and arrays in the file


def load_legacy_weights(
    model: keras.Model, path: str | PathLike[str], *, skip_mismatch: bool = False
) -> dict[str, str]:
    """Set the weights of a model to those that Keras 2 saved, layer by layer, by the names of the layers.

    Use it where `load_legacy_model` cannot build the network, such as a SavedModel without metadata.

    Args:
        model: The network, built in code, with the layer names of the old one.
        path: An `.h5`, `.weights.h5` or `.keras` file or a SavedModel directory of Keras 2.
        skip_mismatch: Whether to leave layers as they are that do not fit. By default no weight is set then.

    Returns:
        For each layer with weights, in the model or in the file, what was done or why it does not fit.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or layers do not fit and `skip_mismatch` is false; the message has a line
            for each of them. If layers of a SavedModel have one name, and those around them other names here.

    Warns:
        UserWarning: If layers of a SavedModel without metadata have one name: only their order tells them apart.

    Examples:
        >>> old = load_legacy_model("old.h5", lambda_map={"d": "euclidean"}, compile=False)
        >>> network = keras.models.clone_model(old)  # in place of your own code
        >>> load_legacy_weights(network, "old.h5")
        {'tower': '7 weights set'}
    """
    flag("skip_mismatch", skip_mismatch)
    found: dict[str, str] = {}
    bad: list[str] = []
    assignments: list[tuple[Any, Any]] = []
    with open_source(Path(path)) as source:
        for name, variables, arrays in _rows(part_of(model), source):
            try:
                assignments += _pairs(variables, arrays, named=source.kind == "saved_model")
                found[name] = f"{len(arrays)} weights set"
            except ValueError as error:
                bad.append(name)
                found[name] = str(error)
    reached = {id(variable) for variable, _ in assignments}
    for name, layer in _named_leaves(part_of(model)):
        if (
            name.split("/")[0] not in found
            and name not in found
            and any(id(one) not in reached for one in layer.weights)
        ):
            bad.append(name)
            found[name] = "the file has no layer of this name"
    if bad and not skip_mismatch:
        lines = "\n".join(f"  {name}: {found[name]}" for name in bad)
        raise ValueError(
            f"{len(bad)} layers do not fit. Rename or change them, or pass skip_mismatch=True to leave them as they "
            f"are:\n{lines}"
        )
    for variable, values in assignments:
        variable.assign(values)
    refresh(part_of(model))
    return found


def part_of(layer: Any, name: str | None = None) -> Part:
    """Return the layers of a model, and those inside them, in the form that files have."""
    inside = layer.layers if isinstance(layer, keras.Model) else []
    parts = [part_of(one) for one in inside if not isinstance(one, keras.layers.InputLayer)]
    return Part(name or layer.name, type(layer).__name__, layer, parts)


def _pairs(variables: list[Any], arrays: list[tuple[str, Any]], named: bool) -> list[tuple[Any, Any]]:
    if not variables:
        raise ValueError(f"the model has no layer of this name with weights; the file has {len(arrays)} for it")
    if len(variables) != len(arrays):
        raise ValueError(f"it must have {len(variables)} weights in the file. Received: {len(arrays)}")
    pairs = zip(variables, arrays, strict=True)
    return [(one, fitting(array, one, place, place if named else None)) for one, (place, array) in pairs]


def _rows(model: Part, source: Source) -> Iterator[Row]:
    """Yield what the file has for each layer."""
    if source.kind == "h5":
        yield from _rows_of_h5(model, source.weights)
    elif source.kind == "saved_model":
        yield from _rows_of_checkpoint(model, source)
    elif source.config is None:
        for place, variable in paths(model, "", counts_twice(source.weights)):
            yield place, [variable], [(place, array_in(source.weights, place))]
    else:
        yield from _rows_of_keras(model, source)


def _rows_of_h5(model: Part, group: Any) -> Iterator[Row]:
    for name in names_in(group, "layer_names"):
        own = group_in(group, name)
        names = [] if own is None else names_in(own, "weight_names")
        part = next((one for one in model.parts if one.name == name), None)
        if names:
            arrays = [(f"{name}/{path}", array_in(own, path)) for path in names]
            yield name, [] if part is None else in_order_of(names, part), arrays


def _rows_of_keras(model: Part, source: Source) -> Iterator[Row]:
    file = source.weights
    for names, path in _places(source.config or {}, file if counts_twice(file) else None):
        layer = _layer(model, names)
        stored = group_in(source.weights, path)
        if layer is not None:
            where = list(paths_of_layer(layer, path))
            if where:
                arrays = [(place, array_in(source.weights, place)) for place, _ in where]
                yield "/".join(names), [one for _, one in where], arrays
        elif stored is not None and (places := arrays_under(stored)):
            yield "/".join(names), [], [(place, None) for place in places]


def _rows_of_checkpoint(model: Part, source: Source) -> Iterator[Row]:
    """Yield rows by the name of each weight, such as `dense/kernel`, in which the name of its layer is."""
    checkpoint: Checkpoint = source.weights
    stored, left = _stored_layers(model, source)
    wanted = {name: layer for name, layer in _named_leaves(model) if layer.weights}
    for name in sorted(wanted, key=lambda name: name not in stored):  # those in the same place first
        last = name.split("/")[-1]
        same = [name] if name in stored else [one for one in stored if one.split("/")[-1] == last]
        if len(same) > 1:
            raise ValueError(
                f"Build the models around the layer {name!r} with the names of the old ones, because the file has "
                f"several layers of this name. Received: {short(same)}"
            )
        if same:
            own = stored.pop(same[0])
            variables = in_order_of([one.name for one in own], Part("", "", wanted[name]))
            yield name, variables, [(one.name, checkpoint.array(one.key)) for one in own]
    left += [one for own in stored.values() for one in own]
    for place in dict.fromkeys(_place(one) for one in left):
        yield place, [], [(one.name, None) for one in left if _place(one) == place]


def _stored_layers(model: Part, source: Source) -> tuple[dict[str, list[Variable]], list[Variable]]:
    """Return the weights of each layer in the order of the file, and those that are left.

    Without a configuration in the file, its layers are those of the model, in the same order.
    """
    of_file = ["/".join(names) for names, _ in _places(source.config or {})]
    left, stored = list(source.weights.variables), {}
    counts = Counter(one.name for one in left)
    if not of_file and (twice := sorted({name.rpartition("/")[0] for name in counts if counts[name] > 1})):
        warnings.warn(
            f"Several layers of the file have one name: {short(twice)}. Without metadata in the file, they are told "
            "apart only by their order: compare predictions with those of the old model.",
            stacklevel=5,
        )
    for name in of_file or [name for name, layer in _named_leaves(model) if layer.weights]:
        own = _first_of(name.split("/")[-1], left)
        if own:
            stored[name], left = own, [one for one in left if one not in own]
    return stored, left


def _first_of(name: str, variables: list[Variable]) -> list[Variable]:
    """Return the weights of the first layer of this name; two layers in different models can have the same."""
    found: dict[str, Variable] = {}
    for one in variables:
        if name in one.name.split("/")[:-1]:
            if one.name in found:
                break
            found[one.name] = one
    return list(found.values())


def _place(variable: Variable) -> str:
    return variable.name.rpartition("/")[0]


def _places(
    config: Mapping[str, Any], twice: Any = None, names: tuple[str, ...] = (), root: str = ""
) -> Iterator[tuple[Any, str]]:
    """Yield the names of each layer, from the outermost model on, and its place in a `.keras` file.

    `twice` is a file in which those with weights count twice.
    """
    counts: dict[str, int] = {}
    layers = config.get("config", {}).get("layers", [])
    for one in layers:
        inner, kind = one.get("config", {}), snake_case(str(one.get("class_name")).split(">")[-1])
        k = counts.get(kind, 0)
        path = f"{root}layers/{kind}" + (f"_{k}" if k else "")
        stored = None if twice is None else group_in(twice, path)
        counts[kind] = k + 1 + int(stored is not None and bool(arrays_under(stored)))
        own = (*names, str(one.get("name") or inner.get("name")))
        if isinstance(inner.get("layers"), list):
            yield from _places(one, twice, own, f"{path}/")
        else:
            yield own, path


def _layer(model: Part, names: tuple[str, ...]) -> Any:
    for name in names:
        found = next((one for one in model.parts if one.name == name), None)
        if found is None:
            return None
        model = found
    return None if model.parts else model.layer


def _named_leaves(part: Part, before: str = "") -> Iterator[tuple[str, Any]]:
    for one in part.parts:
        if one.parts:
            yield from _named_leaves(one, f"{before}{one.name}/")
        else:
            yield f"{before}{one.name}", one.layer
