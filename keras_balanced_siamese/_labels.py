"""Encoding of class labels as sorted classes, integer codes and counts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import ArrayLike, Label

STEP = 2**18  # labels that are processed at a time
CURES = defaultdict(
    lambda: "Map each class to a string or a number, `{name} = [name_of[label] for label in {name}]`",
    S="Decode bytes, `{name} = np.char.decode({name})`",
    M="Name each date, `{name} = {name}.astype(str)`",
    m="Name each time, `{name} = {name}.astype(str)`",
)


class Labels(NamedTuple):
    """Encoded labels: `classes[codes[i]]` is the label of sample `i`."""

    classes: list[Label]  # sorted, plain Python values
    codes: np.ndarray  # (n,) positions in `classes`
    counts: np.ndarray  # (len(classes),) samples of each class


def encode_labels(labels: ArrayLike, name: str = "labels") -> Labels:
    """Encode one label per sample.

    Args:
        labels: `(n,)` or `(n, 1)` integers, strings, booleans or finite floats, in any order.
        name: Name of the argument in error messages.

    Raises:
        ValueError: If there are no labels, more than one per sample (as in one-hot rows), or missing ones (NaN, None).
        TypeError: If the labels are neither strings nor numbers, or some of each.
    """
    array = _as_array(labels, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0:
        raise ValueError(
            f"`{name}` must be an array or a list with one class label per sample. "
            f"Received: {name} of type {type(labels).__name__}"
        )
    if array.ndim != 1:
        raise ValueError(
            f"`{name}` must hold one class label per sample, shape (n,). Convert one-hot rows by "
            f"`{name}.argmax(axis=1)`. Received: {name} of shape {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"`{name}` must hold at least one label. Received: {name} of shape {array.shape}")
    _refuse_other_types(array, name)
    _refuse_missing(array, name)
    try:
        classes, codes = _dense(array) or (_hashed(array) if array.dtype.kind == "O" else _sorted(array))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in array.tolist()})
        raise TypeError(
            f"`{name}` must be of one type, all strings or all numbers. Received: labels of the types {kinds}"
        ) from error
    plain = classes.tolist()
    return Labels(plain, codes, np.bincount(codes, minlength=len(plain)).astype(np.int64))


def _dense(array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return sorted classes and codes of int64 numbers in a narrow range, without sorting or copying the labels."""
    if array.dtype.kind not in "iub":
        return None
    low, high = int(array.min()), int(array.max())
    if high - low > len(array) // 4 + STEP or high >= 2**63:
        return None
    here = np.zeros(high - low + 1, bool)
    for _, part in _parts(array):
        here[_above(part, low)] = True
    code = np.cumsum(here, dtype=np.int32) - np.int32(1)
    codes = np.empty(len(array), np.int32)
    for where, part in _parts(array):
        codes[where] = code[_above(part, low)]
    return (np.flatnonzero(here) + low).astype(array.dtype), codes


def _sorted(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted classes and codes of labels that NumPy can sort."""
    classes = np.unique(array)
    codes = np.empty(len(array), np.int32)
    for where, part in _parts(array):
        codes[where] = np.searchsorted(classes, part)
    return classes, codes


def _hashed(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted classes and codes of Python objects."""
    labels = array.tolist()
    classes = np.empty(len(known := sorted(set(labels))), object)
    classes[:] = known
    code = {label: k for k, label in enumerate(known)}
    return classes, np.fromiter(map(code.__getitem__, labels), np.int32, len(labels))


def _above(part: np.ndarray, low: int) -> np.ndarray:
    return part.astype(np.int64) - low


def _parts(array: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the labels in parts, so that no further array of their size is needed."""
    for start in range(0, len(array), STEP):
        where = slice(start, start + STEP)
        yield where, array[where]


def _as_array(labels: ArrayLike, name: str) -> np.ndarray:
    """Return the labels unchanged: values that NumPy would convert, such as NaN among strings, stay objects."""
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must hold one class label per sample, shape (n,). Received: sequences of different lengths"
        ) from error
    if isinstance(labels, (list, tuple)) and array.ndim == 1 and array.tolist() != list(labels):
        array = np.empty(len(labels), dtype=object)
        array[:] = labels
    return array


def _is_missing(label: Any) -> bool:
    """Return whether a label is None, NaN or NA, whose comparison with itself has no truth value."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True
    except ValueError:  # an array
        return False


def _refuse_other_types(array: np.ndarray, name: str) -> None:
    """Raise unless all labels are strings, numbers or missing: others are not sorted, saved and printed safely."""
    kind = array.dtype.kind
    if kind in "biufUT":
        return
    labels: Any = array
    if kind == "O":
        labels = array.tolist()
        others = {one for one in set(map(type, labels)) if not issubclass(one, (str, Real, np.bool_))}
        labels = [label for label in labels if type(label) in others and not _is_missing(label)] if others else []
        if not labels:
            return
    cure = CURES["S" if isinstance(labels[0], bytes) else kind]
    raise TypeError(
        f"`{name}` must hold strings or numbers. {cure.format(name=name)}. "
        f"Received: {name} of dtype {array.dtype}, with labels such as {short(labels[0], 100)}"
    )


def _refuse_missing(array: np.ndarray, name: str) -> None:
    if array.dtype.kind == "f":
        missing = ~np.isfinite(array)
    elif array.dtype.kind == "O":
        missing = np.array([_is_missing(label) for label in array.tolist()], dtype=bool)
    else:
        return
    if missing.any():
        raise ValueError(
            f"`{name}` must not hold missing or infinite labels: drop those samples first. Received: "
            f"{int(missing.sum())} of {array.size}, the first at position {int(missing.argmax())}"
        )


def align_weights(weights: Any, classes: list[Label], name: str = "class_weight") -> np.ndarray:
    """Check a mapping {class: weight} and return its weights in the order of `classes`.

    Returns:
        float64 array `(len(classes),)`.

    Raises:
        TypeError: If `weights` is not a mapping, or a weight is not a number.
        ValueError: If a class is unknown or missing, a weight is negative or not finite, or all are 0.
    """
    if not isinstance(weights, Mapping):
        raise TypeError(f"`{name}` must be a mapping of class to weight. Received: {name}={weights!r}")
    known = set(classes)
    if weights.keys() != known:
        unknown = [label for label in weights if label not in known]
        missing = [label for label in classes if label not in weights]
        raise ValueError(
            f"`{name}` must map each class, and no other label, to a weight. Missing: {short(missing)}; "
            f"unknown: {short(unknown)}; the classes are {short(classes)}. Received: {name}={short(dict(weights))}"
        )
    try:
        given = [weights[label] for label in classes]
        plain = set(map(type, given)) <= {float}
        values = np.array(given if plain else [_number(weight) for weight in given])
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` must map each class to a number. Received: {name}={short(dict(weights))}") from error
    if not ((values >= 0).all() and (values < np.finfo(np.float32).max).all() and values.any()):
        raise ValueError(
            f"`{name}` must hold finite weights >= 0, not all of them 0. Received: {name}={short(dict(weights))}"
        )
    return values


def _number(weight: Any) -> float:
    if isinstance(weight, (str, bytes)):
        raise TypeError
    return float(weight)
