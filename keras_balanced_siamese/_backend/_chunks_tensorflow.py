"""The loop over the chunks of a batch on TensorFlow, where the size of the batch can be unknown."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_balanced_siamese._typing import Tensor


def loop(call: Any, weights: Any, state: Any, arrays: Any, chunk_size: int) -> tuple[Tensor, list[Any]]:
    """Return the embeddings of all chunks and the new values of the state, `None` for a value that stays.

    Both passes have a loop of their own, since the gradient of a loop of TensorFlow keeps the activations.
    """
    weights, state = (list(map(tf.convert_to_tensor, values)) for values in (weights, state))  # no variables
    specs = [[tf.TensorSpec(one.shape, one.dtype) for one in values] for values in (weights, state)]
    part = [tf.TensorSpec((None, *one.shape[1:]), one.dtype) for one in arrays]
    embedding, new = tf.function(call, autograph=False).get_concrete_function(*specs, part).structured_outputs
    changing = [k for k, value in enumerate(new) if value is not None]
    start = [state[k] for k in changing]
    rows = tf.shape(arrays[0])[0]

    def chunk(weights: Any, values: Any, part: Any) -> tuple[Tensor, list[Tensor]]:
        """Call the encoder with the values of the changing part of the state."""
        given = dict(zip(changing, values, strict=True))
        embeddings, new = call(weights, [given.get(k, value) for k, value in enumerate(state)], part)
        return embeddings, [new[k] for k in changing]

    @tf.custom_gradient
    def embed(*sources: Tensor) -> tuple[Any, Any]:
        constants = [tf.stop_gradient(one) for one in sources]  # so that no tape records the first pass
        weights, arrays = constants[: len(specs[0])], constants[len(specs[0]) :]

        def forward(items: Tensor, values: Any, found: Tensor) -> tuple[list[Tensor], Tensor]:
            embeddings, values = chunk(weights, values, [tf.gather(array, items) for array in arrays])
            return values, tf.tensor_scatter_nd_update(found, items[:, None], embeddings)

        def backward(gradient: Tensor, *_: Any) -> list[Any]:
            def add(items: Tensor, values: Any, totals: Any) -> tuple[list[Tensor], list[Tensor]]:
                inner = [tf.identity(one) for one in weights] + [tf.gather(array, items) for array in arrays]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch([inner[k] for k in floating])
                    embeddings, values = chunk(inner[: len(weights)], values, inner[len(weights) :])
                found = tape.gradient(
                    embeddings, [inner[k] for k in floating], tf.gather(gradient, items), tf.UnconnectedGradients.ZERO
                )
                return values, [
                    total + one if k < len(weights) else tf.tensor_scatter_nd_update(total, items[:, None], one)
                    for k, total, one in zip(floating, totals, map(tf.convert_to_tensor, found), strict=True)
                ]

            floating = [k for k, one in enumerate(constants) if one.dtype.is_floating]
            _, totals = _for_each_chunk(rows, chunk_size, add, start, [tf.zeros_like(constants[k]) for k in floating])
            found = dict(zip(floating, totals, strict=True))
            return [found.get(k) for k in range(len(constants))]

        empty = tf.zeros((rows, *embedding.shape[1:]), embedding.dtype)
        values, found = _for_each_chunk(rows, chunk_size, forward, start, empty)
        return (found, *values), backward

    found, *values = embed(*weights, *arrays)
    given = dict(zip(changing, values, strict=True))
    return found, [given.get(k) for k in range(len(state))]


def _for_each_chunk(rows: Tensor, chunk_size: int, body: Callable[..., Any], *start: Any) -> Any:
    """Call `body(items, *start)` with the items of each chunk, and what it returned for the chunk before."""
    chunks = tf.maximum(1, -(-rows // chunk_size))
    size = rows // chunks
    longer = rows - size * chunks
    first, carried = tf.constant(0), list(start)
    for last, count in ((longer, -(-rows // chunks)), (chunks, size)):  # chunks of one item more, then the others

        def step(k: Tensor, *carried: Any, count: Tensor = count) -> Any:
            return k + 1, *body(k + chunks * tf.range(count), *carried)

        first, *carried = tf.while_loop(
            lambda k, *_, last=last: k < last, step, (first, *carried), parallel_iterations=1
        )
    return carried
