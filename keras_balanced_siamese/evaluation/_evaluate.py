"""Checked pairs -> a report: the steps that both ways to evaluate share."""

import math
import warnings
from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation._class_figures import all_figures, class_means, figures_by_class
from keras_balanced_siamese.evaluation._curves import Curves, curves, equal_error_rate
from keras_balanced_siamese.evaluation._groups import check_counted, thirds
from keras_balanced_siamese.evaluation._histogram import histogram
from keras_balanced_siamese.evaluation._intervals import grid_of
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Array, Pairs, Retrieval, fingerprint, same_pairs
from keras_balanced_siamese.evaluation._reliability import prior_weights, reliability, sigmoid
from keras_balanced_siamese.evaluation._report import PairReport
from keras_balanced_siamese.evaluation._report_intervals import report_intervals


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
    micro = all_figures(whole_curve, np.array([n_different]), pairs, accepted, np.zeros(len(accepted), int), options)
    micro |= {name: total.sum(keepdims=True) / count.sum() for name, (total, count) in retrieval.items()}
    micro = {name: float(values[0]) for name, values in micro.items()}

    by_class, support, per_class, macro, groups, places = {}, None, {}, {}, {}, {}
    if pairs.classes:
        by_class, support = figures_by_class(pairs, accepted, options)
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
        macro = class_means(by_class, list(range(len(pairs.classes))))
        places = thirds(pairs.classes, options.class_counts) if options.class_counts else {}
        groups = {
            name: {"classes": [pairs.classes[k] for k in chosen], **class_means(by_class, chosen)}
            for name, chosen in places.items()
        }
    grid = grid_of(whole_curve, threshold, options.far)
    intervals, resampled = report_intervals(pairs, grid, threshold, micro, by_class, places, retrieval, options)
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
    if same_pairs(record["pairs"], fingerprint(pairs)):
        warnings.warn(
            "These are the pairs that the threshold was calibrated on, so the figures at it are too good: calibrate on "
            "validation pairs and evaluate on test pairs.",
            stacklevel=4,
        )
    logit = layer.current_slope * (record["posterior_threshold"] - pairs.distance)
    weight = prior_weights(pairs.similar, pairs.weight, record["prior"])
    return reliability(sigmoid(logit), pairs.similar, weight)
