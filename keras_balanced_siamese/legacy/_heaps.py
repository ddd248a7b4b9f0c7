"""Checks of the texts in an HDF5 file, whose damage can cost the HDF5 library endless time or gigabytes of memory."""

import math
import mmap
import re
import struct
from pathlib import Path

HEAP = b"GCOL\x01\0\0\0"  # the start of a heap of texts, of version 1
HEADER = 16  # bytes before a heap and before each object in it
ATTRIBUTES = re.compile(rb"(?:model_config|training_config|keras_version|(?:layer|weight)_names\d*)\0")
COMPOUND, VARIABLE, ARRAY = 6, 9, 10  # classes of data types that hold others, or values of any length
ELEMENT = 16  # bytes of a text of any length in an attribute: its length and its place in a heap


def check_heaps(data: bytes | mmap.mmap) -> None:
    """Check that the objects of each heap follow each other up to its end.

    Raises:
        ValueError: If an object is smaller than its header, or longer than the heap.
    """
    start = data.find(HEAP)
    while start >= 0 and start + HEADER <= len(data):
        (size,) = struct.unpack_from("<Q", data, start + 8)
        place, end = start + HEADER, start + size
        if end > len(data):
            raise ValueError("The HDF5 file is damaged: a heap of texts is cut off")
        while place + HEADER <= end:
            number, _, _, length = struct.unpack_from("<HHIQ", data, place)
            step = HEADER + -(-length // 8) * 8 if number else length  # the number 0 is free space, with its header
            place += step
            if step < HEADER or place > end:
                raise ValueError("The HDF5 file is damaged: a text in it does not end in its heap")
        start = data.find(HEAP, start + 1)


def check_attributes(data: bytes | mmap.mmap) -> None:
    """Check that the attributes that are read hold texts no longer than the file, for which memory is taken at once.

    Raises:
        ValueError: If one is longer, or is not made of texts.
    """
    for found in ATTRIBUTES.finditer(data):
        for version, header in ((1, 8), (2, 8), (3, 9)):
            start = found.start() - header
            if start < 0 or data[start] != version:
                continue
            name_size, type_size, space_size = struct.unpack_from("<HHH", data, start + 2)
            if name_size != len(found[0]):  # the name stands there for another reason
                continue
            sizes = [-(-size // 8) * 8 if version == 1 else size for size in (name_size, type_size, space_size)]
            kind, space = found.start() + sizes[0], found.start() + sum(sizes[:2])
            _check_texts(data, kind, space, space + sizes[2], shared=version > 1 and data[start + 1] != 0)


def _check_texts(data: bytes | mmap.mmap, kind: int, space: int, start: int, shared: bool) -> None:
    """Check the texts of an attribute by the places of its data type, its shape and its first text."""
    if kind + ELEMENT > len(data) or space + 4 > len(data):
        raise ValueError("The HDF5 file is damaged: an attribute is cut off")
    is_variable = (
        data[kind] & 15 == VARIABLE and data[kind + 1] & 15 == 1 and data[kind + 12 : kind + 16] == b"\1\0\0\0"
    )
    if shared or (data[kind] & 15 in (COMPOUND, VARIABLE, ARRAY) and not is_variable):
        raise ValueError("The HDF5 file is damaged: an attribute is not made of texts")
    if not is_variable:
        return
    first = space + (8 if data[space] == 1 else 4)
    sizes = [int.from_bytes(data[first + 8 * k : first + 8 * k + 8], "little") for k in range(data[space + 1])]
    count = min(math.prod(sizes), (len(data) - start) // ELEMENT)
    lengths = (struct.unpack_from("<I", data, start + k * ELEMENT)[0] for k in range(count))
    if any(length > len(data) for length in lengths):
        raise ValueError("The HDF5 file is damaged: a text in it is longer than the file")


def check_heaps_of(path: Path) -> None:
    """Check the texts of a file, as `check_heaps` and `check_attributes` do, without reading it into memory."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_heaps(data)
        check_attributes(data)
