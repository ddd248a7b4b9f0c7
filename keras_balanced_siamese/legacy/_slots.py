"""The state of an optimizer in a file of Keras 2, such as the momenta of Adam, put into the optimizer of Keras 3."""

from typing import Any

import keras
import numpy as np

from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._order import keras2_order
from keras_balanced_siamese.legacy._source import Source, array_in, names_in

OLD_SLOTS = ([], ["momentum"], ["m", "v"], ["m", "v", "vhat"])  # kinds of `keras.optimizers.legacy`, in order


def restore_slots(model: keras.Model, part: Part, source: Source) -> str:
    """Restore the state of the optimizer as far as it can be; return what was done, in words.

    It is all or nothing: where an array does not fit, the optimizer keeps its fresh state.
    """
    optimizer: Any = model.optimizer
    optimizer.build(model.trainable_variables)  # Keras cannot open a file with an optimizer that is not built
    if source.kind == "saved_model":
        return "fresh: the state in a SavedModel is not read"
    if source.optimizer is None:
        return "fresh: the file has no state of the optimizer"
    if type(optimizer).__name__.startswith("LossScaleOptimizer"):
        return "fresh: the state inside a LossScaleOptimizer is not read"
    own = [one for one in keras2_order(part) if any(one is other for other in model.trainable_variables)]
    if any(one is not other for one, other in zip(own, model.trainable_variables, strict=True)):
        return "fresh: Keras orders the weights of this model in another way"
    variables = list(optimizer.variables)
    slots = [one for one in variables if one is not optimizer.iterations and "learning_rate" not in one.name]
    names = names_in(source.optimizer, "weight_names")
    values = _values(source, names)
    if values is not None and names and names[0].split("/")[-1].startswith("iter:"):
        values = _old_values(values, names, len(own))
    if values is None or len(values) != 1 + len(slots):
        return "fresh: the file has the state of another kind of optimizer"
    iteration, *arrays = values
    if iteration.shape or any(one.shape != tuple(slot.shape) for one, slot in zip(arrays, slots, strict=True)):
        return "fresh: the file has the state of another kind of optimizer"
    for slot, array in zip(slots, arrays, strict=True):
        slot.assign(array)
    optimizer.iterations.assign(int(iteration))
    return f"restored after {int(iteration)} steps"


def _values(source: Source, names: list[str]) -> list[np.ndarray] | None:
    """The step and the slots in the order of the file, which is that of Keras 3 too."""
    group = source.optimizer
    if source.kind == "keras":
        group = group.get("vars")
        names = [] if group is None else sorted(group, key=lambda name: int(name) if name.isdigit() else -1)
    arrays = [array_in(group, name) for name in names]
    return None if not arrays or any(one is None for one in arrays) else [one for one in arrays if one is not None]


def _old_values(values: list[np.ndarray], names: list[str], n: int) -> list[np.ndarray] | None:
    """Order the values of optimizers before Keras 2.11 and of tensorflow-addons, which list one kind after another."""
    kinds = list(dict.fromkeys(name.split("/")[-1].split(":")[0] for name in names[1:]))
    if kinds not in OLD_SLOTS or len(values) != 1 + n * len(kinds):
        return None
    blocks = [values[1 + k * n : 1 + (k + 1) * n] for k in range(len(kinds))]
    together = [one for both in zip(*blocks[:2], strict=True) for one in both]  # Keras 3 lists m and v by weight
    return [values[0], *together, *(one for block in blocks[2:] for one in block)]
