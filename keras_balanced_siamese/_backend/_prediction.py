"""Predictions of all data in each of several processes."""

import sys
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend._division import undivided
from keras_balanced_siamese._backend._processes import processes


def predict(model: Any, data: Any) -> Any:
    """Return `model.predict(data)` of all data in each process.

    Keras predicts in no more than one process on JAX: there, each process predicts by itself.
    """
    if keras.backend.backend() != "jax" or processes().number == 1:
        with undivided():
            return model.predict(data, verbose=0)
    return _predict_by_itself(model, data)


def _predict_by_itself(model: Any, data: Any) -> Any:
    """Predict on the devices of this process, with copies of the variables."""
    jax: Any = sys.modules["jax"]
    state = [
        [np.asarray(one.value) for one in kind] for kind in (model.trainable_variables, model.non_trainable_variables)
    ]
    step = vars(model).get("_prediction_of_process")
    if step is None:
        step = jax.jit(lambda state, x: model.stateless_call(*state, x, training=False)[0])
        object.__setattr__(model, "_prediction_of_process", step)  # compiled once
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        batches = [jax.tree.map(np.asarray, step(state, x)) for x in _inputs(data)]
    finally:
        keras.distribution.set_distribution(before)
    return jax.tree.map(lambda *parts: np.concatenate(parts), *batches)


def _inputs(data: Any) -> Any:
    """Yield the inputs of each batch of a data set, or of arrays."""
    if isinstance(data, keras.utils.PyDataset):
        yield from (data[k][0] for k in range(data.num_batches or 0))
        return
    tree: Any = sys.modules["jax"].tree
    for start in range(0, len(tree.leaves(data)[0]), 32):
        rows = slice(start, start + 32)
        yield tree.map(lambda array, rows=rows: np.asarray(array[rows]), data)
