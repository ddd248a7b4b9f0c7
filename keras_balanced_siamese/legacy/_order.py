"""The weights of a layer in the order in which a file of Keras 2 lists them."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._places import layers_inside

MARKS = {  # place inside a layer -> what names of weights there contain in a file
    "_query_dense": "/query/",
    "_key_dense": "/key/",
    "_value_dense": "/value/",
    "_output_dense": "/attention_output/",
    "forward_layer": "/forward_",
    "backward_layer": "/backward_",
}
Unit = tuple[str, ...]  # name of a layer between slashes, then the marks of a part of it


def in_order_of(names: Sequence[str], part: Part) -> list[Any]:
    """Return the weights of a layer or model in the order of their names in a file.

    Keras 2 lists the weights that train before the others, and the file does not say for each part of a layer whether
    it trained. So names decide, if each of them names a layer and a part of it; otherwise the order of Keras 2 does.

    Raises:
        ValueError: If a weight would get the values of another part of the same layer.
    """
    ordered = keras2_order(part)
    if len(names) != len(ordered):  # which is an error of the caller
        return ordered
    units = dict(_units(part))
    found = _by_names(names, [(units[id(one)], one) for one in ordered]) or ordered
    for name, variable in zip(names, found, strict=True):
        _check_marks(name, variable, units[id(variable)])
    return found


def keras2_order(part: Part) -> list[Any]:
    """The weights of a layer as Keras 2 lists them: all that train, then all others."""
    first: list[Any] = []
    then: list[Any] = []
    for layer, trainable in leaves(part):
        own = layer.trainable_weights if trainable else []
        first += own
        then += [one for one in layer.weights if not any(one is other for other in own)]
    return first + then


def leaves(part: Part, trainable: bool = True) -> Iterator[tuple[Any, bool]]:
    """Yield the layers without parts of their own, in the order of the file, and whether they train."""
    if not isinstance(part.layer, keras.layers.Layer):  # an input or an operation
        return
    trainable = trainable and part.layer.trainable
    if not part.parts:
        yield part.layer, trainable
    for one in part.parts:
        yield from leaves(one, trainable)


def _units(part: Part, unit: Unit = ("/",)) -> Iterator[tuple[int, Unit]]:
    """Yield the unit of each weight; the weights of a unit are in the same order whether it trains or not."""
    for one in part.parts:
        yield from _units(one, (f"/{one.name}/",))
    if not part.parts and isinstance(part.layer, keras.layers.Layer):
        yield from _units_of_layer(part.layer, unit)


def _units_of_layer(layer: Any, unit: Unit) -> Iterator[tuple[int, Unit]]:
    yield from ((id(one), unit) for one in layer.weights)
    for place, one in layers_inside(layer):  # a later value replaces an earlier one
        mark = f"/{one.name}/" if place.startswith("cells/") else MARKS.get(place)
        yield from _units_of_layer(one, unit if mark is None else (*unit, mark))


def _by_names(names: Sequence[str], weights: list[tuple[Unit, Any]]) -> list[Any] | None:
    """Return the weights in the order of the names, or `None` unless each weight is named."""
    left: dict[Unit, list[Any]] = {}
    for unit, variable in weights:
        left.setdefault(unit, []).append(variable)
    found = []
    for name in names:
        unit = max(left, key=lambda unit: _fit(name, unit))
        if _fit(name, unit) < (0, 0) or not left[unit]:
            return None
        found.append(left[unit].pop(0))
    return found


def _fit(name: str, unit: Unit) -> tuple[int, int]:
    """Return where a name has the layer, and the number of marks; `-1` if it does not fit."""
    layer, *marks = unit
    whole = f"/{name.rpartition('/')[0]}/"
    place = 0 if layer == "/" else whole.rfind(layer)  # a layer alone needs no name
    fits = place >= 0 and all(mark in whole[place:] for mark in marks)
    return (place, len(marks)) if fits else (-1, 0)


def _check_marks(name: str, variable: Any, unit: Unit) -> None:
    for own in set(unit[1:]) & set(MARKS.values()):
        others = [one for one in MARKS.values() if one != own and one.endswith("_") == own.endswith("_")]
        if own not in f"/{name}" and any(one in f"/{name}" for one in others):
            path = getattr(variable, "path", variable.name)
            raise ValueError(
                f"The weights {path!r} must have a name with {own.strip('/_')!r}: a part of the layer was frozen alone "
                "when the file was written, which Keras 2 then lists last. Set `trainable = True` for all parts of the "
                f"layer in Keras 2, and save the model again. Received: {name!r}"
            )
