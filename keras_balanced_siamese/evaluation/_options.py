"""Checked options of an evaluation."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

from keras_balanced_siamese._checks import fraction, positive, whole
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation._figures import Costs
from keras_balanced_siamese.evaluation._groups import check_class_counts


class Options(NamedTuple):
    """Options of `evaluate_pairs`, which documents them."""

    threshold: float | None
    layer: Any  # that the threshold was taken from, or None
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
    """Check the options and return them."""
    value, layer = check_threshold(threshold)
    if resample not in (None, "classes", "samples"):
        raise ValueError(f"`resample` must be 'classes', 'samples' or None. Received: resample={resample!r}")
    for one in several("far", far):
        if not 0 < positive("far", one) < 1:
            raise ValueError(f"`far` must hold rates between 0 and 1. Received: far={far!r}")
    if not 0 < fraction("confidence", confidence) < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1. Received: confidence={confidence!r}")
    return Options(
        value,
        layer,
        check_class_counts(class_counts),
        tuple(far),
        _check_costs(costs),
        resample,
        whole("n_resamples", n_resamples, 0),
        confidence,
        whole("seed", seed, 0),
    )


def check_threshold(threshold: Any) -> tuple[float | None, Any]:
    """The threshold as a finite distance or `None`, and the layer it was taken from, or `None`."""
    layer = threshold if hasattr(threshold, "current_threshold") else None
    value = threshold if layer is None else layer.current_threshold
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value)):
        raise ValueError(
            "`threshold` must be a finite distance, a layer from `calibrate`, or None. "
            f"Received: threshold={threshold!r}"
        )
    return (None if value is None else float(value)), layer


def several(name: str, values: Any) -> list[Any]:
    """Return the values of a sequence as a list; raise for a single number."""
    if isinstance(values, Real):
        raise TypeError(f"`{name}` must be a sequence: `{name}=[{values!r}]`. Received: {name}={values!r}")
    return list(values)


def _check_costs(costs: Any) -> list[tuple[float, float, float]]:
    checked = []
    for cost in costs:
        if isinstance(cost, Real):
            raise TypeError(
                "`costs` must be a sequence of (cost of a miss, cost of a false accept, share of similar pairs): "
                f"`costs=[{tuple(costs)!r}]`. Received: costs={costs!r}"
            )
        good = len(cost) == 3 and all(isinstance(part, Real) for part in cost)
        if not (good and 0 < cost[0] < math.inf and 0 < cost[1] < math.inf and 0 < cost[2] < 1):
            raise ValueError(
                "`costs` must hold (cost of a miss, cost of a false accept, share of similar pairs), the share between "
                f"0 and 1. Received: {cost!r}"
            )
        checked.append((float(cost[0]), float(cost[1]), float(cost[2])))
    return checked
