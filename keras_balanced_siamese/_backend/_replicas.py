"""Items of all replicas, inside a training step.

On JAX the arrays of a step are global: a step sees all items, and there is nothing to gather.
"""

import importlib
from typing import Any

import keras

from keras_balanced_siamese._typing import Tensor

_name = keras.backend.backend()
_tf: Any = importlib.import_module("tensorflow") if _name == "tensorflow" else None
_torch: Any = importlib.import_module("keras_balanced_siamese._backend._torch_ranks") if _name == "torch" else None

# what the gradients of the replicas become: their mean, or the sum of the gradients of losses that are divided by
# their number if the reduction is a mean
averages_gradients = _name == "torch"


def replica_count(x: Tensor) -> int:
    """Return the number of replicas that run this step, each with its own part of the batch.

    It is 1 outside of a step, and on PyTorch where no gradient is computed: one rank may evaluate alone.
    """
    if _tf is not None:
        replica = _tf.distribute.get_replica_context()  # None in the code that distributes a step
        return 1 if replica is None else replica.num_replicas_in_sync
    return 1 if _torch is None else _torch.rank_count(x)


def gather(x: Tensor) -> tuple[Tensor, Any]:
    """Join the rows `(b, k)` of all replicas, which may differ in b; return `(B, k)` and the index of the first own.

    Each replica must call this. The gradient of the own rows is the sum of those that the replicas have for them.
    """
    if _torch is not None:
        return _torch.gather(x)
    replica, own = _tf.distribute.get_replica_context(), _tf.shape(x)[0]
    sizes = _tf.scatter_nd([[replica.replica_id_in_sync_group]], [own], [replica.num_replicas_in_sync])
    sizes = _tf.cast(_sum(replica, _tf.cast(sizes, x.dtype)), "int32")
    start = _tf.reduce_sum(sizes[: replica.replica_id_in_sync_group])
    after = _tf.reduce_sum(sizes) - start - own
    # the gradient of `all_gather` would exchange the sizes again
    return _sum(replica, _tf.pad(x, [[start, after], [0, 0]])), start


def _sum(replica: Any, x: Tensor) -> Tensor:
    """Add the values of all replicas; the gradient is the sum of their gradients."""
    return _tf.ensure_shape(replica.all_reduce(_tf.distribute.ReduceOp.SUM, x), (None, *x.shape[1:]))
