"""The loop over the chunks of a batch on PyTorch."""

import importlib
from typing import Any

from keras_balanced_siamese._backend._chunks import merge
from keras_balanced_siamese._typing import Tensor

torch: Any = importlib.import_module("torch")
checkpoint: Any = importlib.import_module("torch.utils.checkpoint").checkpoint


def loop(call: Any, weights: Any, state: Any, arrays: Any, chunk_size: int) -> tuple[Tensor, list[Any]]:
    """Return the embeddings of all chunks and the new values of the state, `None` for a value that stays."""
    rows = len(arrays[0])
    chunks = max(1, -(-rows // chunk_size))
    if chunks == 1:
        return call(weights, state, arrays)
    outputs, new = [], [None] * len(state)
    given = state
    for k in range(chunks):
        part = [array[k::chunks] for array in arrays]
        embeddings, now = checkpoint(call, weights, given, part, use_reentrant=False)
        new = merge(new, now)
        given = merge(state, new)
        outputs.append(embeddings)
    # the first chunk is called again with the list `state`, after its variables have been assigned in place
    state[:] = [old if now is None else old.clone() for old, now in zip(state, new, strict=True)]
    joined = torch.cat(outputs)
    items = torch.cat([torch.arange(k, rows, chunks, device=joined.device) for k in range(chunks)])
    return joined[torch.argsort(items)], new
