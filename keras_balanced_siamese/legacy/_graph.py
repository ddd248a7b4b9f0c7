"""Models from the configurations of Keras 2: their layers are built and called again, node by node."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_balanced_siamese._backend import forgets_training, mask_of
from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._objects import Objects, Operation, called, class_name_of, mapping_in
from keras_balanced_siamese.legacy._ops import OPERATIONS
from keras_balanced_siamese.legacy.operation import LegacyOperation, emptied

DEPTH = 32  # of models inside models
CONSTANT = "_CONSTANT_VALUE"
FUNCTIONAL, SEQUENTIAL = ("Functional", "Model"), "Sequential"
SHAPES = ("shape", "compat.v1.shape")
TRAINING_ONLY = (keras.layers.BatchNormalization, keras.layers.Dropout)  # which act otherwise in training


@dataclass
class Part:
    """A layer of the new model, with those inside it in the order of the file."""

    name: str
    class_name: str  # in the file
    layer: Any
    parts: list["Part"] = field(default_factory=list)
    first_node: int = 0  # number in the file of the first call


def build_model(config: Mapping[str, Any], objects: Objects, depth: int = 0) -> Part:
    """Build a model from its configuration, with weights as initialised.

    Raises:
        ValueError: If the configuration is not one of a model, or a part of it is unknown or cannot be built.
    """
    if depth > DEPTH:
        raise ValueError(f"Models may be nested at most {DEPTH} deep. Received: a file with more")
    class_name, inner = class_name_of(config), config.get("config")
    if isinstance(inner, list):  # a Sequential of an early Keras 2
        inner = {"layers": inner}
    inner = mapping_in({"config": inner}, "config")
    layers = inner.get("layers")
    if not isinstance(layers, list) or not all(isinstance(one, Mapping) for one in layers):
        raise ValueError(f"The model must have a list of layers. Received: layers={short(layers)}")
    name = str(inner.get("name") or config.get("name") or "model")
    if class_name == SEQUENTIAL:
        part = _sequential(name, inner, objects, depth)
    else:
        part = _Functional(name, inner, objects, depth).build()
    if inner.get("trainable") is False:
        part.layer.trainable = False
    return part


def is_model(config: Mapping[str, Any]) -> bool:
    """Return whether the configuration is that of a model made of layers."""
    inner = config.get("config")
    listed = isinstance(inner, list) or (isinstance(inner, Mapping) and isinstance(inner.get("layers"), list))
    return class_name_of(config) in (*FUNCTIONAL, SEQUENTIAL) or (listed and "output_layers" in (inner or ()))


def _part(config: Mapping[str, Any], objects: Objects, depth: int) -> Part:
    if is_model(config):
        return build_model(config, objects, depth + 1)
    inner = mapping_in(config, "config")
    name, class_name = str(config.get("name") or inner.get("name")), class_name_of(config)
    wrapped = inner.get("layer")
    if isinstance(wrapped, Mapping) and is_model(wrapped):
        raise ValueError(f"A model inside the wrapper {name!r} ({class_name}) is not supported")
    return Part(name, class_name, objects.layer(config))


def _sequential(name: str, inner: Mapping[str, Any], objects: Objects, depth: int) -> Part:
    configs = inner["layers"]
    shape, parts, first = None, [], None
    for config in configs:
        if class_name_of(config) == "InputLayer":
            first = input_of(mapping_in(config, "config"))
            parts.append(Part(first.name, "InputLayer", None))
            continue
        shape = shape or mapping_in(config, "config").get("batch_input_shape") if not parts else shape
        parts.append(_part(config, objects, depth))
    if first is None and (shape or inner.get("build_input_shape")):
        first = keras.Input(batch_shape=_shape(shape or inner["build_input_shape"]))
    model = keras.Sequential([part.layer for part in parts if part.layer is not None], name=name)
    if first is not None:
        model = called(f"the model {name!r}", lambda: keras.Sequential([first, *model.layers], name=name))
    return Part(name, SEQUENTIAL, model, parts, first_node=int(first is not None))


def input_of(inner: Mapping[str, Any]) -> Any:
    """Create the input of an `InputLayer`."""
    shape = inner.get("batch_input_shape", inner.get("batch_shape"))
    if inner.get("sparse") or inner.get("ragged"):
        raise ValueError(f"Sparse and ragged inputs are not supported. Received: {short(dict(inner))}")
    return keras.Input(batch_shape=_shape(shape), dtype=inner.get("dtype") or "float32", name=inner.get("name"))


def _shape(shape: Any) -> tuple[int | None, ...]:
    sizes = tuple(shape) if isinstance(shape, (list, tuple)) else ()
    if not sizes or not all(one is None or (isinstance(one, int) and 0 <= one < 2**31) for one in sizes):
        raise ValueError(f"The shape of an input must be a list of sizes. Received: {short(shape)}")
    return sizes


class _Functional:
    """Calls the layers of a functional model in an order in which each call has its inputs."""

    def __init__(self, name: str, inner: Mapping[str, Any], objects: Objects, depth: int):
        self.name, self.inner, self.objects, self.depth = name, inner, objects, depth
        self.outputs: dict[tuple[str, int], list[Any]] = {}  # layer and number of its call -> tensors

    def build(self) -> Part:
        parts: dict[str, Part] = {}
        calls: list[tuple[Part, int, Any]] = []
        for config in self.inner["layers"]:
            part, nodes = self._open(config)
            if part.name in parts:
                raise ValueError(f"Two layers of {self.name!r} have the name {part.name!r}")
            parts[part.name] = part
            calls += [(part, k, node) for k, node in enumerate(nodes)]
        _pass_over_names(parts)
        self._set_first_nodes(parts, calls)
        while calls:
            ready = [one for one in calls if all(self._known(place) for place in references(one[2]))]
            if not ready:
                missing = [place for place in references(calls[0][2]) if not self._known(place)]
                raise ValueError(
                    f"The graph of {self.name!r} has no start: {calls[0][0].name!r} needs {missing[:3]}, which no "
                    "other layer gives, or only one that needs it"
                )
            for part, k, node in ready:
                self.outputs[part.name, part.first_node + k] = self._call(part, node)
            done = set(map(id, ready))
            calls = [one for one in calls if id(one) not in done]
        inputs, outputs = (self._ends(key) for key in ("input_layers", "output_layers"))
        model = called(f"the model {self.name!r}", lambda: keras.Model(inputs, outputs, name=self.name))
        return Part(self.name, "Functional", model, list(parts.values()), first_node=1)

    def _open(self, config: Mapping[str, Any]) -> tuple[Part, list[Any]]:
        nodes = config.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise ValueError(f"`inbound_nodes` must be a list. Received: {short(nodes)}")
        if class_name_of(config) != "InputLayer":
            return _part(config, self.objects, self.depth), nodes
        inner = mapping_in(config, "config")
        name = str(config.get("name") or inner.get("name"))
        self.outputs[name, 0] = [called(f"the layer {name!r}", lambda: input_of(inner))]
        return Part(name, "InputLayer", None), []

    def _set_first_nodes(self, parts: Mapping[str, Part], calls: list[tuple[Part, int, Any]]) -> None:
        """Find out whether the calls of a model inside this one are counted from 1, as its own is the first one."""
        everything = [node for *_, node in calls] + [self.inner.get("output_layers")]
        used = [place for node in everything for place in references(node)]
        for part in parts.values():
            numbers = {number for name, number, _ in used if name == part.name}
            if part.parts and numbers:
                count = sum(one is part for one, *_ in calls)
                part.first_node = 0 if 0 in numbers else 1 if max(numbers) >= count else part.first_node

    def _known(self, place: tuple[str, int, int]) -> bool:
        name, number, _ = place
        return (name, number) in self.outputs

    def _tensor(self, place: tuple[str, int, int]) -> Any:
        name, number, index = place
        tensors = self.outputs.get((name, number), [])
        if not 0 <= index < len(tensors):
            raise ValueError(f"The layer {name!r} has no output {index} of its call {number}")
        return tensors[index]

    def _call(self, part: Part, node: Any) -> list[Any]:
        arguments: dict[str, Any] = {}
        first = self._given(node, arguments)
        if isinstance(part.layer, Operation):
            return self._operate(part, part.layer, first, arguments)
        if isinstance(first, list) and len(first) == 1:
            first = first[0]
        layer = part.layer
        if forgets_training and (training := arguments.get("training")) is not None:
            if training:
                raise ValueError(
                    f"The layer {part.name!r} is called with training=True, which this Keras does not keep in "
                    "`predict`. Build the network in code and call `load_legacy_weights(model, path)`. "
                    "Received: training=True"
                )
            if any(isinstance(one, TRAINING_ONLY) and one.trainable for one in flat_layers(layer)):
                self.objects.inferring.append(part.name)
        arguments = {key: value for key, value in arguments.items() if value is not None}
        if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)) and isinstance(first, list):
            first, arguments["initial_state"] = first[0], first[1:]
        if "initial_state" in arguments and (mask := mask_of(first)) is not None:
            arguments.setdefault("mask", mask)  # which Keras 3 does not pass on to a call with several tensors
        found = called(f"the layer {part.name!r}", lambda: layer(first, **arguments))
        return list(found) if isinstance(found, (list, tuple)) else flat(found)

    def _operate(self, part: Part, operation: Operation, first: Any, arguments: dict[str, Any]) -> list[Any]:
        """Call an operation on tensors as a layer; a shape and what is taken from it are numbers."""
        tensors: list[Any] = []
        template = emptied(first, tensors), emptied(arguments, tensors)
        if operation.function in SHAPES or not tensors:
            return [called(f"the layer {part.name!r}", lambda: OPERATIONS[operation.function](first, **arguments))]
        layer = called(
            f"{part.name!r}",
            lambda: LegacyOperation(operation.function, *template, name=part.name, dtype=operation.dtype),
        )
        found = called(f"the layer {part.name!r}", lambda: layer(tensors))
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def _given(self, data: Any, arguments: dict[str, Any]) -> Any:
        """Return the first argument of a call, in its structure; collect the others in `arguments`."""
        if is_reference(data):
            if len(data) > 3 and isinstance(data[3], Mapping):
                arguments.update({key: self._value(one) for key, one in data[3].items()})
            return data[2] if data[0] == CONSTANT else self._tensor(tuple(data[:3]))
        if isinstance(data, Mapping):
            return {key: self._given(one, arguments) for key, one in data.items()}
        if isinstance(data, list):
            return [self._given(one, arguments) for one in data]
        raise ValueError(f"A call in {self.name!r} has no known inputs. Received: {short(data)}")

    def _value(self, data: Any) -> Any:
        if is_reference(data):
            return self._tensor(tuple(data[:3]))
        if isinstance(data, Mapping):
            return {key: self._value(one) for key, one in data.items()}
        return [self._value(one) for one in data] if isinstance(data, list) else data

    def _ends(self, key: str) -> Any:
        """Return the inputs or outputs of the model, in their structure."""
        ends = self.inner.get(key)
        if not ends:
            raise ValueError(f"The model {self.name!r} must have {key!r}. Received: {short(ends)}")
        found = self._value(ends)
        return found[0] if isinstance(found, list) and len(found) == 1 else found


def _pass_over_names(names: Iterable[str]) -> None:
    """Let Keras name the concatenations of masks in its graph in another way than the layers of the file."""
    found = [re.fullmatch(r"concatenate(?:_(\d{1,4}))?", name) for name in names]
    last = max((int(one[1] or 0) for one in found if one), default=-1)
    while last >= 0 and int((*keras.layers.Concatenate().name.split("_"), "0")[1]) <= last:
        pass


def is_reference(data: Any) -> bool:
    """Return whether a value is `[layer, number of the call, number of the output, ...]`."""
    if not isinstance(data, list) or not 3 <= len(data) <= 4 or not isinstance(data[0], str):
        return False
    return data[0] == CONSTANT or (type(data[1]) is int and type(data[2]) is int)


def references(data: Any) -> list[tuple[str, int, int]]:
    """List the tensors that the data of a call refer to."""
    if is_reference(data):
        own = [] if data[0] == CONSTANT else [(data[0], data[1], data[2])]
        return own + (references(data[3]) if len(data) > 3 else [])
    inside = data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ()
    return [place for one in inside for place in references(one)]


def flat_layers(layer: Any) -> list[Any]:
    """List a layer, or the layers of a model and of the models in it."""
    inside = layer.layers if isinstance(layer, keras.Model) else ()
    return [leaf for one in inside for leaf in flat_layers(one)] or [layer]


def flat(value: Any) -> list[Any]:
    """List the values of a structure of lists and dicts."""
    if isinstance(value, Mapping):
        return [leaf for key in sorted(value) for leaf in flat(value[key])]
    return [leaf for one in value for leaf in flat(one)] if isinstance(value, (list, tuple)) else [value]
