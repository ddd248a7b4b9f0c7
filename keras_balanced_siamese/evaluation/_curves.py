"""Operating points of groups of pairs, and the figures of their curves."""

from typing import NamedTuple

import numpy as np


class Curves(NamedTuple):
    """Operating points of G groups, concatenated; each group starts with "accept nothing" and ends with "accept all".

    A point accepts every pair whose distance is at most its threshold, so equal distances share one decision.
    """

    threshold: np.ndarray  # (P,) ascending within a group, from -inf
    accepts: np.ndarray  # (P,) weight of the accepted similar pairs
    false_accepts: np.ndarray  # (P,) weight of the accepted different pairs
    starts: np.ndarray  # (G,) position of the first point of each group

    @property
    def ends(self) -> np.ndarray:
        """Position of the last point of each group."""
        return np.append(self.starts[1:], len(self.threshold)) - 1

    @property
    def sizes(self) -> np.ndarray:
        """Number of points of each group."""
        return self.ends - self.starts + 1

    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """True and false accept rate of each point, `(P,)` each; NaN in groups without similar or different pairs."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (
                self.accepts / np.repeat(self.accepts[self.ends], self.sizes),
                self.false_accepts / np.repeat(self.false_accepts[self.ends], self.sizes),
            )

    def measurable(self) -> np.ndarray:
        """Mask of the groups with both similar and different pairs, `(G,)`."""
        return (self.accepts[self.ends] > 0) & (self.false_accepts[self.ends] > 0)


def curves(
    distance: np.ndarray, similar: np.ndarray, weight: np.ndarray, group: np.ndarray | None = None, n_groups: int = 1
) -> Curves:
    """Operating points of each group.

    Args:
        distance: `(n,)` distances in ascending order, without NaN.
        similar: `(n,)` booleans.
        weight: `(n,)`, not negative.
        group: `(n,)` codes below `n_groups`; `None` puts all pairs into one group.
        n_groups: Number of groups; some may be empty.
    """
    if group is None:
        group = np.zeros(len(distance), np.int8)
    else:
        order = np.argsort(group, kind="stable")
        distance, similar, weight, group = distance[order], similar[order], weight[order], group[order]
    changes = (distance[1:] != distance[:-1]) | (group[1:] != group[:-1])
    last = np.flatnonzero(np.append(changes, True)[: len(distance)])  # last pair of each run of equal distances
    points = np.bincount(group[last], minlength=n_groups)
    starts = np.insert(np.cumsum(points + 1), 0, 0)[:-1]
    place = np.arange(len(last)) + group[last] + 1  # one more point at the start of each group
    threshold = np.full(len(last) + n_groups, -np.inf)
    threshold[place] = distance[last]
    return Curves(
        threshold,
        _running(np.where(similar, weight, 0.0), last, place, points),
        _running(np.where(similar, 0.0, weight), last, place, points),
        starts,
    )


def _running(weight: np.ndarray, last: np.ndarray, place: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Running sums at the points, starting at 0 in each group."""
    total = np.cumsum(weight)[last]
    before = np.insert(total, 0, 0.0)[np.cumsum(points) - points]  # sum over earlier groups
    sums = np.zeros(len(last) + len(points))
    sums[place] = total - np.repeat(before, points)
    return sums


def roc_auc(points: Curves) -> np.ndarray:
    """Area under the ROC curve, `(G,)`: the probability that a similar pair is closer, with ties counting one half."""
    tar, far = points.rates()
    area = np.zeros_like(far)
    area[1:] = np.diff(far) * (tar[1:] + tar[:-1]) / 2
    return _sum(area, points)


def average_precision(points: Curves) -> np.ndarray:
    """Area under the precision-recall curve, `(G,)`, as the sum of precision times step in recall."""
    tar, _ = points.rates()
    accepted = points.accepts + points.false_accepts
    precision = np.divide(points.accepts, accepted, out=np.zeros_like(accepted), where=accepted > 0)
    area = np.zeros_like(tar)
    area[1:] = np.diff(tar) * precision[1:]
    return np.where(points.measurable(), _sum(area, points), np.nan)


def equal_error_rate(points: Curves) -> tuple[np.ndarray, np.ndarray]:
    """Equal error rate and its threshold, `(G,)` each.

    The rate is interpolated linearly between the two points where the false accept rate crosses the false reject rate.
    The threshold is the distance of the second point, or halfway to the next distance if the rates are equal there.
    """
    _, far = points.rates()
    # has the sign of FAR - FRR and is ascending; exact for integer weights
    n_similar = np.repeat(points.accepts[points.ends], points.sizes)
    n_different = np.repeat(points.false_accepts[points.ends], points.sizes)
    gap = points.false_accepts * n_similar - (n_similar - points.accepts) * n_different
    after = points.starts + np.add.reduceat((gap < 0).astype(np.int64), points.starts)
    after = np.clip(after, points.starts + 1, points.ends)
    after = np.where(points.measurable(), after, points.ends)
    with np.errstate(invalid="ignore", divide="ignore"):
        step = -gap[after - 1] / (gap[after] - gap[after - 1])
        rate = far[after - 1] + step * (far[after] - far[after - 1])
    meets = (gap[after] == 0) & (after < points.ends)
    threshold = np.where(meets, between(points, after), points.threshold[after])
    unknown = ~points.measurable()
    rate[unknown] = threshold[unknown] = np.nan
    return rate, threshold


def tar_at_far(points: Curves, far: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True accept rate, false accept rate and threshold, `(G,)` each, of the last point within the rate `far`."""
    tar, measured = points.rates()
    place = points.ends.copy()
    known = points.measurable()
    within = np.add.reduceat((measured <= far * (1 + 1e-9)).astype(np.int64), points.starts)
    place[known] = (points.starts + within - 1)[known]
    values = np.where(known, [tar[place], measured[place], between(points, place)], np.nan)
    return values[0], values[1], values[2]


def min_dcf(points: Curves, miss: float, false_accept: float, prior: float) -> np.ndarray:
    """Minimum detection cost, `(G,)`, relative to the better of accepting everything and rejecting everything."""
    tar, far = points.rates()
    costs = miss * prior * (1 - tar), false_accept * (1 - prior) * far
    least = np.minimum.reduceat(costs[0] + costs[1], points.starts)
    return least / min(miss * prior, false_accept * (1 - prior))


def between(points: Curves, place: np.ndarray) -> np.ndarray:
    """Thresholds halfway between the points at `place` and their successors, which accept the same pairs."""
    here = points.threshold[place]
    after = points.threshold[np.minimum(place + 1, len(points.threshold) - 1)]
    with np.errstate(invalid="ignore"):
        middle = here + (after - here) / 2
    has_next = ~np.isin(place, points.ends) & np.isfinite(after) & np.isfinite(here)
    return np.where(has_next & (middle < after), middle, here)


def _sum(values: np.ndarray, points: Curves) -> np.ndarray:
    """Sum over the steps within each group, `(G,)`."""
    values[points.starts] = 0.0
    return np.add.reduceat(values, points.starts)
