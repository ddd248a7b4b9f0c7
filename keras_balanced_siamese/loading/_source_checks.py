"""Checks of the samples at construction, without reading large files."""

import warnings
from typing import Any

import numpy as np

from keras_balanced_siamese.loading._batch_checks import FINITE, NUMBERS, all_finite, is_numeric
from keras_balanced_siamese.loading._sources import length, parts
from keras_balanced_siamese.loading._tables import first_other

SMALL = 2**26  # bytes of an array that is read at once
READY_PAIRS = (
    "This sequence forms pairs itself, from single samples and their class labels. Train on ready pairs directly, "
    "`model.fit((left, right), similar)`. If instead each sample has these two inputs, pass them as a dict, "
    "{name of the input: array}"
)


def check_source(source: Any, n: int, transformed: bool) -> bool:
    """Check the length and, where a look is cheap, the values of each source; return whether all values are right.

    Args:
        source: The result of `open_source`.
        n: The number of labels.
        transformed: Whether transforms follow, which may take anything.

    Raises:
        TypeError: If samples are not numeric.
        ValueError: If a source does not have `n` samples, or holds NaN or an infinite number.
    """
    values = not transformed
    if not list(parts(source)):
        raise ValueError("`x` must hold at least one input. Received: an empty tuple or dict")
    for part in parts(source):
        if length(part) != n:
            raise ValueError(
                f"`x` and `y` must have the same length; pass several inputs as a tuple or a dict, not as a list, "
                f"and ready-made pairs to `fit` itself. Received: len(x)={length(part)}, len(y)={n}"
            )
        values = values and _check_values(part)
    return values


def _check_values(part: Any) -> bool:
    """Raise for wrong values; return whether all were looked at."""
    kind = getattr(getattr(part, "dtype", None), "kind", "")
    first = part[0] if isinstance(part, list) or kind == "O" else None
    if isinstance(first, (str, bytes)) or hasattr(first, "__fspath__") or kind in ("S", "U", "T"):
        raise TypeError(
            "`x` holds text, and the encoder needs numbers: pass `transform`, for example a function that loads the "
            f"file of a path. Received: x[0]={part[0]!r}"
        )
    if not isinstance(part, np.ndarray):
        return False
    if part.dtype.kind == "O":
        if part.ndim == 1 and (hasattr(first, "__len__") or hasattr(first, "__array__")):
            return False  # samples of any kind, which are checked when they are loaded
        found = first_other(part)
        if found is not None:
            raise TypeError(
                f"{NUMBERS}; encode text and categories, for example by `pandas.get_dummies`. "
                f"Received: x of dtype object, and x{list(found[0])}={found[1]!r}"
            )
    elif not is_numeric(part.dtype):
        raise TypeError(f"{NUMBERS}. Received: x of dtype {part.dtype}")
    elif part.dtype.kind in "biu":
        return True
    elif part.nbytes <= SMALL and not all_finite(part):
        places = np.argwhere(~np.isfinite(part))
        first = tuple(places[0].tolist())
        raise ValueError(f"{FINITE}. Received: {len(places):,} such numbers, the first x{list(first)}={part[first]}")
    return part.dtype.kind != "O" and part.nbytes <= SMALL


def check_rows(x: Any, y: Any) -> None:
    """Warn if `x` and `y` are of pandas with the same row labels in another order."""
    rows: Any = getattr(x, "index", None)
    others: Any = getattr(y, "index", None)
    if not (hasattr(rows, "equals") and hasattr(others, "equals")) or len(rows) != len(others) or rows.equals(others):
        return
    if rows.isin(others).all():
        warnings.warn(
            "The rows of `x` and `y` are matched by position, and their labels have another order: pass "
            "`y.loc[x.index]`, or `y.to_numpy()` if the positions are right. "
            f"Received: rows {list(rows[:3])}... of x and {list(others[:3])}... of y",
            stacklevel=4,
        )


def check_no_pairs(x: Any, labels: list[Any], n: int) -> None:
    """Check that `x` and its sorted `labels` are not ready-made pairs and their labels 0 and 1.

    Two inputs of a sample can look the same, so only samples that are on both sides are an error.

    Raises:
        ValueError: If `x` is surely pairs; a warning is raised if it may be.
    """
    if not isinstance(x, tuple) or len(x) != 2 or labels != [0, 1]:
        return
    left, right = (_beginning(side, n) for side in x)
    if left is None or right is None or left[:2] != right[:2]:
        return
    alike = "`x` looks like ready-made pairs: two sources of the same form, and labels 0 and 1"
    if set(left[2]) & set(right[2]):
        raise ValueError(f"{alike}; some samples are on both sides. {READY_PAIRS}. Received: a tuple of two sources")
    warnings.warn(f"{alike}. {READY_PAIRS}.", stacklevel=4)


def _beginning(side: Any, n: int) -> tuple[Any, Any, list[bytes]] | None:
    """Return the shape and type of the samples and the bytes of the first ones; `None` if they cannot be compared."""
    if isinstance(side, list) and len(side) == n and isinstance(side[0], (str, bytes)):
        return (), "text", [str(path).encode() for path in side[:1000]]
    shape, dtype = tuple(getattr(side, "shape", None) or [0]), getattr(side, "dtype", None)
    text = getattr(dtype, "kind", "") in ("U", "S", "O")
    if shape[0] != n or (len(shape) == 1 and not text):
        return None  # single numbers could be anything
    rows = np.asarray(side[: max(1, min(1000, SMALL // (4 * max(1, int(np.prod(shape[1:]))))))])
    if text:
        return shape, str(dtype), [str(row).encode() for row in rows] if rows.ndim == 1 else []
    flat = rows.reshape(len(rows), -1)
    varied = (flat != flat[:, :1]).any(axis=1)  # blank images can be on both sides of anything
    return shape, str(dtype), [row.tobytes() for row in rows[varied]]
