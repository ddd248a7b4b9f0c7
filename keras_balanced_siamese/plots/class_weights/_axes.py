"""Scales and ticks of the axes of weights, errors and epochs."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
LEAST = 1.25  # minimum ratio of the axis ends to the geometric middle, so that near-equal weights look equal


def scale_weights(ax: "Axes", noun: str = "weight") -> None:
    """Set a logarithmic y-axis that contains all values, with plain numbers as tick labels."""
    low, high = ax.dataLim.intervaly
    middle = np.sqrt(low) * np.sqrt(high)
    low, high = min(low, middle / LEAST), max(high, middle * LEAST)
    room = (high / low) ** 0.06
    low, high = low / room, high * room
    ticks = _ticks(low, high)
    ax.set(yscale="log", ylim=(low, high), ylabel=noun)
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.grid(alpha=0.3)


def scale_errors(ax: "Axes") -> None:
    """Set a linear y-axis from 0, or from below the smallest error if it is negative."""
    low, high = ax.dataLim.intervaly
    if not low <= high:
        ax.text(0.5, 0.5, "no error was measured", transform=ax.transAxes, ha="center", va="center")
        low, high = 0.0, 1.0
    low, high = min(0.0, 1.06 * low), max(0.0, 1.06 * high)
    ax.set(ylim=(low, high if high > low else low + 1.0), ylabel="error")
    ax.grid(alpha=0.3)


def scale_epochs(ax: "Axes", epochs: np.ndarray) -> None:
    """Set an x-axis with integer ticks, wide enough for a single epoch."""
    first, last = int(epochs[0]), int(epochs[-1])
    room = max(0.02 * (last - first), 0.1 if last > first else 0.5)
    ax.set_xlim(first - room, last + room)
    ax.locator_params(axis="x", integer=True, min_n_ticks=1)


def _ticks(low: float, high: float) -> np.ndarray:
    """Return round numbers from `low` to `high`, about four to ten."""
    tens = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    tens = tens[:: max(1, len(tens) // 8)]  # thinned if weights differ by many powers of ten
    ticks = np.ones(1)
    for steps in STEPS:
        ticks = np.outer(tens, steps).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 4:
            break
    return ticks
