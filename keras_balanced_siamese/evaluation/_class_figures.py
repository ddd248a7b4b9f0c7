"""Figures of each class, and their means."""

import math

import numpy as np

from keras_balanced_siamese.evaluation._curves import Curves, curves
from keras_balanced_siamese.evaluation._figures import curve_figures, decision_figures
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Array, Pairs


def all_figures(
    points: Curves, n_different: Array, pairs: Pairs, accepted: Array, group: Array, options: Options
) -> dict[str, Array]:
    """All figures of groups of pairs; `pairs` and `accepted` have one entry for each membership of a group."""

    def total(chosen: Array) -> Array:
        return np.bincount(group[chosen], pairs.weight[chosen], minlength=len(points.starts))

    decisions = decision_figures(
        total(pairs.similar & accepted), total(pairs.similar), total(~pairs.similar & accepted), total(~pairs.similar)
    )
    return curve_figures(points, n_different, options.far, options.costs) | decisions


def figures_by_class(pairs: Pairs, accepted: Array, options: Options) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Figures of each class, `(C,)` each, and its numbers of similar and different pairs."""
    position, code = pairs.by_class()
    n = len(pairs.classes)
    spread = pairs._replace(
        distance=pairs.distance[position], similar=pairs.similar[position], weight=pairs.weight[position]
    )
    support = (np.bincount(code[spread.similar], minlength=n), np.bincount(code[~spread.similar], minlength=n))
    points = curves(spread.distance, spread.similar, spread.weight, code, n)
    return all_figures(points, support[1], spread, accepted[position], code, options), support


def class_means(by_class: dict[str, Array], chosen: list[int]) -> dict[str, float]:
    """Means over the chosen classes that have the figure."""
    found = {}
    for name, values in by_class.items():
        known = values[chosen][np.isfinite(values[chosen])]
        if not name.startswith("achieved_far_"):
            found[name] = float(known.mean()) if known.size else math.nan
    return found
