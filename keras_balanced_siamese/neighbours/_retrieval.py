"""Every embedding as a query for its own class among all others: ranks -> recall@k, R-precision, MAP@R."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import ArrayLike
from keras_balanced_siamese.neighbours._exact import (
    SCRATCH,
    Space,
    as_points,
    open_space,
    rounding_bound,
    squared_distances,
)
from keras_balanced_siamese.neighbours._tiles import Classes, strips

STEP = 2048  # queries whose cut-offs are estimated together
SAMPLE = 16  # one in so many items takes part in the estimate of the cut-offs
TIE = 1e-12  # a relative difference that counts as a tie
CLOSE = 0.05  # of the sum of the squared norms: nearer points are compared by their differences


class Task(NamedTuple):
    """The items in the order in which they are queries, and what is asked of them."""

    space: Space
    classes: Classes
    depths: np.ndarray  # (n,) ranks beyond it do not matter; 0 if there is nothing to find
    floor: float  # distances that differ by less are equal


class Plan(NamedTuple):
    """Estimates for each query before the search."""

    cuts: np.ndarray  # (n,) rough distances that `depth` other items probably keep
    slack: np.ndarray  # (n,) rough distances that differ by more are in the right order
    expected: np.ndarray  # (n,) number of items of other classes within the cut-off and the slack


class Neighbourhood(NamedTuple):
    """What lies within reach of a query."""

    query: int
    own: np.ndarray  # half squared distances to its class, exact and ascending
    items: np.ndarray  # the others
    halves: np.ndarray  # and their rough distances


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
        >>> from keras_balanced_siamese.neighbours._retrieval import retrieval_scores
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
    floor = TIE if distance == "cosine" else 0.0
    space, classes = open_space(points[order], dtype), _classes(codes[order])
    for query, ranks in _all_ranks(Task(space, classes, depths, floor)):
        table[:, order[query]] = _scores(ranks, int(relevant[query]), ks)
    return dict(zip(names, table, strict=True))


def _classes(codes: np.ndarray) -> Classes:
    """Where the run of equal codes around each item begins and ends."""
    ends = np.flatnonzero(np.diff(codes)) + 1
    lengths = np.diff(ends, prepend=0, append=len(codes))
    return Classes(np.repeat(np.append(0, ends), lengths), np.repeat(np.append(ends, len(codes)), lengths))


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
    for neighbourhoods in _ahead(_strip_by_strip(task, plan, asked & ~alone)):
        for query, own, items, halves in neighbourhoods:
            cut = plan.cuts[query]
            if np.count_nonzero(halves <= cut) + np.searchsorted(own, cut, "right") >= task.depths[query]:
                yield query, _ranks(task, query, own, items, halves, cut, plan.slack[query])
            else:
                alone[query] = True
    rest = np.flatnonzero(alone)
    for (query, own), found in zip(_own(task, rest), _one_by_one(task, rest), strict=True):
        yield query, _ranks(task, query, own, *found)


def _ahead(strips: Iterator[list[Neighbourhood]]) -> Iterator[list[Neighbourhood]]:
    """The same, with the next strip in the making while the last one is in use."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, strips, None)
        while (strip := coming.result()) is not None:
            coming = worker.submit(next, strips, None)
            yield strip


def _strip_by_strip(task: Task, plan: Plan, asked: np.ndarray) -> Iterator[list[Neighbourhood]]:
    """All matrix products happen here, in one thread: a second one would only wait for the library behind them."""
    reach = np.where(asked, plan.cuts + plan.slack, -np.inf)
    for strip, found in strips(task.space, task.classes, reach, float(plan.expected[asked].sum())):
        ends = np.searchsorted(found.rows, np.arange(strip.stop - strip.start + 1)).tolist()
        neighbourhoods = []
        for query, own in _own(task, strip.start + np.flatnonzero(asked[strip])):
            part = slice(ends[query - strip.start], ends[query - strip.start + 1])
            near = own[: np.searchsorted(own, reach[query], "right")].copy()
            neighbourhoods.append(Neighbourhood(query, near, found.items[part], found.halves[part]))
        yield neighbourhoods


