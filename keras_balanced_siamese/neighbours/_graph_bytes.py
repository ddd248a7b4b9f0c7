"""Graphs of usearch as plain bytes, without their vectors, and the checks that make them safe to open.

usearch does not check what it opens, so a link to a node that is not there would read foreign memory. Its format, after
the vectors: a head, the numbers of nodes and links, the level of each node, then the nodes. A node is its key, its
level, and for each of its levels the number of links and the places of the linked nodes, in a list of fixed length.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

MATRIX = struct.Struct("<2I")  # rows, bytes of a row
HEAD = struct.Struct("<7s3H4B3QB22x")  # magic, version, kinds, nodes present, nodes removed, dimensions, several a key
SHAPE = struct.Struct("<5Q")
KINDS = (101, 11, 14, 15)  # squared Euclidean distance, float32, keys of 64 and places of 32 bits
REMOVED = 2**64 - 1  # key of a removed node, whose links are still followed
LARGEST = 512  # links of a node on a level
HIGHEST = 64  # level
PART = 2**13  # nodes that are checked at a time


class Layout(NamedTuple):
    """Where the nodes of a graph are in its bytes."""

    levels: np.ndarray  # (s,)
    starts: np.ndarray  # (s,) of the nodes
    widths: tuple[int, int]  # links on level 0, and on each level above
    dim: int


def without_vectors(content: bytes, ids: np.ndarray) -> np.ndarray:
    """Return the graph of an index whose keys are the sorted `ids`, with their positions as keys.

    Raises:
        ValueError: If usearch wrote another format than the one known here.
    """
    rows, width = MATRIX.unpack_from(content)
    graph = np.frombuffer(content, np.uint8)[MATRIX.size + rows * width :].copy()
    layout = _layout(graph)
    keys = _fields(graph, layout.starts, "<u8")
    present = keys != REMOVED
    if rows != len(keys) or width != 4 * layout.dim or not np.array_equal(np.sort(keys[present]), ids):
        raise ValueError("expected the vectors of the items")
    positions = np.searchsorted(ids, keys[present].astype(np.int64)).astype("<u8")
    graph[layout.starts[present][:, None] + np.arange(8)] = positions[:, None].view(np.uint8)
    return graph


def with_vectors(graph: np.ndarray, vectors: np.ndarray) -> bytes:
    """Return the content of an index of the float32 vectors `(n, d)`, from a graph of `without_vectors`.

    A removed node gets the vector of a node that it is linked to, because its own was not kept.

    Raises:
        ValueError: If the graph is none of these vectors, or has links that lead nowhere.
    """
    layout = _layout(graph)
    keys = _fields(graph, layout.starts, "<u8")
    present = keys != REMOVED
    if layout.dim != vectors.shape[1] or not np.array_equal(np.sort(keys[present]), np.arange(len(vectors))):
        raise ValueError("the graph is of other items")
    _check_links(graph, layout)
    keys[~present] = keys[_neighbours(graph, layout, present)]
    matrix = np.zeros((len(keys), layout.dim), "<f4")
    known = keys != REMOVED
    matrix[known] = vectors[keys[known].astype(np.int64)]
    return b"".join([MATRIX.pack(len(keys), 4 * layout.dim), matrix.tobytes(), graph.tobytes()])


def _layout(graph: np.ndarray) -> Layout:
    """Read and check everything but the links."""
    if len(graph) < HEAD.size + SHAPE.size:
        raise ValueError("the graph is too short")
    magic, major, _, _, *kinds, n_present, n_removed, dim, several = HEAD.unpack_from(graph.data)
    size, width, base_width, top, entry = SHAPE.unpack_from(graph.data, HEAD.size)
    if (magic, major, tuple(kinds), several) != (b"usearch", 2, KINDS, 0):
        raise ValueError("expected a graph of usearch 2 for float32 vectors and the squared Euclidean distance")
    start = HEAD.size + SHAPE.size
    levels = graph[start : start + 2 * size].view("<i2") if 0 < size <= len(graph) // 16 else np.empty(0)
    if not (0 < width <= LARGEST and 0 < base_width <= LARGEST and 0 < len(levels) == size and levels.min() >= 0):
        raise ValueError("the graph has no such nodes")
    lengths = 14 + 4 * base_width + levels.astype(np.int64) * (4 + 4 * width)
    starts = start + 2 * size + np.cumsum(lengths) - lengths
    if levels.max() > HIGHEST or starts[-1] + lengths[-1] != len(graph) or n_present + n_removed != size:
        raise ValueError("the graph has another length than its nodes")
    if not np.array_equal(_fields(graph, starts + 8, "<i2"), levels) or entry >= size or levels[entry] != top:
        raise ValueError("the nodes of the graph are on other levels")
    if top != levels.max() or n_removed != (_fields(graph, starts, "<u8") == REMOVED).sum():
        raise ValueError("the graph has other nodes than it says")
    return Layout(levels, starts, (base_width, width), dim)


def _check_links(graph: np.ndarray, layout: Layout) -> None:
    """Raise unless all links lead to nodes of their level."""
    for level in range(int(layout.levels.max()) + 1):
        for _, counts, places in _links(graph, layout, level):
            used = np.arange(places.shape[1]) < counts[:, None]
            if (counts > places.shape[1]).any() or (places[used] >= len(layout.levels)).any():
                raise ValueError("the graph has links to nodes that are not there")
            if (layout.levels[places[used]] < level).any():
                raise ValueError("the graph has links to nodes that are not on the level")


def _neighbours(graph: np.ndarray, layout: Layout, present: np.ndarray) -> np.ndarray:
    """The first present node that each removed node is linked to, or the node itself."""
    found = []
    for nodes, counts, places in _links(graph, layout, 0, np.flatnonzero(~present)):
        used = np.arange(places.shape[1]) < counts[:, None]
        usable = used & present[np.where(used, places, 0)]
        first = places[np.arange(len(nodes)), usable.argmax(axis=1)]
        found.append(np.where(usable.any(axis=1), first, nodes))
    return np.concatenate([np.empty(0, np.int64), *found])


def _links(
    graph: np.ndarray, layout: Layout, level: int, nodes: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of nodes of a level: `(nodes (b,), numbers of links (b,), linked nodes (b, width))`."""
    nodes = np.flatnonzero(layout.levels >= level) if nodes is None else nodes
    base_width, width = layout.widths
    skipped = 10 + (0 if level == 0 else 4 + 4 * base_width + (level - 1) * (4 + 4 * width))
    for start in range(0, len(nodes), PART):
        part = nodes[start : start + PART]
        rows = _fields(graph, layout.starts[part] + skipped, "<u4", 1 + (width if level else base_width))
        yield part, rows[:, 0].astype(np.int64), rows[:, 1:].astype(np.int64)


def _fields(graph: np.ndarray, starts: np.ndarray, dtype: str, n: int = 1) -> np.ndarray:
    """Numbers at some places of the graph: `(s,)`, or `(s, n)`."""
    found = graph[starts[:, None] + np.arange(n * np.dtype(dtype).itemsize)].view(dtype)
    return found[:, 0].copy() if n == 1 else found
