"""For each query all items of other classes within its reach: tiles of rough distances, each computed once."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_balanced_siamese.neighbours._exact import SCRATCH, Space

TILE = 2048  # queries and items whose rough distances are looked at side by side
PENDING = 8 * SCRATCH  # bytes of finds that may wait for their strip


class Found(NamedTuple):
    """What the queries of one strip found, ordered by query."""

    rows: np.ndarray  # (m,) int16 the query's place in its strip
    items: np.ndarray  # (m,) int32
    halves: np.ndarray  # (m,) rough distances


class Classes(NamedTuple):
    """Classes of items that lie side by side."""

    starts: np.ndarray  # (n,) where the class of each item begins
    stops: np.ndarray  # (n,) and where it ends


def strips(space: Space, classes: Classes, reach: np.ndarray, expected: float) -> Iterator[tuple[slice, Found]]:
    """Strip by strip of the queries what they found.

    A distance belongs to two queries. What a tile finds for the later strip waits there, if there is room.

    Args:
        space: The items, which are the queries too.
        classes: Their classes.
        reach: `(n,)` the largest rough distance of interest to each query, -inf for none.
        expected: How many finds there will be, roughly.
    """
    n, reach = len(reach), reach.astype(space.ask.dtype)
    turned = expected / 4 * (6 + reach.itemsize) <= PENDING  # at most about a quarter of the finds wait at a time
    pending: dict[int, list[Found]] = {start: [] for start in range(0, n, TILE)}
    buffer = np.empty(TILE * TILE, reach.dtype)
    for start in range(0, n, TILE):
        rows, found = slice(start, min(start + TILE, n)), pending.pop(start)
        for left in range(start if turned else 0, n, TILE):
            columns = slice(left, min(left + TILE, n))
            tile = _tile(space, classes, rows, columns, buffer)
            places, items, halves = _pick(tile, reach[rows, None])
            found.append(Found(places.astype(np.int16), items + np.int32(left), halves))
            if turned and left > start:
                items, places, halves = _pick(tile, reach[columns])
                pending[left].append(Found(places.astype(np.int16), items + np.int32(start), halves))
        yield rows, _by_row(found)


def _tile(space: Space, classes: Classes, rows: slice, columns: slice, buffer: np.ndarray) -> np.ndarray:
    """Rough distances, infinite within a class."""
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    tile = np.matmul(space.ask[rows], space.answer[columns].T, out=buffer[: shape[0] * shape[1]].reshape(shape))
    row = max(rows.start, int(classes.starts[columns.start]))
    while row < min(rows.stop, classes.stops[columns.stop - 1]):
        start, stop = int(classes.starts[row]), int(classes.stops[row])
        inside = slice(max(start - columns.start, 0), max(stop - columns.start, 0))
        tile[row - rows.start : stop - rows.start, inside] = np.inf
        row = stop
    return tile


def _pick(tile: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values within reach."""
    flat = np.flatnonzero(tile <= reach)
    rows, columns = np.divmod(flat.astype(np.int32), np.int32(tile.shape[1]))
    return rows, columns, tile.reshape(-1)[flat]


def _by_row(found: list[Found]) -> Found:
    rows, items, halves = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(rows, kind="stable")
    return Found(rows[order], items[order], halves[order])
