"""Gallery files: `.npz` without pickle, so nothing in a file is executed."""

import hashlib
import math
import os
import re
import struct
import sys
import uuid
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_balanced_siamese._text import short

FIELDS = ("embeddings", "labels", "distance", "threshold", "index")
FORMATS = {1: FIELDS, 2: (*FIELDS, "graph", "graph_of")}  # `graph_of` is a digest of the items

# what `numpy.savez` writes: uncompressed members, each with a header of the zip format and one of the npy format
MEMBER = struct.Struct("<4s5H3L2H")
END = struct.Struct("<4s4H2LH")
WIDE = 2**32 - 1  # the length is in the extra field
ARRAY = re.compile(
    rb"\{'descr': '([<>|][biufU]\d{1,9})', 'fortran_order': (True|False), 'shape': \(((?:\d{1,18},? ?)*)\), \} *\n"
)
MOST = 1 + max(map(len, FORMATS.values()))  # members
LONGEST = 1024  # bytes of a name, an extra field or a header of an array
PART = 2**24  # bytes that are read at a time


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write the `FIELDS` of `content`, and its `"graph"` if it has one.

    An existing file is replaced only when the new one is complete.
    """
    if "graph" in content:
        content = {**content, "graph_of": _digest(content)}
    number = 2 if "graph" in content else 1
    target = Path(os.path.realpath(path))
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")  # of this call, not of another thread
    try:
        with open(part, "wb") as file:  # with a path, NumPy would append ".npz"
            arrays: dict[str, Any] = {name: np.asarray(content[name]) for name in FORMATS[number]}
            np.savez(file, format=np.array(number), **arrays)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a file that `write` wrote.

    The file is parsed here and not by `numpy.load`, which believes a file that promises more than it holds, unpacks
    members of any size and evaluates headers. Here nothing is read or allocated beyond the size of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a gallery, or is incomplete.
    """
    with open(path, "rb") as file:
        try:
            found = _members(file, os.fstat(file.fileno()).st_size)
            fields = FORMATS.get(found.pop("format").item())
            if fields is None or set(found) != set(fields):
                raise ValueError(f"expected one of the formats {FORMATS}")
            if "graph" in found:
                _check_graph(found)
        except (ValueError, TypeError, KeyError, struct.error) as error:
            raise not_a_gallery(path, error) from error
    return found


def not_a_gallery(path: Any, reason: Exception) -> ValueError:
    return ValueError(
        "`path` must be a file that `Gallery.save` wrote, unchanged. "
        f"Received: path={os.fspath(path)!r}; {type(reason).__name__}: {short(reason)}"
    )


def _check_graph(found: dict[str, np.ndarray]) -> None:
    """Raise unless the graph is bytes, and of the items in the file."""
    if found["graph"].dtype != np.uint8 or found["graph"].ndim != 1:
        raise ValueError("expected a graph of bytes")
    if found["graph_of"].item() != _digest(found):
        raise ValueError("the graph is of other items")


def _digest(content: dict[str, Any]) -> str:
    """Digest of what a graph depends on: the embeddings, in any byte order and layout, and the distance."""
    embeddings = np.ascontiguousarray(content["embeddings"])
    embeddings = embeddings.astype(embeddings.dtype.newbyteorder("<"), copy=False)
    found = hashlib.sha256(f"{content['distance']} {embeddings.dtype.str} {embeddings.shape}".encode())
    found.update(embeddings.data)
    return found.hexdigest()


def _members(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file of `size` bytes by name."""
    file.seek(max(size - END.size, 0))
    signature, _, _, _, n_members, *_ = END.unpack(file.read(END.size))
    if signature != b"PK\5\6":
        raise ValueError("the file does not end as a zip file does")
    file.seek(0)
    found = {}
    for _ in range(min(n_members, MOST)):
        name, length, checksum = _member(file)
        if length > size - file.tell():
            raise ValueError(f"{name!r} is longer than the file")
        found[name.removesuffix(".npy")] = _array(file, length, checksum)
    return found


def _member(file: BinaryIO) -> tuple[str, int, int]:
    """Read the header of a member: its name, length and checksum."""
    signature, _, flags, method, _, _, checksum, packed, length, *sizes = MEMBER.unpack(file.read(MEMBER.size))
    if signature != b"PK\3\4" or flags or method or packed != length or max(sizes) > LONGEST:
        raise ValueError("expected a member without compression and encryption")
    name, extra = (file.read(n) for n in sizes)
    if length == WIDE:
        length, packed = struct.unpack_from("<2Q", extra, 4)
    return name.decode("ascii"), length, checksum


def _array(file: BinaryIO, length: int, checksum: int) -> np.ndarray:
    """Read an array in the npy format, `length` bytes with its header."""
    start = file.read(10)
    n_header = int.from_bytes(start[8:], "little")
    header = file.read(min(n_header, LONGEST))
    parsed = ARRAY.fullmatch(header)
    if start[:8] != b"\x93NUMPY\1\0" or parsed is None:
        raise ValueError("expected an array of plain numbers or strings")
    dtype, in_columns, shape = np.dtype(parsed[1].decode()), parsed[2] == b"True", _shape(parsed[3])
    n_data = length - len(start) - len(header)
    if dtype.itemsize == 0 or n_data != dtype.itemsize * math.prod(shape):
        raise ValueError("the array is not as long as its member")
    data, found = np.empty(n_data, np.uint8), zlib.crc32(start + header)
    for part in (data.data[k : k + PART] for k in range(0, n_data, PART)):
        if file.readinto(part) != len(part):  # pyright: ignore[reportAttributeAccessIssue]
            raise ValueError("the file ends too early")
        found = zlib.crc32(part, found)
    if found != checksum:
        raise ValueError("the checksum is wrong")
    array = data.view(dtype).astype(dtype.newbyteorder("="), copy=False)
    if dtype.kind == "U" and array.view(np.uint32).max(initial=0) > sys.maxunicode:
        raise ValueError("a string holds what is not a character")
    return array.reshape(shape, order="F" if in_columns else "C")


def _shape(text: bytes) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(rb"\d+", text))
