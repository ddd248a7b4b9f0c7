"""Verification figures of groups of pairs."""

from collections.abc import Sequence

import numpy as np

from keras_balanced_siamese.evaluation._curves import (
    Curves,
    average_precision,
    equal_error_rate,
    min_dcf,
    roc_auc,
    tar_at_far,
)

Costs = Sequence[tuple[float, float, float]]

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
COSTS = ((10.0, 1.0, 0.01), (1.0, 1.0, 0.001))  # costs of a miss and of a false accept, share of similar pairs


def tar_name(far: float) -> str:
    """Name of the true accept rate at a false accept rate."""
    return f"tar_at_far_{float(far)!r}"


def achieved_name(far: float) -> str:
    """Name of the false accept rate that is achieved there."""
    return f"achieved_far_{float(far)!r}"


def dcf_name(cost: tuple[float, float, float]) -> str:
    """Name of a minimum detection cost."""
    return "min_dcf_" + "_".join(f"{value:g}" for value in cost)


def curve_figures(
    points: Curves, n_different: np.ndarray, fars: Sequence[float], costs: Costs
) -> dict[str, np.ndarray]:
    """Figures over all thresholds, `(G,)` each; false accept rates below `1 / n_different` give NaN."""
    found = {"roc_auc": roc_auc(points), "pr_auc": average_precision(points), "eer": equal_error_rate(points)[0]}
    for far in fars:
        tar, achieved, _ = tar_at_far(points, far)
        measurable = n_different * far >= 1 - 1e-9
        found[tar_name(far)] = np.where(measurable, tar, np.nan)
        found[achieved_name(far)] = np.where(measurable, achieved, np.nan)
    return {**found, **{dcf_name(cost): min_dcf(points, *cost) for cost in costs}}


def decision_figures(
    accepts: np.ndarray, similar: np.ndarray, false_accepts: np.ndarray, different: np.ndarray
) -> dict[str, np.ndarray]:
    """Figures at one threshold, from the weights `(G,)` of accepted and of all similar and different pairs."""
    rejects, false_rejects = different - false_accepts, similar - accepts
    with np.errstate(invalid="ignore", divide="ignore"):
        frr, far = false_rejects / similar, false_accepts / different
        scale = (
            np.sqrt(similar) * np.sqrt(different) * np.sqrt(accepts + false_accepts) * np.sqrt(rejects + false_rejects)
        )
        mcc = (accepts * rejects - false_accepts * false_rejects) / scale
    known = (similar > 0) & (different > 0)
    return {
        "error": (frr + far) / 2,
        "false_reject_rate": frr,
        "false_accept_rate": far,
        "balanced_accuracy": 1 - (frr + far) / 2,
        "mcc": np.where(known, np.where(scale > 0, mcc, 0.0), np.nan),  # 0 by convention if all decisions are equal
    }
