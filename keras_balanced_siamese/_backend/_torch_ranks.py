"""Rows of all ranks of `torch.distributed`; imported where Keras runs on PyTorch."""

import importlib
import itertools
import time
from typing import Any

from keras_balanced_siamese._typing import Tensor

torch: Any = importlib.import_module("torch")
distributed: Any = torch.distributed
GRACE = 2.0  # seconds in which the ranks that waited say so: the wait of all ends when that of one does
_number = itertools.count()


def rank_count(x: Any) -> int:
    """Return the number of ranks if a gradient is computed for `x`, otherwise 1."""
    if not getattr(x, "requires_grad", False) or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size()


@torch.compiler.disable
def gather(x: Tensor) -> tuple[Tensor, int]:
    """Join the rows `(b, k)` of all ranks, which may differ in b; return `(B, k)` and the index of the first own.

    Raises:
        RuntimeError: If a rank does not come before the timeout of the process group.
        ValueError: If the ranks have rows of different lengths or types.
    """
    own = torch.tensor([x.shape[0], x.shape[1], x.element_size()], device=x.device)
    shapes = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    _wait(distributed.all_gather(shapes, own, async_op=True))
    shapes = torch.stack(shapes).tolist()
    if len({tuple(kind) for _, *kind in shapes}) > 1:
        raise ValueError(
            "The losses of all ranks compare their embeddings, which must have the same length and dtype. Received: "
            + ", ".join(f"rank {rank}: length {k - 1}, {8 * size} bits" for rank, (_, k, size) in enumerate(shapes))
        )
    rows = [row for row, *_ in shapes]
    return Gather.apply(x, rows), sum(rows[: distributed.get_rank()])


class Gather(torch.autograd.Function):
    """The rows of all ranks; the gradient of the own rows is the sum of the gradients of all ranks for them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: list[int]) -> Tensor:
        ctx.rows = rows
        padded = x.new_zeros((max(rows), x.shape[1]))  # ranks exchange arrays of one shape
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in rows]
        _wait(distributed.all_gather(parts, padded, async_op=True))
        return torch.cat([part[:count] for part, count in zip(parts, rows, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        _wait(distributed.all_reduce(total, async_op=True))
        return total.split(ctx.rows)[distributed.get_rank()], None


def _wait(work: Any) -> None:
    """Wait for all ranks, at most for the timeout of the process group."""
    number = next(_number)
    try:
        work.wait()
    except RuntimeError as error:
        raise RuntimeError(
            f"Rank {distributed.get_rank()} waited for the embeddings of the other ranks, or for their gradients. "
            f"{_missing(number)}. With gather=True, the default, all ranks must compute this loss and its gradient "
            "equally often: give each rank the same number of batches, and all ranks the same steps. For a loss that "
            "one rank computes alone, or ranks with different numbers of batches, pass gather=False. "
            f"Received: {str(error)[:200]}"
        ) from error


def _missing(number: int) -> str:
    """Name the ranks that do not say that they waited too."""
    others = [rank for rank in range(distributed.get_world_size()) if rank != distributed.get_rank()]
    try:
        store = distributed.distributed_c10d._get_default_store()
        store.set(f"keras_balanced_siamese/{number}/{distributed.get_rank()}", "waited")
        time.sleep(GRACE)
        missing = [rank for rank in others if not store.check([f"keras_balanced_siamese/{number}/{rank}"])]
    except (RuntimeError, AttributeError):  # the rank that keeps the store has ended
        return f"Some of the ranks {others} did not come"
    return f"Ranks that did not come: {missing}" if missing else "All ranks came, but the connection broke"