def _own(task: Task, queries: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each of the ascending queries, and half its squared distances to the others of its class, ascending.

    They are exact, in the units of the space.
    """
    starts, firsts = np.unique(task.classes.starts[queries], return_index=True)
    for start, part in zip(starts, np.split(queries, firsts[1:]), strict=False):  # no class, and still an empty part
        points = task.space.points[start : task.classes.stops[start]]
        centred = (points - points.mean(axis=0, dtype=np.float64)) / task.space.scale
        norms = np.einsum("ij,ij->i", centred, centred) / 2
        step = max(1, SCRATCH // (8 * len(points)))
        for first in range(0, len(part), step):
            block = part[first : first + step]
            places = block - start
            sums = norms[places, None] + norms
            halves = sums - centred[places] @ centred.T
            close = halves < CLOSE * sums  # the difference of large numbers
            for row, place in enumerate(places):
                near = np.flatnonzero(close[row])
                halves[row, near] = squared_distances(points[near], points[place]) / (2 * task.space.scale**2)
                halves[row, place] = np.inf
            halves.sort(axis=1)
            yield from zip(block.tolist(), halves[:, :-1], strict=True)


def _coincide(task: Task) -> np.ndarray:
    """Whether a query shares its place with so many items of other classes that it finds none of its own.

    Nothing else would be wrong without it: it spares embeddings that collapse the comparison of everything with
    everything.
    """
    points = np.ascontiguousarray(task.space.points)
    rows = points.view(np.dtype((np.void, points.itemsize * points.shape[1])))[:, 0]
    _, places, all_there = np.unique(rows, return_inverse=True, return_counts=True)
    of_class = places * len(places) + task.classes.starts
    _, groups, own_there = np.unique(of_class, return_inverse=True, return_counts=True)
    return all_there[places] - own_there[groups] >= task.depths


def _plan(task: Task) -> Plan:
    """Estimate from a sample of the items how far each query has to look."""
    n = len(task.depths)
    sample, starts = task.space.answer[::SAMPLE], task.classes.starts[::SAMPLE]
    share = len(sample) / n
    cuts, slack, expected = np.full(n, np.inf), np.zeros(n), np.full(n, np.inf)
    for start in range(0, n, STEP):
        rows = slice(start, min(start + STEP, n))
        hoped = task.depths[rows].max() * share
        place = int(hoped + 3 * np.sqrt(hoped) + 4)  # three standard deviations more: few queries find too few
        if place < len(sample):
            halves = task.space.ask[rows] @ sample.T
            cuts[rows] = _smallest(halves, place)
            slack[rows] = _slack(task, rows, cuts[rows])
            halves[task.classes.starts[rows, None] == starts] = np.inf
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
    tie = farthest * (TIE * farthest + floor) + floor**2
    return 2 * (rounding_bound(space, space.norms[rows], cuts) + tie)


def _one_by_one(task: Task, queries: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, float, float]]:
    """For each query the items of other classes that it surely needs, their rough distances, its cut-off and slack."""
    space = task.space
    step = max(1, SCRATCH // (space.answer.itemsize * len(space.points)))
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        for query, halves in zip(block.tolist(), space.ask[block] @ space.answer.T, strict=True):
            cut = np.partition(halves, task.depths[query])[[task.depths[query]]].astype(np.float64)
            slack = _slack(task, [query], cut)
            halves[task.classes.starts[query] : task.classes.stops[query]] = np.inf
            items = np.flatnonzero(halves <= cut + slack)
            yield items, halves[items], float(cut[0]), float(slack[0])


def _ranks(
    task: Task, query: int, own: np.ndarray, items: np.ndarray, halves: np.ndarray, cut: float, slack: float
) -> np.ndarray:
    """Ranks of the query's class: an item comes after the nearer ones of its own and all others not farther."""
    own = own[: np.searchsorted(own, cut + slack / 2, "right")]
    order = np.argsort(halves)
    halves = halves[order]
    low, high = (own - slack / 2).astype(halves.dtype), (own + slack / 2).astype(halves.dtype)
    first, last = np.searchsorted(halves, low), np.searchsorted(halves, high, "right")
    doubt = (first < last) & (first < task.depths[query])
    if doubt.any():
        distances = np.sqrt(2 * own[doubt]) * task.space.scale
        first[doubt] = _settle(task, query, distances, items[order], first[doubt], last[doubt])
    ranks = np.arange(1, len(first) + 1) + first
    return ranks[ranks <= task.depths[query]]


def _settle(
    task: Task, query: int, own: np.ndarray, others: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """How many of the others are within each own distance, at least `first`, at most `last`; exact up to the depth."""
    depth = int(task.depths[query])
    limits = own * (1 + TIE) + task.floor
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
    there = task.space.points[others[covered[:-1]]]
    measured = np.sort(np.sqrt(squared_distances(there, task.space.points[query])))
    before = np.cumsum(covered) - covered  # how many of the measured ones come before each place
    return first - before[first] + np.searchsorted(measured, limits, "right")
