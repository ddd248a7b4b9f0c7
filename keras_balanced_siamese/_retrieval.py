"""Every embedding as a query for its own class among all others: ranks -> recall@k, R-precision, MAP@R."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._nearest import (
    SCRATCH,
    Space,
    as_points,
    blur,
    open_space,
    squared_distances,
)
from keras_balanced_siamese._typing import ArrayLike

TILE = 2048  # queries and items whose rough distances are one matrix product
SAMPLE = 16  # one in so many items takes part in the estimate of the cut-offs
ROUNDING = 1e-12  # a relative difference that counts as a tie
PENDING = 3 * SCRATCH  # bytes of candidates that may wait for their strip


class Found(NamedTuple):
    """Candidates of the queries of one strip."""

    rows: np.ndarray  # (m,) int16 the query's place in its strip
    items: np.ndarray  # (m,) int32
    halves: np.ndarray  # (m,) rough distances


class Task(NamedTuple):
    """The items in the order in which they are queries, and what is asked of them."""

    space: Space
    codes: np.ndarray  # (n,)
    depths: np.ndarray  # (n,) ranks beyond it do not matter; 0 if there is nothing to find
    floor: float  # distances that differ by less are equal


class Plan(NamedTuple):
    """Estimates for each query before the search."""

    cuts: np.ndarray  # (n,) rough distances that `depth` other items probably keep
    slack: np.ndarray  # (n,) rough distances that differ by more are in the right order
    expected: np.ndarray  # (n,) number of candidates


def retrieval_scores(
    embeddings: ArrayLike, codes: np.ndarray, ks: Sequence[int] = (1, 5, 10), distance: str = "euclidean"
) -> dict[str, np.ndarray]:
    """Ask each item for its own class among all other items.

    ```
    recall@k    = 1 if an item of the class is among the k nearest, else 0
    r_precision = hits among the R nearest / R
    map@r       = 1/R sum over i <= R of precision(i) relevant(i)
    ```

    with `R` the number of other items of the class. An item of the class comes after all items of other classes at the
    same distance (up to a relative difference of 1e-12): embeddings that collapse to one point score 0, not chance.

    Args:
        embeddings: `(n, d)`.
        codes: `(n,)` classes as whole numbers >= 0.
        ks: Whole numbers >= 1.
        distance: `"euclidean"` or `"cosine"`.

    Returns:
        `{"recall@1": ..., "r_precision": ..., "map@r": ...}`, each `(n,)` float64, NaN for the only item of a class.

    Raises:
        ValueError: If embeddings are NaN or infinite, the lengths differ, or `ks` or `distance` is not possible.

    Examples:
        >>> from keras_balanced_siamese._retrieval import retrieval_scores
        >>> scores = retrieval_scores([[0.0], [1.0], [3.0], [4.0], [4.5]], np.array([0, 0, 1, 0, 1]), ks=(1,))
        >>> scores["recall@1"].tolist(), scores["map@r"].tolist()
        ([1.0, 1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0])
    """
    points = as_points(embeddings, distance)
    codes = np.asarray(codes)
    if codes.shape != (len(points),):
        raise ValueError(f"`codes` must have one class per embedding. Received: {len(codes)} for {len(points)}")
    ks = [whole("ks", k, 1) for k in ks]
    counts = np.bincount(codes)[codes]  # (n,) size of each item's class
    order = np.lexsort((codes, counts))  # classes of one size side by side: their queries need the same depth
    relevant = counts[order] - 1  # (n,) R of each query
    depths = np.where(relevant > 0, np.minimum(np.maximum(relevant, max(ks, default=1)), len(points) - 1), 0)
    names = [*(f"recall@{k}" for k in ks), "r_precision", "map@r"]
    table = np.full((len(names), len(points)), np.nan)
    # where the depth is a large part of all items, float32 would leave too much in doubt
    dtype = np.float32 if depths.max() * 32 < len(points) else np.float64
    floor = ROUNDING if distance == "cosine" else 0.0
    for query, ranks in _all_ranks(Task(open_space(points[order], dtype), codes[order], depths, floor)):
        table[:, order[query]] = _scores(ranks, int(relevant[query]), ks)
    return dict(zip(names, table, strict=True))


def _scores(ranks: np.ndarray, relevant: int, ks: Sequence[int]) -> list[float]:
    """Scores of one query from the ranks of its own class: ascending, from 1."""
    best = ranks[0] if len(ranks) else np.inf
    hits = ranks[: np.searchsorted(ranks, relevant, "right")]
    precision = (np.arange(1, len(hits) + 1) / hits).sum() / relevant
    return [*(float(best <= k) for k in ks), len(hits) / relevant, float(precision)]


def _all_ranks(task: Task) -> Iterator[tuple[int, np.ndarray]]:
    """Each query that has something to find, and the ranks of its class down to its depth."""
    hopeless = _coincide(task) & (task.depths > 0)
    yield from ((int(query), np.empty(0, np.int64)) for query in np.flatnonzero(hopeless))
    asked = (task.depths > 0) & ~hopeless
    plan = _plan(task)
    alone = asked & ~(plan.expected <= 4 * task.depths + 1024)  # crowded places would fill the memory
    reach = np.where(asked & ~alone, plan.cuts + plan.slack, -np.inf)
    for start, found in _ahead(_candidates(task.space, reach, plan.expected)):
        ends = np.searchsorted(found.rows, np.arange(TILE + 1))
        for row in np.flatnonzero(reach[start : start + TILE] > -np.inf):
            query, part = start + int(row), slice(ends[row], ends[row + 1])
            items, halves = found.items[part], found.halves[part]
            if np.count_nonzero(halves <= plan.cuts[query]) > task.depths[query]:  # one of them is the query itself
                yield query, _ranks(task, query, items, halves, plan.slack[query])
            else:
                alone[query] = True
    for query, items, halves, slack in _one_by_one(task, np.flatnonzero(alone)):
        yield query, _ranks(task, query, items, halves, slack)


def _coincide(task: Task) -> np.ndarray:
    """Whether a query shares its place with so many items of other classes that it finds none of its own.

    Nothing else would be wrong without it: it spares embeddings that collapse the comparison of everything with
    everything.
    """
    points = np.ascontiguousarray(task.space.points)
    rows = points.view(np.dtype((np.void, points.itemsize * points.shape[1])))[:, 0]
    _, places, all_there = np.unique(rows, return_inverse=True, return_counts=True)
    of_class = places * (int(task.codes.max()) + 1) + task.codes
    _, groups, own_there = np.unique(of_class, return_inverse=True, return_counts=True)
    return all_there[places] - own_there[groups] >= task.depths


def _plan(task: Task) -> Plan:
    """Estimate from a sample of the items how far each query has to look."""
    n = len(task.depths)
    sample = task.space.answer[::SAMPLE]
    share = len(sample) / n
    cuts, slack, expected = np.full(n, np.inf), np.zeros(n), np.full(n, np.inf)
    for start in range(0, n, TILE):
        rows = slice(start, min(start + TILE, n))
        hoped = task.depths[rows].max() * share
        place = int(hoped + 3 * np.sqrt(hoped) + 4)  # three standard deviations more: few queries find too few
        if place < len(sample):
            halves = task.space.ask[rows] @ sample.T
            cuts[rows] = _smallest(halves, place)
            slack[rows] = _slack(task, rows, cuts[rows])
            expected[rows] = (halves <= (cuts[rows] + slack[rows])[:, None]).sum(axis=1) / share
    return Plan(cuts, slack, expected)


def _smallest(halves: np.ndarray, place: int) -> np.ndarray:
    """The value at `place` in each row, or, where that is quicker to find, a slightly larger one."""
    width = halves.shape[1] // 8
    if place * 8 < width:
        halves = halves[:, : width * 8].reshape(len(halves), 8, width).min(axis=1)
    return np.partition(halves, place, axis=1)[:, place]


def _slack(task: Task, rows: Any, cuts: np.ndarray) -> np.ndarray:
    """How much two rough distances up to the cut-off must differ to be in the right order, and no tie."""
    space, floor = task.space, task.floor / task.space.scale
    farthest = np.sqrt(2 * np.maximum(cuts, 0))
    tie = farthest * (ROUNDING * farthest + floor) + floor**2
    return 2 * (blur(space.norms[rows], cuts, space.ask.shape[1], space.ask.dtype) + tie)


def _candidates(space: Space, reach: np.ndarray, expected: np.ndarray) -> Iterator[tuple[int, Found]]:
    """For each strip of queries all items within reach of them.

    A distance belongs to two queries. What a tile finds for the later strip waits there, if there is room.
    """
    n, reach = len(reach), reach.astype(space.ask.dtype)
    starts = range(0, n, TILE)
    candidates = float(expected[reach > -np.inf].sum())
    turned = candidates / 4 * (6 + reach.itemsize) <= PENDING  # at most about a quarter of them wait at a time
    pending: dict[int, list[Found]] = {start: [] for start in starts}
    buffer = np.empty(TILE * TILE, reach.dtype)
    for start in starts:
        rows, found = slice(start, min(start + TILE, n)), pending.pop(start)
        for other in range(start if turned else 0, n, TILE):
            columns = slice(other, min(other + TILE, n))
            shape = (rows.stop - start, columns.stop - other)
            tile = buffer[: shape[0] * shape[1]].reshape(shape)
            np.matmul(space.ask[rows], space.answer[columns].T, out=tile)
            places, items, halves = _pick(tile, reach[rows, None])
            found.append(Found(places.astype(np.int16), items + np.int32(other), halves))
            if turned and other > start:
                items, places, halves = _pick(tile, reach[columns])
                pending[other].append(Found(places.astype(np.int16), items + np.int32(start), halves))
        yield start, _by_row(found)


def _ahead(strips: Iterator[tuple[int, Found]]) -> Iterator[tuple[int, Found]]:
    """The same, with the next strip in the making while the last one is in use."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, strips, None)
        while (strip := coming.result()) is not None:
            coming = worker.submit(next, strips, None)
            yield strip


