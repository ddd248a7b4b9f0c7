"""Histogram of the distances of pairs, robust to outliers."""

from typing import Any

import numpy as np

from keras_balanced_siamese.evaluation._pair_data import Pairs

BINS = 60
RARE = 0.001  # largest share of each kind of pairs that the bins may leave out at each end


def histogram(pairs: Pairs, threshold: float) -> dict[str, Any]:
    """Shares of similar and of different pairs in bins of equal width; empty if all distances are infinite.

    Args:
        pairs: The pairs.
        threshold: Decision threshold; the bins include it if it is finite.

    Returns:
        `edges` of the bins, shares of the `similar` and the `different` pairs in each, and `below` and `above`: the
        shares of both kinds outside the bins, infinite distances included.
    """
    finite = np.isfinite(pairs.distance)
    if not finite.any():
        return {}
    kinds = {"similar": pairs.similar, "different": ~pairs.similar}
    low, high = _robust_range([pairs.distance[kind & finite] for kind in kinds.values()])
    edges = _edges(*((min(low, threshold), max(high, threshold)) if np.isfinite(threshold) else (low, high)))
    found: dict[str, Any] = {"edges": edges.tolist(), "below": {}, "above": {}}
    for name, kind in kinds.items():
        distance, share = pairs.distance[kind], pairs.weight[kind] / pairs.weight[kind].sum()
        found[name] = np.histogram(distance[np.isfinite(distance)], edges, weights=share[np.isfinite(distance)])[0]
        found[name] = found[name].tolist()
        found["below"][name] = float(share[distance < edges[0]].sum())
        found["above"][name] = float(share[distance > edges[-1]].sum())
    return found


def _robust_range(kinds: list[np.ndarray]) -> tuple[float, float]:
    """Range of the distances, without outliers farther away than twice the range of all others."""
    known = [distance for distance in kinds if len(distance)]
    low = min(np.quantile(distance, RARE, method="higher") for distance in known)
    high = max(np.quantile(distance, 1 - RARE, method="lower") for distance in known)
    low, high = min(low, high), max(low, high)
    low, high = low - 2 * (high - low), high + 2 * (high - low)
    return (
        float(min(distance[distance >= low].min() for distance in known)),
        float(max(distance[distance <= high].max() for distance in known)),
    )


def _edges(low: float, high: float) -> np.ndarray:
    """Edges of the bins; distances that differ only by rounding fall into one bin in the middle."""
    size = max(abs(low), abs(high))
    pad = 0.0
    if high - low <= 1e-9 * size or size < 1e-290:
        pad = 0.5 * size if size > 1e-290 else 0.5
    return np.linspace(low - pad, high + pad, BINS + 1)
