"""Checked pairs -> a report: the steps that both ways to evaluate share."""

import math
import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import fraction, positive, whole
from keras_balanced_siamese._curves import Curves, curves, equal_error_rate
from keras_balanced_siamese._reliability import prior_weights, reliability, sigmoid
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation._class_intervals import class_intervals, mean_interval
from keras_balanced_siamese.evaluation._figures import Costs, curve_figures, decision_figures
from keras_balanced_siamese.evaluation._groups import check_class_counts, thirds
from keras_balanced_siamese.evaluation._intervals import grid_of, interval, resample_curves, resampled_ratios
from keras_balanced_siamese.evaluation._pair_data import Pairs, fingerprint
from keras_balanced_siamese.evaluation._report import PairReport

BINS = 60  # of the histogram
Array = np.ndarray
Retrieval = dict[str, tuple[Array, Array]]  # by figure: its sum over the queries of each class and their number, (C,)


class Options(NamedTuple):
    """How to evaluate; see `evaluate_pairs`."""

    threshold: float | None
    layer: Any  # that the threshold came from
    class_counts: dict[Label, int]
    far: tuple[float, ...]
    costs: Costs
    resample: str | None
    n_resamples: int
    confidence: float
    seed: int


def check_options(
    threshold: Any,
    class_counts: Any,
    far: Sequence[float],
    costs: Costs,
    resample: str | None,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> Options:
    """Check the arguments that are not data."""
    layer = threshold if hasattr(threshold, "current_threshold") else None
    value = threshold if layer is None else layer.current_threshold
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value)):
        raise ValueError(
            "`threshold` must be a finite distance, a layer from `calibrate`, or None. "
            f"Received: threshold={threshold!r}"
        )
    if resample not in (None, "classes", "samples"):
        raise ValueError(f"`resample` must be 'classes', 'samples' or None. Received: resample={resample!r}")
    for one in far:
        if not 0 < positive("far", one) < 1:
            raise ValueError(f"`far` must hold rates between 0 and 1. Received: far={far!r}")
    for cost in costs:
        if len(cost) != 3 or not (cost[0] > 0 and cost[1] > 0 and 0 < cost[2] < 1):
            raise ValueError(
                "`costs` must hold (cost of a miss, cost of a false accept, share of similar pairs), the share between "
                f"0 and 1. Received: {cost!r}"
            )
    if not 0 < fraction("confidence", confidence) < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1. Received: confidence={confidence!r}")
    return Options(
        None if value is None else float(value),
        layer,
        check_class_counts(class_counts),
        tuple(far),
        [(cost[0], cost[1], cost[2]) for cost in costs],
        resample,
        whole("n_resamples", n_resamples, 0),
        confidence,
        whole("seed", seed, 0),
    )


def evaluate(pairs: Pairs, options: Options, retrieval: Retrieval | None = None) -> PairReport:
    """The report of pairs, and of retrieval figures if there are any."""
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
    return PairReport(
        n_similar,
        n_different,
        threshold,
        options.threshold is not None,
        eer_threshold,
        micro,
        macro,
        per_class,
        groups,
        intervals,
        options.confidence,
        resampled,
        {label: options.class_counts.get(label, 0) for label in pairs.classes} if options.class_counts else {},
        _thinned(whole_curve, grid),
        _histogram(pairs),
        _calibration(pairs, options.layer),
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
    """The points of a single curve on the grid."""
    tar, far = points.rates()
    place = np.searchsorted(points.threshold, grid, side="right") - 1
    return {"threshold": grid.tolist(), "far": far[place].tolist(), "frr": (1 - tar[place]).tolist()}


def _histogram(pairs: Pairs) -> dict[str, list[float]]:
    """Shares of the finite distances of each kind in bins of equal width."""
    finite = np.isfinite(pairs.distance)
    if not finite.any():
        return {}
    edges = np.histogram_bin_edges(pairs.distance[finite], BINS)
    found = {"edges": edges.tolist()}
    for name, kind in (("similar", pairs.similar), ("different", ~pairs.similar)):
        counts, _ = np.histogram(pairs.distance[kind & finite], edges, weights=pairs.weight[kind & finite])
        found[name] = (counts / pairs.weight[kind].sum()).tolist()
    return found


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