def _pick(tile: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values within reach."""
    flat = np.flatnonzero(tile <= reach)
    rows, columns = np.divmod(flat.astype(np.int32), np.int32(tile.shape[1]))
    return rows, columns, tile.reshape(-1)[flat]


def _by_row(found: list[Found]) -> Found:
    rows, items, halves = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(rows, kind="stable")
    return Found(rows[order], items[order], halves[order])


def _one_by_one(task: Task, queries: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray, float]]:
    """Each query with the items that it surely needs, their rough distances and its slack."""
    space = task.space
    step = max(1, SCRATCH // (space.answer.itemsize * len(space.points)))
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        for query, halves in zip(block.tolist(), space.ask[block] @ space.answer.T, strict=True):
            cut = np.partition(halves, task.depths[query])[[task.depths[query]]].astype(np.float64)
            slack = _slack(task, [query], cut)
            items = np.flatnonzero(halves <= cut + slack)
            yield query, items, halves[items], float(slack[0])


def _ranks(task: Task, query: int, items: np.ndarray, halves: np.ndarray, slack: float) -> np.ndarray:
    """Ranks of the query's class: an item comes after the nearer ones of its own and all others not farther."""
    same = task.codes[items] == task.codes[query]
    others, theirs = items[~same], halves[~same].astype(np.float64)
    same &= items != query
    mine = halves[same].astype(np.float64)
    order = np.argsort(theirs)
    theirs = theirs[order]
    first, last = np.searchsorted(theirs, mine - slack), np.searchsorted(theirs, mine + slack, "right")
    doubt = (first < last) & (first < task.depths[query])
    if doubt.any():
        first[doubt] = _settle(task, query, items[same][doubt], others[order], first[doubt], last[doubt])
    first.sort()  # the nearer an item of the class, the fewer of the others are ahead of it
    ranks = np.arange(1, len(first) + 1) + first
    return ranks[ranks <= task.depths[query]]


def _settle(
    task: Task, query: int, own: np.ndarray, others: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """How many of the others are ahead of each own item, at least `first` and at most `last`; exact up to the depth."""
    depth = int(task.depths[query])
    limits = _distances(task, query, own) * (1 + ROUNDING) + task.floor
    for stop in (2 * depth + 64, len(others)):  # a crowd at one distance need not be counted to its end
        ahead = _count(task, query, limits, others, first, np.minimum(last, stop))
        if ((ahead >= depth) | (last <= stop)).all():
            break
    return ahead


def _count(
    task: Task, query: int, limits: np.ndarray, others: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """How many of the others are within each limit, if all before `first` are and none from `last` on."""
    size = len(others) + 1
    covered = np.cumsum(np.bincount(first, minlength=size) - np.bincount(last, minlength=size)) > 0
    measured = np.sort(_distances(task, query, others[covered[:-1]]))
    before = np.cumsum(covered) - covered  # how many of the measured ones come before each place
    return first - before[first] + np.searchsorted(measured, limits, "right")


def _distances(task: Task, query: int, items: np.ndarray) -> np.ndarray:
    return np.sqrt(squared_distances(task.space.points[items], task.space.points[query]))
