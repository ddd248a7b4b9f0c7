"""Report of checked pairs, shared by `evaluate_pairs` and `evaluate_embeddings`."""

import math
import warnings
from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation._class_figures import class_means, class_rows, group_rows, report_figures
from keras_balanced_siamese.evaluation._curves import Curves, curves, equal_error_rate
from keras_balanced_siamese.evaluation._groups import check_counted
from keras_balanced_siamese.evaluation._histogram import histogram
from keras_balanced_siamese.evaluation._intervals import grid_of
from keras_balanced_siamese.evaluation._options import Options
from keras_balanced_siamese.evaluation._pair_data import Array, Pairs, Retrieval, fingerprint, same_pairs
from keras_balanced_siamese.evaluation._reliability import prior_weights, reliability, sigmoid
from keras_balanced_siamese.evaluation._report import PairReport
from keras_balanced_siamese.evaluation._report_intervals import report_intervals


def evaluate(pairs: Pairs, options: Options, retrieval: Retrieval | None = None) -> PairReport:
    """Build the report of pairs, with retrieval figures if there are any."""
    counts = options.class_counts
    if counts and not pairs.classes:
        raise ValueError(
            "`class_counts` needs `classes`, the class on each side of each pair, shape (n, 2). Received: classes=None"
        )
    check_counted(counts, pairs.classes)
    points = curves(pairs.distance, pairs.similar, pairs.weight)
    eer_threshold = float(equal_error_rate(points)[1][0])
    threshold = eer_threshold if options.threshold is None else options.threshold
    figures = report_figures(pairs, points, threshold, retrieval or {}, options)
    grid = grid_of(points, threshold, options.far)
    intervals, resampled = report_intervals(pairs, figures, grid, options)
    return PairReport(
        n_similar=int(pairs.similar.sum()),
        n_different=int((~pairs.similar).sum()),
        threshold=threshold,
        threshold_given=options.threshold is not None,
        eer_threshold=eer_threshold,
        micro=figures.micro,
        macro=class_means(figures.by_class, range(len(pairs.classes))),
        per_class=class_rows(pairs.classes, figures),
        groups=group_rows(pairs.classes, figures),
        intervals=intervals,
        confidence=options.confidence,
        resampled=resampled,
        class_counts={label: counts.get(label, 0) for label in pairs.classes} if counts else {},
        curve=_thinned(points, grid),
        histogram=histogram(pairs, threshold),
        calibration=_calibration(pairs, options.layer),
    )


def _thinned(points: Curves, grid: Array) -> dict[str, list[float]]:
    """The points of a single curve on the grid, preceded by the point that accepts nothing."""
    tar, far = points.rates()
    place = np.searchsorted(points.threshold, grid, side="right") - 1
    return {
        "threshold": [-math.inf, *grid.tolist()],
        "far": [0.0, *far[place].tolist()],
        "frr": [1.0, *(1 - tar[place]).tolist()],
    }


def _calibration(pairs: Pairs, layer: Any) -> dict[str, Any]:
    """Reliability of the probabilities of a calibrated layer on these pairs; empty for other layers."""
    record = getattr(layer, "calibration", None)
    if not record:
        return {}
    if same_pairs(record["pairs"], fingerprint(pairs)):
        warnings.warn(
            "These are the pairs that the threshold was calibrated on, so the figures are too optimistic: calibrate on "
            "validation pairs and evaluate on test pairs.",
            stacklevel=4,
        )
    logit = layer.current_slope * (record["posterior_threshold"] - pairs.distance)
    weight = prior_weights(pairs.similar, pairs.weight, record["prior"])
    return reliability(sigmoid(logit), pairs.similar, weight)
