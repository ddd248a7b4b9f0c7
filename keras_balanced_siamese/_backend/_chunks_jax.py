"""The loop over the chunks of a batch on JAX."""

import importlib
from typing import Any

from keras_balanced_siamese._backend._chunks import merge
from keras_balanced_siamese._typing import Tensor

jax: Any = importlib.import_module("jax")


def loop(call: Any, weights: Any, state: Any, arrays: Any, chunk_size: int) -> tuple[Tensor, list[Any]]:
    """Return the embeddings of all chunks and the new values of the state, `None` for a value that stays."""
    rows = len(arrays[0])
    chunks = max(1, -(-rows // chunk_size))
    if chunks == 1:
        return call(weights, state, arrays)
    size, longer = divmod(rows, chunks)  # the first `longer` chunks have one item more
    # a batch that is distributed over devices stays so: each device holds a part of every chunk
    grids = [array[: size * chunks].reshape(size, chunks, *array.shape[1:]) for array in arrays]
    rests = [array[size * chunks :] for array in arrays]

    def part(k: Tensor, with_rest: bool) -> list[Tensor]:
        found = [jax.lax.dynamic_index_in_dim(grid, k, 1, keepdims=False) for grid in grids]
        if not with_rest:
            return found
        more = [jax.lax.dynamic_index_in_dim(rest, k, 0) for rest in rests]
        return [jax.numpy.concatenate(both) for both in zip(found, more, strict=True)]

    changed = jax.eval_shape(call, weights, state, part(0, False))[1]
    new = [None if one is None else value for value, one in zip(state, changed, strict=True)]
    outputs = []
    for indices, with_rest in ((jax.numpy.arange(longer), True), (jax.numpy.arange(longer, chunks), False)):

        def step(new: list[Any], k: Tensor, with_rest: bool = with_rest) -> tuple[list[Any], Tensor]:
            embeddings, new = call(weights, merge(state, new), part(k, with_rest))
            return new, embeddings

        if len(indices):
            new, embeddings = jax.lax.scan(jax.checkpoint(step, prevent_cse=False), new, indices)
            outputs.append(embeddings)  # (chunks, items of a chunk, dim)
    grid = jax.numpy.concatenate([embeddings[:, :size] for embeddings in outputs])  # (chunks, size, dim)
    items = grid.swapaxes(0, 1).reshape(size * chunks, -1)
    return (jax.numpy.concatenate([items, outputs[0][:, size]]) if longer else items), new
