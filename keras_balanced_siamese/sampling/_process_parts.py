"""The slice of a sequence that each of several processes draws, and the check that all draw the same."""

import random
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import (
    ALONE,
    Processes,
    exchange,
    is_divided,
    is_shuffled_globally,
    parts_by_number,
    processes,
    slices,
)
from keras_balanced_siamese._running_model import Reader, reader

READERS = ("fit", "evaluate")  # whose data is divided
FIELDS = {  # of a fingerprint, with their names in an error
    "batch_size": "`batch_size`",
    "samples": "number of samples",
    "labels": "`y`",
    "seed": "`seed`",
    "epoch": "current epoch",
    "batches": "number of batches",
    "plan": "arguments",
    "random": "states of Python's `random`, by which `fit` shuffles,",
}


def own_slice(sequence: Any) -> Processes:
    """Return the slice of each batch that this process draws, which is all of it in most cases.

    Raises:
        ValueError: If the batches cannot be divided.
    """
    if sequence._part != ALONE or processes().number == 1:
        return sequence._part
    now = reader()
    own = ALONE if now is None or now.method not in READERS else slices(now.model)
    check_slices(sequence, own)
    return own


def check_slices(sequence: Any, own: Processes) -> None:
    """Raise if the batches of a sequence cannot be divided equally."""
    total, size = sequence._total, sequence.batch_size
    if size % own.number or (own.number > 1 and total % size):
        raise ValueError(
            f"{own.number} processes cannot share each batch equally. Construct the sequence with a batch size that "
            f"is a multiple of {own.number}, and with `steps_per_epoch`, so that all batches are full. "
            f"Received: {total} items in batches of {size}"
        )


def rows_of(own: Processes, batch_size: int) -> slice:
    """Return the place of the own slice in a batch."""
    size = batch_size // own.number
    return slice(own.rank * size, (own.rank + 1) * size)


def check_processes(sequence: Any) -> None:
    """Check a sequence that `fit` or `evaluate` is about to read, in one of several processes.

    Raises:
        ValueError: If the batches would be divided twice, cannot be divided, or differ between the processes.
    """
    count = processes().number
    if count == 1 or (now := reader()) is None or now.method not in READERS:
        return
    is_part = sequence._part != ALONE
    if is_divided():
        if is_part:
            raise ValueError(
                "Here Keras divides the batches among the processes, so that those of a part would be divided twice: "
                f"pass the whole sequence to `{now.method}`. Received: part {sequence._part.rank} of "
                f"{sequence._part.number}, in {count} processes"
            )
        sequence._agree(_is_shuffled(now))
        if sequence._steps % parts_by_number():
            raise ValueError(
                f"Keras cannot give {count} processes equally many of {sequence._steps} batches, and would wait for "
                f"ever. Construct the sequence with another `steps_per_epoch`. Received: {sequence._steps} batches"
            )
    elif is_part:
        if sequence._part == processes() and _is_shuffled(now):
            sequence._agree(shuffled=True)
    elif slices(now.model) != ALONE:
        sequence._agree(_is_shuffled(now))
        own_slice(sequence)
    elif now.method == "fit" and not sequence._has_agreed:
        sequence._has_agreed = True  # warn once
        warnings.warn(
            f"{count} processes are connected, but this `fit` neither divides the batches among them nor averages "
            "their gradients: each trains a model of its own, on the same batches. If your training step averages "
            f"them, pass the part of each process, such as `pairs.shard({processes().rank}, {count})`.",
            stacklevel=3,
        )


def _is_shuffled(now: Reader) -> bool:
    """Return whether `fit` serves the batches in an order that may differ between the processes."""
    return now.method == "fit" and bool(now.arguments.get("shuffle")) and is_shuffled_globally()


def fingerprint(sequence: Any, shuffled: bool) -> dict[str, int]:
    """Return numbers that are equal if two sequences draw the same batches."""
    plan = sequence.plan
    arrays = [one for one in plan if isinstance(one, np.ndarray)]
    return {
        "batch_size": sequence.batch_size,
        "samples": len(sequence.labels),
        "labels": _digest([np.array(sequence.classes), sequence.labels]),
        "seed": sequence.seed,
        "epoch": sequence.epoch,
        "batches": sequence._steps,
        "plan": _digest(arrays),
        "random": zlib.crc32(repr(random.getstate()).encode()) if shuffled else 0,
    }


def check_agreement(own: Mapping[str, int], name: str) -> None:
    """Raise if the processes have constructed different sequences."""
    found = exchange(dict(own), name)
    for field, noun in FIELDS.items():
        values = [one[field] for one in found]
        if len(set(values)) > 1:
            cure = (
                "Call `keras.utils.set_random_seed` in each, with the same number"
                if field == "random"
                else "Pass the same arguments and the same `seed`, a number, in each"
            )
            shown = ", ".join(f"{value} in rank {rank}" for rank, value in enumerate(values))
            raise ValueError(
                f"All processes must draw the same batches, but their {noun} differ. {cure}. Received: {field} {shown}"
            )


def _digest(arrays: list[np.ndarray]) -> int:
    found = 0
    for one in arrays:
        found = zlib.crc32(np.ascontiguousarray(one).tobytes(), found)
    return found
