"""The loop over the chunks of a batch on PyTorch."""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from keras_balanced_siamese._backend._chunks import merge
from keras_balanced_siamese._typing import Tensor


def loop(call: Any, weights: Any, state: Any, arrays: Any, chunk_size: int) -> tuple[Tensor, list[Any]]:
    """Return the embeddings of all chunks and the new values of the state, `None` for a value that stays."""
    rows = len(arrays[0])
    chunks = max(1, -(-rows // chunk_size))
    if chunks == 1:
        return call(weights, state, arrays)
    outputs, new = [], [None] * len(state)
    for k in range(chunks):
        part = [array[k::chunks] for array in arrays]
        embeddings, now = checkpoint(call, weights, merge(state, new), part, use_reentrant=False)
        new = merge(new, now)
        outputs.append(embeddings)
    joined = torch.cat(outputs)
    items = torch.cat([torch.arange(k, rows, chunks, device=joined.device) for k in range(chunks)])
    return joined[torch.argsort(items)], new
