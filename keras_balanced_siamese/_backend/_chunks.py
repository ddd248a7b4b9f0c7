"""Calls of a layer on a batch in chunks, whose activations are computed a second time for the gradient.

The call of a chunk is a function of the values of all variables. The second time it starts from the same values as the
first time, such as the states of random generators, and updates none.
"""

import importlib
from typing import Any

import keras

from keras_balanced_siamese._typing import Tensor


def check_stateless() -> None:
    """Raise if this Keras can't call a layer as a function of the values of its variables: every Keras 3 can."""


def call_in_chunks(layer: Any, inputs: Any, mask: Any, training: bool | None, chunk_size: int) -> Tensor:
    """Return `layer(inputs)`, and update the variables of the layer once per chunk.

    Chunk k of n holds the items k, k + n, k + 2 n and so on; the sizes of chunks differ by at most 1.
    """
    leaves = keras.tree.flatten((inputs, mask))
    weights, state = layer.trainable_variables, layer.non_trainable_variables

    def call(weight_values: list[Tensor], state_values: list[Tensor], arrays: list[Tensor]) -> tuple[Tensor, list[Any]]:
        """Return the embeddings of a chunk and the new values of the state, `None` for a value that stays."""
        remaining = iter(arrays)
        part, part_mask = keras.tree.pack_sequence_as(
            (inputs, mask), [None if leaf is None else next(remaining) for leaf in leaves]
        )
        values = zip([*weights, *state], [*weight_values, *state_values], strict=True)
        with keras.StatelessScope(values, collect_losses=True, initialize_variables=False) as scope:
            before = [scope.get_current_value(one) for one in state]
            output = layer(part, training=training, **({} if mask is None else {"mask": part_mask}))
            after = [scope.get_current_value(one) for one in state]
        if scope.losses:
            raise ValueError(
                "An encoder in chunks can't use `add_loss` or `activity_regularizer`: whether the values of the chunks "
                "have to be added or averaged is unknown. Regularizers of weights work. "
                f"Received: a call of encoder={layer!r} that adds {len(scope.losses)} losses"
            )
        new = [None if now is old else keras.ops.stop_gradient(now) for now, old in zip(after, before, strict=True)]
        (embeddings,) = keras.tree.flatten(output)
        return embeddings, new

    backend = importlib.import_module(f"{__name__}_{keras.backend.backend()}")
    start = [[keras.ops.convert_to_tensor(one) for one in variables] for variables in (weights, state)]
    arrays = [leaf for leaf in leaves if leaf is not None]
    embeddings, new = backend.loop(call, *start, arrays, chunk_size)
    for variable, value in zip(state, new, strict=True):
        if value is not None:
            variable.assign(value)
    return embeddings


def merge(state: list[Tensor], new: list[Any]) -> list[Tensor]:
    """Return the values of the state after a call."""
    return [old if now is None else now for old, now in zip(state, new, strict=True)]
