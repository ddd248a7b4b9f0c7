"""Epochs of adaptation with given errors: by the rule alone on plain arrays, or by the callback with a model."""

from types import SimpleNamespace

import numpy as np
from toy import compiled

from keras_balanced_siamese.callbacks.adaptive._class_errors import ClassErrors
from keras_balanced_siamese.callbacks.adaptive._memory import Memory
from keras_balanced_siamese.callbacks.adaptive._rule import checked_rule, update_target
from keras_balanced_siamese.callbacks.adaptive._targets import AdaptedValues, MappingWeights, adapted_of
from keras_balanced_siamese.sampling import EpochSequence


class PlainWeights(MappingWeights):
    """Weights `(C,)` of the classes 0, 1, ...; each epoch draws `items`, `(C,)`."""

    def __init__(self, start, items):
        super().__init__(SimpleNamespace(class_weight=dict(enumerate(start))))
        self.items = np.array(items, float)

    def items_per_epoch(self, record):
        return self.items


def follow(
    target,
    epochs,
    *,
    adapt="weights",
    warmup_epochs=1,
    momentum=0.7,
    strategy="difficulty",
    tau=None,
    bounds=(0.02, 50.0),
    max_step=2.0,
):
    """Adapt the weights or shares of a target by the rule alone; return them after each epoch, `(epochs, C)`.

    `epochs` yields the errors of each epoch: `(C,)`, NaN where unknown, or `ClassErrors`. No model or callback takes
    part; `test_the_callback_equals_the_rule_on_plain_arrays` compares both. Arguments: see `AdaptiveClassWeight`.
    """
    adapted = target if isinstance(target, AdaptedValues) else adapted_of(target, adapt)
    rule = checked_rule(strategy, tau, bounds, max_step)
    memory = Memory(adapted.classes, adapted.values, momentum, None if bounds is None else bounds[1])
    after = []
    for epoch, errors in enumerate(epochs):
        found = errors if isinstance(errors, ClassErrors) else ClassErrors(np.array(errors, float))
        adapted.begin(epoch)
        memory.learn(found.values, found.support, adapted.items_per_epoch(None))
        if epoch >= warmup_epochs and not (found.problem or rule.reason_to_skip(found.values)):
            update_target(rule, adapted, memory, np.isfinite(found.values), epoch)
        after.append(adapted.values)
    return np.array(after)


def simulate(callback, epochs):
    """Drive a callback with the `monitor` "error" by hand, with the errors `(C,)` of each epoch.

    Returns the class weights after each epoch, `(epochs, C)`, and the logs of the last one.
    """
    target, after = callback.target, []
    callback.set_model(compiled())
    for epoch, errors in enumerate(epochs):
        callback.on_epoch_begin(epoch)
        if isinstance(target, EpochSequence):
            target.set_epoch(epoch + 1)  # as Keras does before the end of the epoch reaches a callback
        logs = {f"error/{label}": error for label, error in zip(target.class_weight, errors, strict=True)}
        callback.on_epoch_end(epoch, logs)
        after.append(list(target.class_weight.values()))
    return np.array(after), logs


def measured(callback, model, epochs=1):
    """Let a callback measure a model, as in a `fit` that trains nothing; return the errors `(epochs, C)`."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        callback.target[0]  # as `fit` draws from it
        callback.on_epoch_end(epoch, {})
    callback.on_train_end()
    return np.array([list(row["errors"].values()) for row in callback.history_[-epochs:]])


def shares_of(sequence):
    return np.array(list(sequence.class_shares.values()))
