"""Confidence intervals of the figures of a report."""

import math
from typing import Any

import numpy as np

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation._class_figures import ReportFigures
from keras_balanced_siamese.evaluation._class_intervals import class_intervals, mean_interval
from keras_balanced_siamese.evaluation._figures import curve_figures, decision_figures
from keras_balanced_siamese.evaluation._intervals import interval, resample_curves, resampled_ratios
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Array, Pairs, Retrieval


def report_intervals(
    pairs: Pairs, figures: ReportFigures, grid: Array, options: Options
) -> tuple[dict[str, Any], str | None]:
    """Intervals of the figures, and which units were resampled: `"classes"`, `"samples"` or `None`."""
    kind = options.resample or ("classes" if pairs.sides is not None else "samples")
    units = pairs.sides if kind == "classes" else pairs.samples
    if units is None and options.resample is not None:
        raise ValueError(f"resample={kind!r} needs `{kind}`, one for each side of each pair. Received: {kind}=None")
    if units is None or options.n_resamples == 0:
        return {}, None
    rng = np.random.default_rng(options.seed)
    found: dict[str, Any] = {"micro": _micro_intervals(pairs, units, figures, grid, options, rng)}
    groups = {"macro": list(range(len(pairs.classes))), **figures.groups} if pairs.classes else {}
    if kind == "classes":
        means = {name: _mean_intervals(figures.by_class, chosen, options, rng) for name, chosen in groups.items()}
        found["micro"] |= _retrieval_intervals(figures.retrieval, options, rng)
    else:
        means = {
            name: _as_tuples(
                mean_interval(pairs, figures.accepted, figures.by_class, np.array(chosen), options.confidence)
            )
            for name, chosen in groups.items()
        }
    if means:
        found["macro"] = means.pop("macro")
        found["groups"] = means
    if pairs.classes and pairs.samples is not None:
        found["per_class"] = _intervals_by_class(pairs, figures, options)
    return found, kind


def _micro_intervals(
    pairs: Pairs,
    units: Array,
    figures: ReportFigures,
    grid: Array,
    options: Options,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """Intervals of the figures of all pairs, from resampled curves."""
    points, n_units = resample_curves(pairs, units, grid, figures.threshold, options.n_resamples, rng)
    n_different = np.full(len(points.starts), np.sum(~pairs.similar))
    at = points.starts + 1 + int(np.searchsorted(grid, figures.threshold))
    resampled = curve_figures(points, n_different, options.far, options.costs) | decision_figures(
        points.accepts[at], points.accepts[points.ends], points.false_accepts[at], points.false_accepts[points.ends]
    )
    found = {}
    for name, values in resampled.items():
        if math.isfinite(figures.micro[name]) and not name.startswith("achieved_far_"):
            found[name] = interval(values, n_units, options.confidence, figures.micro[name], _lowest(name))
    return found


def _mean_intervals(
    by_class: dict[str, Array], chosen: list[int], options: Options, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Intervals of the mean figures of the chosen classes, from resampled classes."""
    names = [name for name in by_class if not name.startswith("achieved_far_")]
    values = np.stack([by_class[name][chosen] for name in names], axis=1)
    known = np.isfinite(values)
    means = resampled_ratios(np.where(known, values, 0), known, options.n_resamples, rng)
    return {
        name: interval(means[:, k], len(chosen), options.confidence, lowest=_lowest(name))
        for k, name in enumerate(names)
        if math.isfinite(means[0, k])
    }


def _retrieval_intervals(
    retrieval: Retrieval, options: Options, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Intervals of the retrieval figures of all queries, from resampled classes."""
    found = {}
    for name, (total, count) in retrieval.items():
        means = resampled_ratios(total[:, None], count[:, None], options.n_resamples, rng)[:, 0]
        found[name] = interval(means, len(count), options.confidence)
    return found


def _intervals_by_class(
    pairs: Pairs, figures: ReportFigures, options: Options
) -> dict[Label, dict[str, tuple[float, float]]]:
    """Intervals of the decisions on each class, from its samples."""
    bounds = class_intervals(pairs, figures.accepted, figures.by_class, options.confidence)
    return {
        label: _as_tuples({name: values[k] for name, values in bounds.items()}) for k, label in enumerate(pairs.classes)
    }


def _lowest(name: str) -> float:
    """Lowest possible value of a figure."""
    return -1.0 if name == "mcc" else 0.0


def _as_tuples(bounds: dict[str, Array]) -> dict[str, tuple[float, float]]:
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
