"""The losses, metrics and optimizers with which old models were compiled, as those of this package and of Keras 3."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras

from keras_balanced_siamese._model_output import output_of
from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._objects import LOADERS, Objects
from keras_balanced_siamese.legacy.contrastive import LegacyContrastiveLoss
from keras_balanced_siamese.losses.contrastive import WeightedContrastiveLoss
from keras_balanced_siamese.losses.triplet import WeightedTripletLoss

PREFIXES = ("Addons>", "Custom>")
DISTANCES = {"L2": "euclidean", "squared-L2": "squared", "angular": "cosine"}
FUNCTIONS = {  # functions and classes of tensorflow-addons with the same result
    "contrastive_loss": "ContrastiveLoss",
    "triplet_semihard_loss": "TripletSemiHardLoss",
    "triplet_hard_loss": "TripletHardLoss",
}
WRAPPERS = ("Lookahead", "SWA", "MovingAverage")  # optimizers of tensorflow-addons around another one
NAMES = {"kullback_leibler_divergence": "kl_divergence", "logcosh": "log_cosh"}  # of losses and metrics, in Keras 3
SAME_OPTIMIZER = {"LazyAdam": "Adam", "SGDW": "SGD", "AdamW": "AdamW"}


class NoCounterpart(Exception):
    """An object of the file has no counterpart; the message names it."""


class Compiled(NamedTuple):
    """What to pass to `compile`, and what to tell the user."""

    arguments: dict[str, Any] | None  # `None`: the model cannot be compiled as it was
    replaced: list[tuple[str, str, str]]  # kind, what it was, what took its place
    missing: list[str]  # what has no counterpart


def compile_arguments(compiled: Mapping[str, Any] | None, objects: Objects, model: keras.Model) -> Compiled:
    """Return the arguments of `compile` that a file stands for."""
    if not compiled:
        return Compiled(None, [], [])
    if not isinstance(compiled, Mapping):
        raise ValueError(f"The configuration of `compile` must be a dict. Received: {short(compiled)}")
    reader = Reader(objects, _returns_distance(model))
    optimizer = compiled.get("optimizer_config", compiled.get("optimizer"))
    found = {
        "optimizer": reader.read("optimizer", optimizer, reader.optimizer),
        "loss": reader.read_all("loss", compiled.get("loss"), reader.loss),
        "loss_weights": compiled.get("loss_weights"),
        "metrics": reader.read_all("metric", _unnested(compiled.get("metrics")), reader.metric),
        "weighted_metrics": reader.read_all("metric", _unnested(compiled.get("weighted_metrics")), reader.metric),
    }
    essential = {"optimizer": optimizer, "loss": compiled.get("loss")}
    lost = any(given is not None and _has_none(found[key]) for key, given in essential.items())
    arguments = {key: value for key, value in found.items() if value is not None}
    return Compiled(None if lost or not arguments else arguments, reader.replaced, reader.missing)


def _returns_distance(model: keras.Model) -> bool:
    """Return whether the output of a model can be a distance per pair; if it is not known, it can."""
    output, outputs = output_of(model), model.outputs
    wide = len(outputs) == 1 and tuple(outputs[0].shape[1:]) not in ((), (1,))
    return not wide and (output is None or output.kind == "distance")


class Reader:
    """Builds the losses, metrics and optimizers of a file, and keeps what was replaced and what is missing."""

    def __init__(self, objects: Objects, returns_distance: bool):
        self.objects, self.returns_distance = objects, returns_distance
        self.replaced: list[tuple[str, str, str]] = []
        self.missing: list[str] = []

    def read_all(self, kind: str, value: Any, build: Callable[[Any], Any]) -> Any:
        """Read an object, or each in a list or dict; metrics without a counterpart are left out."""
        if isinstance(value, Mapping) and "class_name" not in value:
            found = {key: self.read_all(kind, one, build) for key, one in value.items()}
            return {key: one for key, one in found.items() if one is not None} if kind == "metric" else found
        if isinstance(value, list):
            found = [self.read_all(kind, one, build) for one in value]
            return [one for one in found if one is not None] if kind == "metric" else found
        return self.read(kind, value, build)

    def read(self, kind: str, value: Any, build: Callable[[Any], Any]) -> Any:
        if value is None:
            return None
        try:
            return build(value)
        except (NoCounterpart, ValueError, TypeError) as error:
            self.missing.append(f"the {kind} {_name(value)!r} ({error})")
            return None

    def loss(self, value: Any) -> Any:
        name, config = _name(value), _config(value)
        own = self._custom(value, name)
        if own is not None:
            return _made(own, config)
        known = FUNCTIONS.get(name, name)
        if known == "ContrastiveLoss":
            cls = WeightedContrastiveLoss if self.returns_distance else LegacyContrastiveLoss
            loss: Any = cls(margin=config.get("margin", 1.0), reduction=_reduction(config))
        elif known in ("TripletSemiHardLoss", "TripletHardLoss"):
            loss = _triplet_loss(known, config)
        else:
            return self._of_keras(keras.losses, name, config, value)
        self.replaced.append(("loss", name, repr_of(loss)))
        return loss

    def metric(self, value: Any) -> Any:
        name, config = _name(value), _config(value)
        own = self._custom(value, name)
        if own is not None:
            return _made(own, config)
        shown = {key: config[key] for key in ("name", "dtype") if key in config}
        if name in ("F1Score", "FBetaScore") and "num_classes" in config:
            rest = {"beta": config.get("beta", 1.0)} if name == "FBetaScore" else {}
            average, threshold = config.get("average"), config.get("threshold")
            metric: Any = getattr(keras.metrics, name)(average=average, threshold=threshold, **rest, **shown)
        elif name == "RSquare":
            averages: Any = {"raw_values": None}
            given = config.get("multioutput", "uniform_average")
            metric = keras.metrics.R2Score(class_aggregation=averages.get(given, given), **shown)
        elif name == "MeanMetricWrapper":
            function = getattr(keras.metrics, str(config.get("fn")), None)
            if config.get("fn") in LOADERS or not inspect.isfunction(function):
                raise NoCounterpart("its function is unknown")
            return keras.metrics.MeanMetricWrapper(function, **shown)
        else:
            return self._of_keras(keras.metrics, name, config, value)
        self.replaced.append(("metric", name, repr_of(metric)))
        return metric

    def optimizer(self, value: Any) -> Any:
        name, config = _name(value), _config(value)
        own = self._custom(value, name)
        if own is not None:
            return own.from_config(config)
        if name in ("LossScaleOptimizer", "LossScaleOptimizerV3"):
            inner = self.optimizer(config.get("inner_optimizer"))
            scaled = getattr(keras.optimizers, "LossScaleOptimizer", None) or keras.mixed_precision.LossScaleOptimizer
            return scaled(inner, initial_scale=config.get("initial_scale", 2.0**15))
        addons = _is_addons(value)
        if addons and name in WRAPPERS:
            return self._wrapped(name, config)
        if addons and name not in SAME_OPTIMIZER:
            raise NoCounterpart("neither Keras nor this package has it")
        known = SAME_OPTIMIZER.get(name, name)
        names = {one.lower(): one for one in dir(keras.optimizers)}
        cls = getattr(keras.optimizers, names.get(known.lower(), ""), None)
        if not (inspect.isclass(cls) and issubclass(cls, keras.optimizers.Optimizer)):
            raise NoCounterpart("Keras does not have it")
        arguments = self._optimizer_arguments(cls, config)
        if addons and name in ("AdamW", "SGDW"):
            arguments["weight_decay"] = self._weight_decay(config, arguments["learning_rate"])
        optimizer = cls(**arguments)
        if addons:
            self.replaced.append(("optimizer", f"tensorflow-addons {name}", repr_of(optimizer)))
        return optimizer

    def _wrapped(self, name: str, config: Mapping[str, Any]) -> Any:
        inner = config.get("optimizer")
        if name != "MovingAverage":
            raise NoCounterpart(f"Keras has the optimizer inside it, {_name(inner)}, alone")
        if not isinstance(inner, Mapping):
            raise NoCounterpart("the optimizer inside it is unknown")
        averaged = {"use_ema": True, "ema_momentum": config.get("average_decay", 0.99)}
        optimizer = self.optimizer({**inner, "config": {**_config(inner), **averaged}})
        self.replaced.append(
            ("optimizer", "tensorflow-addons MovingAverage", f"{type(optimizer).__name__}(use_ema=True)")
        )
        return optimizer

    def _optimizer_arguments(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        known = {one for base in cls.__mro__ for one in inspect.signature(base.__init__).parameters}
        names = {"beta1": "beta_1", "beta2": "beta_2"}
        arguments = {names.get(key, key): value for key, value in config.items() if names.get(key, key) in known}
        arguments["learning_rate"] = self._learning_rate(config.get("learning_rate", 0.001), config.get("decay") or 0.0)
        return arguments

    def _learning_rate(self, rate: Any, decay: float) -> Any:
        if isinstance(rate, Mapping):
            name = _name(rate)
            schedule = None if _is_addons(rate) else getattr(keras.optimizers.schedules, name, None)
            if not inspect.isclass(schedule):
                raise NoCounterpart(f"its learning rate is a schedule {name}, which Keras does not have")
            return schedule(**{key: one for key, one in _config(rate).items() if (key, one) != ("name", None)})
        if not isinstance(rate, (int, float)):
            raise NoCounterpart(f"its learning rate is not a number: {short(rate)}")
        if decay:
            return keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)
        return rate

    def _weight_decay(self, config: Mapping[str, Any], rate: Any) -> float:
        """Convert a weight decay of tensorflow-addons, which Keras multiplies by the learning rate."""
        decay = config.get("weight_decay")
        if isinstance(decay, Mapping) or not isinstance(rate, (int, float)) or not rate:
            raise NoCounterpart(
                "its weight decay or learning rate follows a schedule; Keras multiplies one by the other"
            )
        if config.get("exclude_from_weight_decay"):
            raise NoCounterpart("it excludes weights from the decay: use `optimizer.exclude_from_weight_decay`")
        return float(decay or 0.0) / rate

    def _of_keras(self, module: Any, name: str, config: Mapping[str, Any], value: Any) -> Any:
        if isinstance(value, str) or not inspect.isclass(found := getattr(module, name, None)):
            return _function(module, name, value)
        if _is_addons(value):
            raise NoCounterpart("neither Keras nor this package has it")
        known = {one for base in found.__mro__ for one in inspect.signature(base.__init__).parameters}
        arguments = {key: one for key, one in config.items() if key in known and key != "fn"}
        if "reduction" in arguments:
            arguments["reduction"] = _reduction(config)
        return found(**arguments)

    def _custom(self, value: Any, name: str) -> Any:
        """Return what the caller, or code by registration, has under a name of the object; not what Keras 2 had."""
        names = [value] if isinstance(value, str) else [value.get("registered_name"), value.get("class_name")]
        for one in (*names, name):
            if isinstance(one, str) and one in self.objects.custom_objects:
                return self.objects.custom_objects[one]
        registered = [one for one in names if isinstance(one, str) and ">" in one and not one.startswith(PREFIXES)]
        found = [keras.saving.get_registered_object(one) for one in registered]
        return next((one for one in found if one is not None), None)


def _made(own: Any, config: Mapping[str, Any]) -> Any:
    build: Any = getattr(own, "from_config", None)
    return own if build is None else build(dict(config))


def _function(module: Any, name: str, value: Any) -> Any:
    if _is_addons(value):
        raise NoCounterpart("neither Keras nor this package has it")
    name = NAMES.get(name, name)
    try:
        if name in LOADERS:
            raise ValueError(name)
        module.get(name)
    except (ValueError, TypeError):
        raise NoCounterpart("its name is unknown: pass `custom_objects`") from None
    return name


def _triplet_loss(name: str, config: Mapping[str, Any]) -> Any:
    metric = config.get("distance_metric", "L2")
    if metric not in DISTANCES:
        raise NoCounterpart(f"its distance is a function: {short(metric)}")
    margin = "soft" if config.get("soft") else config.get("margin", 1.0)
    mining = "hard" if name == "TripletHardLoss" else "semi-hard"
    return WeightedTripletLoss(margin=margin, mining=mining, distance=DISTANCES[metric])


def _name(value: Any) -> str:
    """Return the name of an object without the prefix of its package."""
    name = value
    if isinstance(value, Mapping):
        inner = value.get("config")
        name = inner if isinstance(inner, str) else value.get("class_name")
    if not isinstance(name, str):
        raise ValueError(f"An object of `compile` must have a name. Received: {short(value)}")
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _config(value: Any) -> dict[str, Any]:
    inner = value.get("config") if isinstance(value, Mapping) else None
    return dict(inner) if isinstance(inner, Mapping) else {}


def _is_addons(value: Any) -> bool:
    texts = (
        [value] if isinstance(value, str) else [value.get(key) for key in ("class_name", "registered_name", "module")]
    )
    return any(isinstance(one, str) and one.startswith(("Addons>", "tensorflow_addons")) for one in texts)


def _reduction(config: Mapping[str, Any]) -> Any:
    given = config.get("reduction", "auto")
    return "sum_over_batch_size" if given in ("auto", "none", None) else given


def _unnested(metrics: Any) -> Any:
    """Return the metrics of a model with one output without the list around them."""
    return metrics[0] if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list) else metrics


def _has_none(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return any(_has_none(one) for one in (value.values() if isinstance(value, dict) else value))
    return value is None


def repr_of(one: Any) -> str:
    """Return the class of an object and the arguments that say most."""
    shown = ("margin", "mining", "distance", "learning_rate", "weight_decay", "average", "threshold", "beta")
    config = one.get_config()
    return (
        f"{type(one).__name__}({', '.join(f'{key}={config[key]!r}' for key in shown if config.get(key) is not None)})"
    )
