"""A check of the texts in an HDF5 file, whose damage can keep the HDF5 library in an endless loop."""

import mmap
import struct
from pathlib import Path

HEAP = b"GCOL\x01\0\0\0"  # the start of a heap of texts, of version 1
HEADER = 16  # bytes before a heap and before each object in it


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


def check_heaps_of(path: Path) -> None:
    """Check the heaps of a file, as `check_heaps` does, without reading it into memory."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_heaps(data)
