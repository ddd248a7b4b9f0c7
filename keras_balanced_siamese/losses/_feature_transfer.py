"""Generated members of the classes of a batch, from the variation inside other classes."""

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor


def with_transferred(labels: Tensor, x: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """Append generated members to the items of a batch: the mean of a class, and the deviation of another item.

    ```
    g_ik = mean of class(i) + (x_j - mean of class(j)),    j = i + floor(k B / (times + 1)) modulo B,    k = 1 .. times
    ```

    In a batch that is sorted by class, as in a shuffled one, most of the items `j` are of another class. Means and
    deviations pass their gradients on.

    Args:
        labels: `(B,)` class labels.
        x: `(B, dim)` embeddings.
        times: Number of generated members for each item.

    Returns:
        Labels `((times + 1) B,)` and embeddings `((times + 1) B, dim)`; the items come first.
    """
    if not times:
        return labels, x
    same = ops.cast(ops.equal(labels[:, None], labels[None, :]), x.dtype)
    mean = same @ x / ops.sum(same, axis=1, keepdims=True)
    size = ops.shape(labels)[0]
    position, deviation = ops.arange(size), x - mean
    donors = [(position + k * size // (times + 1)) % size for k in range(1, times + 1)]
    members = [mean + ops.take(deviation, donor, axis=0) for donor in donors]
    return ops.concatenate([labels] * (times + 1), axis=0), ops.concatenate([x, *members], axis=0)


def mean_of_copies(losses: Tensor, times: int) -> Tensor:
    """Average the values of each item and of its generated members: `((times + 1) B,)` to `(B,)`."""
    return losses if not times else ops.mean(ops.reshape(losses, (times + 1, -1)), axis=0)
