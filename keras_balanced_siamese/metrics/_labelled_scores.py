"""Labels, scores and weights of a batch as flat lists of pairs."""

from typing import NamedTuple

from keras_balanced_siamese._backend import ops
from keras_balanced_siamese._typing import Tensor


class LabelledScores(NamedTuple):
    """Pairs of a batch, all axes flattened, in float32."""

    similar: Tensor  # (n,) the pair label
    score: Tensor  # (n,)
    weight: Tensor  # (n,)
    sides: Tensor  # (n, 2) class codes of the left and the right side, or None


def labelled_scores(y_true: Tensor, y_pred: Tensor, sample_weight: Tensor, with_classes: bool) -> LabelledScores:
    """Flatten labels, scores and weights to one value per pair, without accidental broadcasting.

    Args:
        y_true: `(batch,)`, `(batch, 1)`, or `(batch, 3)` with the class codes of both sides in the columns 1 and 2.
        y_pred: `(batch,)` or `(batch, 1)`. With more axes, `(batch, time, 1)`, each step is a pair, also in `y_true`.
        sample_weight: `(batch,)` or `(batch, 1)`, with or without the further axes of the pairs; or `None`. A mask of
            `y_pred` is a further weight of 0 or 1.
        with_classes: Whether the class codes are needed.

    Raises:
        ValueError: If the shapes do not match.
    """
    mask = getattr(y_pred, "_keras_mask", None)
    y_true, y_pred = _float32(y_true), _float32(y_pred)
    score = y_pred[..., 0] if len(y_pred.shape) > 1 and y_pred.shape[-1] == 1 else y_pred
    in_columns = len(y_true.shape) == len(score.shape) + 1 and y_true.shape[-1] in (1, 3, None)
    similar = y_true[..., 0] if in_columns else y_true
    codes_missing = with_classes and not (in_columns and y_true.shape[-1] != 1)
    if codes_missing or not _alike(tuple(similar.shape), tuple(score.shape)):
        expected = "(batch, 3)" if with_classes else "(batch, 1) or (batch,)"
        raise ValueError(
            f"This metric needs `y_true` of shape {expected} and one score per pair, `y_pred` of shape (batch, 1) or "
            f"(batch,). Received: y_true of shape {tuple(y_true.shape)}, y_pred of shape {tuple(y_pred.shape)}"
        )
    weight = ops.ones_like(score)
    for factor in (sample_weight, mask):
        weight = weight if factor is None else weight * _spread(_float32(factor), score)
    sides = ops.reshape(y_true[..., 1:], (-1, 2)) if with_classes else None
    similar, score, weight = (ops.reshape(one, (-1,)) for one in (similar, score, weight))
    return LabelledScores(similar, score, weight, sides)


def _float32(x: Tensor) -> Tensor:
    return ops.cast(ops.convert_to_tensor(x), "float32")


def _alike(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> bool:
    return len(one) == len(other) and all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def _spread(weight: Tensor, score: Tensor) -> Tensor:
    """Return a weight for each score. A weight with fewer axes applies to all scores on the other axes."""
    shape = tuple(weight.shape)
    if len(shape) == len(score.shape) + 1 and shape[-1] in (1, None):
        weight = weight[..., 0]
    while 0 < len(weight.shape) < len(score.shape):
        weight = weight[..., None]
    sizes, target = tuple(weight.shape), tuple(score.shape)
    repeated = tuple(target[k] if k > 0 and size == 1 else size for k, size in enumerate(sizes))
    if sizes and not _alike(repeated, target):
        raise ValueError(
            "`sample_weight` must have one value per pair, shape (batch,). "
            f"Received: sample_weight of shape {shape} for scores of shape {target}"
        )
    return weight
