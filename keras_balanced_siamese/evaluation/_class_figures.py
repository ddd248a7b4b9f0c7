"""Figures of all pairs, of each class, and their means over classes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation._curves import Curves, curves
from keras_balanced_siamese.evaluation._figures import curve_figures, decision_figures
from keras_balanced_siamese.evaluation._groups import thirds
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Array, Pairs, Retrieval


class ReportFigures(NamedTuple):
    """The figures of a report at one threshold."""

    threshold: float
    accepted: Array  # (n,) decisions
    micro: dict[str, float]
    by_class: dict[str, Array]  # (C,) each; empty without classes
    support: tuple[Array, Array]  # (C,) numbers of similar and of different pairs
    groups: dict[str, list[int]]  # positions of the classes of head, medium and tail
    retrieval: Retrieval


def report_figures(
    pairs: Pairs, points: Curves, threshold: float, retrieval: Retrieval, options: Options
) -> ReportFigures:
    """Compute all figures of a report; `points` is the curve of all pairs."""
    accepted = pairs.distance <= threshold
    micro = _micro_figures(pairs, points, accepted, retrieval, options)
    by_class, support = _class_figures(pairs, accepted, retrieval, options)
    groups = thirds(pairs.classes, options.class_counts)
    return ReportFigures(threshold, accepted, micro, by_class, support, groups, retrieval)


def class_rows(classes: list[Label], figures: ReportFigures) -> dict[Label, dict[str, float]]:
    """Figures and numbers of pairs by class."""
    n_similar, n_different = figures.support
    return {
        label: {
            **{name: float(values[k]) for name, values in figures.by_class.items()},
            "n_similar": int(n_similar[k]),
            "n_different": int(n_different[k]),
        }
        for k, label in enumerate(classes)
    }


def group_rows(classes: list[Label], figures: ReportFigures) -> dict[str, dict[str, Any]]:
    """Classes and mean figures by group."""
    return {
        name: {"classes": [classes[k] for k in chosen], **class_means(figures.by_class, chosen)}
        for name, chosen in figures.groups.items()
    }


def class_means(by_class: dict[str, Array], chosen: Sequence[int]) -> dict[str, float]:
    """Means over those of the chosen classes whose figure is not NaN."""
    means = {}
    for name, values in by_class.items():
        known = values[chosen][np.isfinite(values[chosen])]
        if not name.startswith("achieved_far_"):
            means[name] = float(known.mean()) if known.size else math.nan
    return means


def _micro_figures(
    pairs: Pairs, points: Curves, accepted: Array, retrieval: Retrieval, options: Options
) -> dict[str, float]:
    """Figures of all pairs together."""
    group, n_different = np.zeros(len(accepted), int), np.array([int((~pairs.similar).sum())])
    figures = _figures_by_group(pairs, points, accepted, group, n_different, options)
    figures |= {name: total.sum(keepdims=True) / count.sum() for name, (total, count) in retrieval.items()}
    return {name: float(values[0]) for name, values in figures.items()}


def _class_figures(
    pairs: Pairs, accepted: Array, retrieval: Retrieval, options: Options
) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Figures of each class, `(C,)` each, and its numbers of similar and of different pairs."""
    if not pairs.classes:
        return {}, (np.zeros(0, int), np.zeros(0, int))
    position, code = pairs.by_class()
    n = len(pairs.classes)
    members = pairs._replace(
        distance=pairs.distance[position], similar=pairs.similar[position], weight=pairs.weight[position]
    )
    support = (np.bincount(code[members.similar], minlength=n), np.bincount(code[~members.similar], minlength=n))
    points = curves(members.distance, members.similar, members.weight, code, n)
    figures = _figures_by_group(members, points, accepted[position], code, support[1], options)
    with np.errstate(invalid="ignore"):
        return figures | {name: total / count for name, (total, count) in retrieval.items()}, support


def _figures_by_group(
    pairs: Pairs, points: Curves, accepted: Array, group: Array, n_different: Array, options: Options
) -> dict[str, Array]:
    """Figures of G groups of pairs, `(G,)` each.

    Args:
        pairs: Distances, truth and weights with one entry for each membership of a pair in a group, `(m,)`.
        points: Curves of the groups.
        accepted: `(m,)` decisions.
        group: `(m,)` codes of the groups.
        n_different: `(G,)` numbers of different pairs.
        options: False accept rates and costs.
    """

    def total(chosen: Array) -> Array:
        return np.bincount(group[chosen], pairs.weight[chosen], minlength=len(points.starts))

    decisions = decision_figures(
        total(pairs.similar & accepted), total(pairs.similar), total(~pairs.similar & accepted), total(~pairs.similar)
    )
    return curve_figures(points, n_different, options.far, options.costs) | decisions
