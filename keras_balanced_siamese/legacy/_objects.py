"""Layers and their parts from the configurations of Keras 2, without importing any name that a file gives."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras

from keras_balanced_siamese._backend import (
    averages_padding,
    exact_interpolations,
    has_own_masks,
    layers_without_parity,
)
from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._ops import OPERATIONS
from keras_balanced_siamese.legacy.activations import legacy_gelu, legacy_hard_sigmoid
from keras_balanced_siamese.legacy.masking import MASKING
from keras_balanced_siamese.legacy.merging import MERGING
from keras_balanced_siamese.legacy.pooling import LegacyAveragePooling

PARTS: dict[str, tuple[Any, Any]] = {  # end of an argument's name -> module and class of what it may be
    "initializer": (keras.initializers, keras.initializers.Initializer),
    "regularizer": (keras.regularizers, keras.regularizers.Regularizer),
    "constraint": (keras.constraints, keras.constraints.Constraint),
    "activation": (keras.activations, None),  # a function
}
LOADERS = ("deserialize", "get", "serialize")  # functions of these modules that build what they are told
FOREIGN = ("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper")  # layers that run code from elsewhere
INNER_LAYERS = ("layer", "cell", "forward_layer", "backward_layer", "backward_layer_config")
RENAMED = {("LeakyReLU", "alpha"): "negative_slope", ("Bidirectional", "backward_layer_config"): "backward_layer"}
LOST = {  # argument that Keras 3 lacks -> the values with which it had no effect; `None` for any value
    "adjustment": (None,),
    "autocast": None,
    "batch_input_shape": None,
    "causal": (False,),
    "fused": None,
    "groups": (1,),
    "implementation": None,
    "input_dim": None,
    "input_length": None,
    "input_shape": None,
    "key_shape": None,
    "noise_shape": (None,),
    "query_shape": None,
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": None,
    "sparse": (False,),
    "time_major": (False,),
    "trainable": None,
    "value_shape": None,
    "virtual_batch_size": (None,),
    "vocabulary_size": None,
}
OPERATION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
SYNONYMS = {"SyncBatchNormalization": "BatchNormalization"}
ADDONS = {"Addons>gelu": legacy_gelu, "Addons>mish": getattr(keras.activations, "mish", None)}
NEEDED = {  # what `adapt` leaves outside the configuration
    "Discretization": "bin_boundaries",
    "IntegerLookup": "vocabulary",
    "StringLookup": "vocabulary",
    "TextVectorization": "vocabulary",
}
OWN_MODULES = ("builtins", "keras", "tensorflow", "tf_keras")  # where Keras 2 is at home


class Operation(NamedTuple):
    """An operation of TensorFlow, which becomes a layer where it is called."""

    name: str
    function: str
    dtype: Any


class Objects:
    """Builds the parts of a model from their configurations.

    Args:
        custom_objects: Classes and functions of the caller, by their names in files.
        lambda_map: Layers for the `Lambda` layers, by their names.
        has_masks: Whether the model has masks.
    """

    def __init__(self, custom_objects: Mapping[str, Any], lambda_map: Mapping[str, Any], has_masks: bool = False):
        self.custom_objects, self.lambda_map, self.has_masks = custom_objects, lambda_map, has_masks
        self.replaced: list[tuple[str, str, str]] = []  # name of a layer, what it was, what took its place
        self.inferring: list[str] = []  # names of layers that `fit` calls in another way than Keras 2

    def layer(self, config: Mapping[str, Any]) -> Any:
        """Build a layer that is not a model.

        Raises:
            ValueError: If the class is unknown, or Keras does not accept the arguments.
        """
        class_name, arguments = class_name_of(config), mapping_in(config, "config")
        name = str(arguments.get("name") or config.get("name") or "")
        if class_name == "Lambda":
            return self._lambda(name)
        if class_name in OPERATION_LAYERS:
            return self._operation(name, arguments)
        own = self._custom(config)
        if own is not None:
            changed = {**arguments, "dtype": self._dtype(arguments.get("dtype"))}
            return called(f"the layer {name!r} ({class_name})", lambda: own.from_config(changed))
        cls: Any = getattr(keras.layers, SYNONYMS.get(class_name, class_name), None)
        if self.has_masks and has_own_masks:
            cls = (MERGING | MASKING).get(class_name, cls)
        is_layer = inspect.isclass(cls) and issubclass(cls, keras.layers.Layer)
        if not is_layer or class_name in FOREIGN or is_foreign(config):
            raise ValueError(
                f"The class of the layer {name!r} is unknown. Pass custom_objects={{{class_name!r}: ...}}. "
                f"Received: {short(config.get('registered_name') or class_name)}"
            )
        self._check_values(class_name, name, arguments)
        accepted = self._arguments(class_name, name, cls, arguments)
        layer = called(f"the layer {name!r} ({class_name})", lambda: cls(**accepted))
        if averages_padding and class_name.startswith("AveragePooling") and layer.padding == "same":
            return LegacyAveragePooling(
                layer.pool_size, layer.strides, layer.data_format, name=name, dtype=layer.dtype_policy
            )
        return layer

    def part(self, kind: str, value: Any) -> Any:
        """Build an initializer, regularizer, constraint or activation; `kind` is a key of `PARTS`.

        Raises:
            ValueError: If it is unknown, or Keras does not accept its arguments.
        """
        if value is None:
            return None
        name = value if isinstance(value, str) else class_name_of(value)
        arguments: Any = {} if isinstance(value, str) else value.get("config", {})
        if isinstance(arguments, str):  # a function
            name, arguments = arguments, {}
        own = self._custom({"class_name": name} if isinstance(value, str) else {**value, "class_name": name})
        if own is None and kind == "activation" and name == "hard_sigmoid":
            return legacy_hard_sigmoid
        foreign = not isinstance(value, str) and is_foreign({**value, "class_name": name})
        found = (
            own if own is not None else ADDONS.get(name) if foreign or ">" in name else _in_module(*PARTS[kind], name)
        )
        if found is None:
            raise ValueError(f"An {kind} is unknown. Pass custom_objects={{{name!r}: ...}}. Received: {short(value)}")
        if not inspect.isclass(found) and kind == "activation":
            return found
        if not isinstance(arguments, Mapping):
            raise ValueError(f"The configuration of an {kind} must be a dict. Received: {short(arguments)}")
        accepted = {key: one for key, one in arguments.items() if key != "dtype"}
        return called(f"the {kind} {name!r}", lambda: found(**accepted))

    def _check_values(self, class_name: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Refuse a layer that would have other values than in Keras 2."""
        interpolation = arguments.get("interpolation", "nearest")
        if class_name in layers_without_parity:
            raise ValueError(
                f"The layer {name!r} has other values in this Keras than in Keras 2. "
                f"Pass custom_objects={{{class_name!r}: ...}}. Received: {class_name}"
            )
        if class_name in ("Resizing", "UpSampling2D") and interpolation not in exact_interpolations:
            raise ValueError(
                f"The layer {name!r} ({class_name}) has other values on this backend than in Keras 2. Use the backend "
                f"TensorFlow. Received: interpolation={short(interpolation)}"
            )
        needed = NEEDED.get(class_name)
        if needed and arguments.get(needed) is None:
            raise ValueError(
                f"The layer {name!r} ({class_name}) learned its {needed!r} by `adapt`, which the file keeps outside of "
                f"the configuration. Build the network in code with it, and call `load_legacy_weights(model, path)`. "
                f"Received: {needed}=None"
            )

    def _lambda(self, name: str) -> Any:
        if name not in self.lambda_map:
            raise ValueError(
                f"The file has the Lambda layer {name!r}, whose code is not run. Say what takes its place: "
                f"lambda_map={{{name!r}: 'euclidean'}}, or 'cosine', 'manhattan', 'squared', or a layer. "
                f"Received: lambda_map={short(dict(self.lambda_map))}"
            )
        layer = self.lambda_map[name]
        self.replaced.append((name, "Lambda", type(layer).__name__))
        return layer

    def _operation(self, name: str, arguments: Mapping[str, Any]) -> Operation:
        function = arguments.get("function")
        if function not in OPERATIONS:
            raise ValueError(
                f"The layer {name!r} is the operation {short(function)} of TensorFlow, which is not known here. "
                "Build the network in code and call `load_legacy_weights(model, path)`"
            )
        self.replaced.append((name, f"TensorFlow operation {function}", "LegacyOperation"))
        return Operation(name, function, self._dtype(arguments.get("dtype")))

    def _custom(self, config: Mapping[str, Any]) -> Any:
        """Return what the caller, or its code by registration, has under one of the names in the configuration."""
        for name in (config.get("registered_name"), config.get("class_name")):
            if not isinstance(name, str):
                continue
            if name in self.custom_objects:
                return self.custom_objects[name]
            if ">" in name:
                found = keras.saving.get_registered_object(name)
                if found is None and (bare := name.split(">")[-1]) in self.custom_objects:
                    found = self.custom_objects[bare]
                if found is not None:
                    return found
        return None

    def _arguments(self, class_name: str, name: str, cls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        known = _parameters(cls)
        arguments: dict[str, Any] = {}
        for key, value in given.items():
            own_key = key if key in known else RENAMED.get((class_name, key), key)
            if own_key not in known:
                separable = class_name.startswith("SeparableConv") and key.startswith("kernel_")  # without effect there
                harmless = None if separable else LOST.get(key, ())
                if harmless is not None and value not in harmless:
                    raise ValueError(
                        f"Keras has no argument {key!r} for the layer {name!r} ({class_name}) any more. "
                        f"Received: {key}={short(value)}"
                    )
                continue
            if (
                class_name.endswith("BatchNormalization")
                and key == "axis"
                and isinstance(value, list)
                and len(value) == 1
            ):
                value = value[0]
            arguments[own_key] = self._argument(own_key, value)
        return arguments

    def _argument(self, key: str, value: Any) -> Any:
        if key == "dtype":
            return self._dtype(value)
        if key == "vocabulary" and isinstance(value, str):
            raise ValueError(f"A vocabulary in another file is not read. Received: vocabulary={short(value)}")
        kind = next((kind for kind in PARTS if key == kind or key.endswith(f"_{kind}")), None)
        if kind is not None:
            return self.part(kind, value)
        if key in INNER_LAYERS and isinstance(value, Mapping):
            return self.layer(value)
        if key == "cells" and isinstance(value, list):
            return [self.layer(one) for one in value]
        if isinstance(value, Mapping) and "class_name" in value:
            raise ValueError(f"The argument {key!r} of a layer holds an object. Received: {short(value)}")
        return tuple(value) if isinstance(value, list) and key not in ("axis", "vocabulary") else value

    def _dtype(self, value: Any) -> Any:
        """Return the name of a policy or data type."""
        if isinstance(value, Mapping):
            value = mapping_in(value, "config").get("name")
        if value is not None and not isinstance(value, str):
            raise ValueError(f"A `dtype` must be a name. Received: {short(value)}")
        return value


def class_name_of(config: Any) -> str:
    """Return the name of a class in a configuration.

    Raises:
        ValueError: If it has none.
    """
    name = config.get("class_name") if isinstance(config, Mapping) else None
    if not isinstance(name, str):
        raise ValueError(f"A configuration must have a `class_name`. Received: {short(config)}")
    return name


def mapping_in(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a dict inside a configuration.

    Raises:
        ValueError: If it is something else.
    """
    value = config.get(key)
    if not isinstance(value, Mapping):
        raise ValueError(f"A configuration must have a dict as {key!r}. Received: {short(config)}")
    return dict(value)


def has_masks(value: Any) -> bool:
    """Return whether a configuration has layers that make masks, or calls with a mask."""
    left = [value]  # a hostile file may be too deep for recursion
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            if one.get("class_name") == "Masking" or one.get("mask_zero") is True or one.get("mask") is not None:
                return True
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False


def is_foreign(config: Mapping[str, Any]) -> bool:
    """Return whether an object is not of Keras, whatever its name is."""
    names = [config.get("class_name"), config.get("registered_name")]
    module = config.get("module")
    registered = any(isinstance(one, str) and ">" in one for one in names)
    return registered or (isinstance(module, str) and module.split(".")[0] not in OWN_MODULES)


def _parameters(cls: Any) -> set[str]:
    """Return the names of the arguments that a class takes, also those that it passes on to its base."""
    known: set[str] = set()
    for base in cls.__mro__:
        parameters = inspect.signature(base.__init__).parameters
        known |= set(parameters)
        if "__init__" in vars(base) and all(one.kind is not one.VAR_KEYWORD for one in parameters.values()):
            break
    return known


def _in_module(module: Any, base: Any, name: str) -> Any:
    """Return a subclass of `base`, or a function if that is `None`, by its name in files of Keras 2."""
    found = None if name.startswith("_") or name in LOADERS else getattr(module, name, None)
    is_class = inspect.isclass(found)
    fits = (is_class and issubclass(found, base)) if base is not None else (callable(found) and not is_class)
    return found if fits else None


def called(what: str, build: Callable[[], Any]) -> Any:
    """Build an object; any failure becomes an error that says which object it was."""
    try:
        return build()
    except Exception as error:
        raise ValueError(f"Keras cannot build {what}: {error}") from error
