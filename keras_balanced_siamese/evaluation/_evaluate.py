"""Checked pairs -> a report: the steps that both ways to evaluate share."""

import math
import warnings
from typing import Any

import numpy as np

from keras_balanced_siamese._curves import Curves, curves, equal_error_rate
from keras_balanced_siamese._reliability import prior_weights, reliability, sigmoid
from keras_balanced_siamese.evaluation._class_intervals import class_intervals, mean_interval
from keras_balanced_siamese.evaluation._figures import curve_figures, decision_figures
from keras_balanced_siamese.evaluation._groups import check_counted, thirds
from keras_balanced_siamese.evaluation._histogram import histogram
from keras_balanced_siamese.evaluation._intervals import grid_of, interval, resample_curves, resampled_ratios
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Pairs, fingerprint
from keras_balanced_siamese.evaluation._report import PairReport

Array = np.ndarray
Retrieval = dict[str, tuple[Array, Array]]  # by figure: its sum over the queries of each class and their number, (C,)


def evaluate(pairs: Pairs, options: Options, retrieval: Retrieval | None = None) -> PairReport:
    """The report of pairs, and of retrieval figures if there are any."""
    if options.class_counts and not pairs.classes:
        raise ValueError("`class_counts` needs `classes`, the class on each side of each pair, shape (n, 2).")
    check_counted(options.class_counts, pairs.classes)
    whole_curve = curves(pairs.distance, pairs.similar, pairs.weight)
    eer_threshold = float(equal_error_rate(whole_curve)[1][0])
    threshold = eer_threshold if options.threshold is None else options.threshold
    accepted = pairs.distance <= threshold
    retrieval = retrieval or {}
    n_similar, n_different = int(pairs.similar.sum()), int((~pairs.similar).sum())
    micro = _figures(whole_curve, np.array([n_different]), pairs, accepted, np.zeros(len(accepted), int), options)
    micro |= {name: total.sum(keepdims=True) / count.sum() for name, (total, count) in retrieval.items()}
    micro = {name: float(values[0]) for name, values in micro.items()}

    by_class, support, per_class, macro, groups, places = {}, None, {}, {}, {}, {}
    if pairs.classes:
        by_class, support = _by_class(pairs, accepted, options)
        with np.errstate(invalid="ignore"):
            by_class |= {name: total / count for name, (total, count) in retrieval.items()}
        per_class = {
            label: {
                **{name: float(values[k]) for name, values in by_class.items()},
                "n_similar": int(support[0][k]),
                "n_different": int(support[1][k]),
            }
            for k, label in enumerate(pairs.classes)
        }
        macro = _means(by_class, list(range(len(pairs.classes))))
        places = thirds(pairs.classes, options.class_counts) if options.class_counts else {}
        groups = {
            name: {"classes": [pairs.classes[k] for k in chosen], **_means(by_class, chosen)}
            for name, chosen in places.items()
        }
    grid = grid_of(whole_curve, threshold, options.far)
    intervals, resampled = _intervals(pairs, grid, threshold, micro, by_class, places, retrieval, options)
    counts = options.class_counts
    return PairReport(
        n_similar=n_similar,
        n_different=n_different,
        threshold=threshold,
        threshold_given=options.threshold is not None,
        eer_threshold=eer_threshold,
        micro=micro,
        macro=macro,
        per_class=per_class,
        groups=groups,
        intervals=intervals,
        confidence=options.confidence,
        resampled=resampled,
        class_counts={label: counts.get(label, 0) for label in pairs.classes} if counts else {},
        curve=_thinned(whole_curve, grid),
        histogram=histogram(pairs, threshold),
        calibration=_calibration(pairs, options.layer),
    )


def _figures(
    points: Curves, n_different: Array, pairs: Pairs, accepted: Array, group: Array, options: Options
) -> dict[str, Array]:
    """All figures of groups of pairs; `pairs` and `accepted` have one entry for each membership of a group."""

    def total(chosen: Array) -> Array:
        return np.bincount(group[chosen], pairs.weight[chosen], minlength=len(points.starts))

    decisions = decision_figures(
        total(pairs.similar & accepted), total(pairs.similar), total(~pairs.similar & accepted), total(~pairs.similar)
    )
    return curve_figures(points, n_different, options.far, options.costs) | decisions


def _by_class(pairs: Pairs, accepted: Array, options: Options) -> tuple[dict[str, Array], tuple[Array, Array]]:
    """Figures of each class, `(C,)` each, and its numbers of similar and different pairs."""
    position, code = pairs.by_class()
    n = len(pairs.classes)
    spread = pairs._replace(
        distance=pairs.distance[position], similar=pairs.similar[position], weight=pairs.weight[position]
    )
    support = (np.bincount(code[spread.similar], minlength=n), np.bincount(code[~spread.similar], minlength=n))
    points = curves(spread.distance, spread.similar, spread.weight, code, n)
    return _figures(points, support[1], spread, accepted[position], code, options), support


def _means(by_class: dict[str, Array], chosen: list[int]) -> dict[str, float]:
    """Means over the chosen classes that have the figure."""
    found = {}
    for name, values in by_class.items():
        known = values[chosen][np.isfinite(values[chosen])]
        if not name.startswith("achieved_far_"):
            found[name] = float(known.mean()) if known.size else math.nan
    return found


def _intervals(
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


def _thinned(points: Curves, grid: Array) -> dict[str, list[float]]:
    """The points of a single curve on the grid, after the one that accepts nothing."""
    tar, far = points.rates()
    place = np.searchsorted(points.threshold, grid, side="right") - 1
    return {
        "threshold": [-math.inf, *grid.tolist()],
        "far": [0.0, *far[place].tolist()],
        "frr": [1.0, *(1 - tar[place]).tolist()],
    }


def _calibration(pairs: Pairs, layer: Any) -> dict[str, Any]:
    """How well the probabilities of a calibrated layer hold on these pairs."""
    record = getattr(layer, "calibration", None)
    if not record:
        return {}
    if record["pairs"] == fingerprint(pairs):
        warnings.warn(
            "These are the pairs that the threshold was calibrated on, so the figures at it are too good: calibrate on "
            "validation pairs and evaluate on test pairs.",
            stacklevel=4,
        )
    logit = layer.current_slope * (record["posterior_threshold"] - pairs.distance)
    weight = prior_weights(pairs.similar, pairs.weight, record["prior"])
    return reliability(sigmoid(logit), pairs.similar, weight)
