"""The checkpoint in a SavedModel directory, read without TensorFlow: an index of arrays, and files of their bytes."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._checksum import masked_checksum
from keras_balanced_siamese.legacy._protobuf import fields, inside, integer, text, varint

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)  # the end of an index
FOOTER = 48  # bytes
LARGEST_INDEX = 2**27  # bytes
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
NO_WEIGHTS = ("keras_api", "optimizer", "signatures", "_state_var")  # the last is the state of a random generator
STRING = 7
TYPES = {  # number in the index -> type
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    9: "<i8",
    10: "?",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}


class Entry(NamedTuple):
    """Type, shape, place and checksum of an array."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


class Variable(NamedTuple):
    """A weight of the saved model: its name in Keras, and the key of its array."""

    name: str
    key: str


class Checkpoint:
    """The arrays of a checkpoint.

    Attributes:
        variables: The weights of the model, in the order of Keras 2.

    Raises:
        ValueError: If the checkpoint is damaged.
    """

    def __init__(self, prefix: Path):
        self._prefix = prefix
        self._entries: dict[str, Entry] = {}
        self._n_shards = 1
        for key, value in _table(prefix.with_name(f"{prefix.name}.index")):
            if key:
                self._entries[key] = _entry(value)
            else:
                self._n_shards = integer(dict(fields(value)), 1)
        self.variables = self._variables()

    @property
    def elements(self) -> int:
        """The number of values in the weights of the model, no more than the files can hold."""
        entries = [self._entries[one.key] for one in self.variables if one.key in self._entries]
        stored = sum(path.stat().st_size for path in self._prefix.parent.glob(f"{self._prefix.name}.data-*"))
        return min(sum(math.prod(entry.shape) for entry in entries), stored)

    def array(self, key: str) -> np.ndarray | None:
        """Return an array, or `None`.

        Raises:
            ValueError: If it has no numbers, or its place is not in the file.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.dtype not in TYPES:
            raise ValueError(f"{key!r} must be an array of numbers. Received: the type {entry.dtype} of TensorFlow")
        dtype = np.dtype(TYPES[entry.dtype])
        if entry.size != math.prod(entry.shape) * dtype.itemsize:
            raise ValueError(f"{key!r} of shape {short(entry.shape)} cannot have {entry.size} bytes")
        return np.frombuffer(self._bytes(key, entry), dtype).reshape(entry.shape)

    def _bytes(self, key: str, entry: Entry) -> bytes:
        name = f"{self._prefix.name}.data-{entry.shard:05d}-of-{self._n_shards:05d}"
        path = self._prefix.with_name(name)
        if not path.exists():
            raise ValueError(f"The SavedModel has no file {name!r}, which holds {key!r}")
        if entry.offset + entry.size > path.stat().st_size:
            raise ValueError(f"The file {name!r} ends before {key!r}")
        with path.open("rb") as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
        if entry.dtype != STRING and masked_checksum(data) != entry.checksum:
            raise ValueError(f"The file {name!r} is damaged: {key!r} has another checksum")
        return data

    def _variables(self) -> list[Variable]:
        entry = self._entries.get(GRAPH)
        if entry is None or entry.dtype != STRING:
            raise ValueError("The SavedModel has no graph of objects; only those of TensorFlow 2 are read")
        data = self._bytes(GRAPH, entry)
        length, place = varint(data, 0)
        nodes = list(inside(data[place + 4 : place + 4 + length], 1))  # after a checksum of 4 bytes
        listed = _children(nodes, 0).get("variables", 0)  # with `save_traces=False`, the root has no such list
        return list(_below(nodes, listed, set()))


def _below(nodes: list[bytes], place: int, seen: set[int]) -> Iterator[Variable]:
    """Yield the weights of an object and of those in it, in order, each once."""
    if place in seen:
        return
    seen.add(place)
    attributes = [dict(fields(one)) for one in inside(_node(nodes, place), 2)]
    yield from (Variable(text(one, 2), text(one, 3)) for one in attributes if text(one, 1) == "VARIABLE_VALUE")
    for name, child in _children(nodes, place).items():
        if name not in NO_WEIGHTS:
            yield from _below(nodes, child, seen)


def _children(nodes: list[bytes], place: int) -> dict[str, int]:
    found = {}
    for child in inside(_node(nodes, place), 1):
        parts = dict(fields(child))
        found[text(parts, 2)] = integer(parts, 1)
    return found


def _node(nodes: list[bytes], place: int) -> bytes:
    if place >= len(nodes):
        raise ValueError("The SavedModel is damaged: its graph has no such object")
    return nodes[place]


def _entry(data: bytes) -> Entry:
    parts = dict(fields(data))
    sizes = tuple(integer(dict(fields(one)), 1) for one in inside(data, 2, 2))
    if 7 in parts:
        raise ValueError("A SavedModel whose arrays are divided is not supported")
    dtype, shard, offset, size = (integer(parts, number) for number in (1, 3, 4, 5))
    checksum = parts.get(6, b"")  # 4 bytes
    number = int.from_bytes(checksum, "little") if isinstance(checksum, bytes) else -1
    return Entry(dtype, sizes, shard, offset, size, number)


def _table(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the keys and values of a sorted table of LevelDB, not compressed, as TensorFlow writes it."""
    if path.stat().st_size > LARGEST_INDEX:
        raise ValueError(f"{path.name!r} has {path.stat().st_size} bytes")
    data = path.read_bytes()
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise ValueError(f"{path.name!r} is damaged, or no index of a checkpoint")
    footer = data[-FOOTER:]
    _, place = varint(footer, 0)
    _, place = varint(footer, place)
    for _, handle in _block(data, footer[place:]):
        for key, value in _block(data, handle):
            yield key.decode(), value


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block; each key is written as what differs from the one before."""
    start, place = varint(handle, 0)
    size, _ = varint(handle, place)
    block, kind = data[start : start + size], data[start + size : start + size + 1]
    if size < 4 or kind != b"\0":
        raise ValueError("The index of the SavedModel is damaged, or compressed")
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    key, place = b"", 0
    while place < end:
        shared, place = varint(block, place)
        own, place = varint(block, place)
        length, place = varint(block, place)
        key = key[:shared] + block[place : place + own]
        place += own + length
        if place > end:
            raise ValueError("The index of the SavedModel is damaged: an entry is cut off")
        yield key, block[place - length : place]
