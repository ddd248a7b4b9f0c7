"""Confidence intervals of the figures of a report."""

import math
from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation._class_intervals import class_intervals, mean_interval
from keras_balanced_siamese.evaluation._figures import curve_figures, decision_figures
from keras_balanced_siamese.evaluation._intervals import interval, resample_curves, resampled_ratios
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Array, Pairs, Retrieval


def report_intervals(
    pairs: Pairs,
    grid: Array,
    threshold: float,
    micro: dict[str, float],
    by_class: dict[str, Array],
    places: dict[str, list[int]],
    retrieval: Retrieval,
    options: Options,
) -> tuple[dict[str, Any], str | None]:
    """Intervals of everything that has them, and what was drawn again."""
    of_classes, of_samples = pairs.sides, pairs.samples
    kind = options.resample or ("classes" if of_classes is not None else "samples")
    units = of_classes if kind == "classes" else of_samples
    if units is None and options.resample is not None:
        raise ValueError(f"resample={kind!r} needs `{kind}`, the {kind[:-1]} on each side of each pair, shape (n, 2).")
    if units is None or options.n_resamples == 0:
        return {}, None
    rng = np.random.default_rng(options.seed)
    found: dict[str, Any] = {"micro": _micro_intervals(pairs, units, grid, threshold, micro, options, rng)}
    accepted = pairs.distance <= threshold
    groups = {"macro": list(range(len(pairs.classes))), **places} if pairs.classes else {}
    if kind == "classes":
        of_groups = {name: _group_intervals(by_class, chosen, options, rng) for name, chosen in groups.items()}
        for name, (total, count) in retrieval.items():
            means = resampled_ratios(total[:, None], count[:, None], options.n_resamples, rng)[:, 0]
            found["micro"][name] = interval(means, len(count), options.confidence)
    else:
        of_groups = {
            name: _pairs_of(mean_interval(pairs, accepted, by_class, np.array(chosen), options.confidence))
            for name, chosen in groups.items()
        }
    if of_groups:
        found["macro"] = of_groups.pop("macro")
        found["groups"] = of_groups
    if pairs.classes and of_samples is not None:
        bounds = class_intervals(pairs, accepted, by_class, options.confidence)
        found["per_class"] = {
            label: _pairs_of({name: values[k] for name, values in bounds.items()})
            for k, label in enumerate(pairs.classes)
        }
    return found, kind


def _micro_intervals(
    pairs: Pairs,
    units: Array,
    grid: Array,
    threshold: float,
    micro: dict[str, float],
    options: Options,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    points, n_units = resample_curves(pairs, units, grid, threshold, options.n_resamples, rng)
    n_different = np.full(len(points.starts), np.sum(~pairs.similar))
    at = points.starts + 1 + int(np.searchsorted(grid, threshold))
    figures = curve_figures(points, n_different, options.far, options.costs) | decision_figures(
        points.accepts[at], points.accepts[points.ends], points.false_accepts[at], points.false_accepts[points.ends]
    )
    found = {}
    for name, values in figures.items():
        if math.isfinite(micro[name]) and not name.startswith("achieved_far_"):
            found[name] = interval(values, n_units, options.confidence, micro[name], _lowest(name))
    return found


def _group_intervals(
    by_class: dict[str, Array], chosen: list[int], options: Options, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    names = [name for name in by_class if not name.startswith("achieved_far_")]
    values = np.stack([by_class[name][chosen] for name in names], axis=1)
    known = np.isfinite(values)
    means = resampled_ratios(np.where(known, values, 0), known, options.n_resamples, rng)
    return {
        name: interval(means[:, k], len(chosen), options.confidence, lowest=_lowest(name))
        for k, name in enumerate(names)
        if math.isfinite(means[0, k])
    }


def _lowest(name: str) -> float:
    """The least value that a figure can have."""
    return -1.0 if name == "mcc" else 0.0


def _pairs_of(bounds: dict[str, Array]) -> dict[str, tuple[float, float]]:
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
