"""The rule of `AdaptiveClassWeight`: a strategy and its limits."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import at_least, one_of
from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._typing import Label, Strategy
from keras_balanced_siamese.callbacks.adaptive._limits import factors_of, limit_factors
from keras_balanced_siamese.callbacks.adaptive._memory import Memory
from keras_balanced_siamese.callbacks.adaptive._strategies import (
    DYNAMIC,
    STRATEGIES,
    TAU,
    ClassStatistics,
    misfit,
    neutral_factors,
)
from keras_balanced_siamese.callbacks.adaptive._targets import AdaptedValues


class Rule(NamedTuple):
    """The next values of the classes as a function of their errors; for the fields see `AdaptiveClassWeight`."""

    strategy: Strategy
    tau: float | str
    bounds: tuple[float, float] | None
    max_step: float | None

    def next_values(
        self,
        errors: np.ndarray,
        items: np.ndarray,
        start: np.ndarray,
        values: np.ndarray,
        *,
        neutral: np.ndarray | None = None,
        highest: np.ndarray | None = None,
        classes: Sequence[Label] | None = None,
        epoch: int = 0,
    ) -> np.ndarray:
        """Return the next values `(C,)`; classes without an error keep theirs.

        Args:
            errors: `(C,)` smoothed errors, NaN where unknown.
            items: `(C,)` items of each class in an epoch.
            start: `(C,)` starting values.
            values: `(C,)` current values.
            neutral: `(C,)` factors that correct class frequency, by default `neutral_factors(items, start)`.
            highest: `(C,)` largest factors, by default the upper one of `bounds`.
            classes: The labels that a callable strategy receives, by default 0 to C - 1.
            epoch: The epoch that a callable strategy receives.
        """
        known = ~np.isnan(errors)
        factors = factors_of(values, start)
        if isinstance(self.strategy, str):
            neutral = neutral_factors(items, start) if neutral is None else neutral
            arrays = (errors, factors, start, np.maximum(items, 1.0), neutral)
            wanted = STRATEGIES[self.strategy](ClassStatistics(*(array[known] for array in arrays)), self.tau)
        else:
            labels = range(len(errors)) if classes is None else classes
            weights = _call_strategy(self.strategy, labels, errors, values, epoch)
            wanted = np.divide(weights, start[known], out=factors[known], where=start[known] > 0)
        bounds = self.bounds
        if bounds is not None and highest is not None:
            bounds = (bounds[0], highest[known])
        share = items * start
        goal = float(share.sum() - (share * factors)[~known].sum())
        factors[known] = limit_factors(wanted, factors[known], share[known], goal, bounds, self.max_step)
        return start * factors

    def reason_to_skip(self, errors: np.ndarray) -> str | None:
        """Return why errors `(C,)`, NaN or infinite where unknown, allow no update, or `None` if they do."""
        known = errors[np.isfinite(errors)]
        if not len(known) or 2 * len(known) < len(errors):
            return f"only {len(known)} of {len(errors)} classes have an error"
        return misfit(self.strategy, self.tau, known) if isinstance(self.strategy, str) else None


def update_target(rule: Rule, adapted: AdaptedValues[Any], memory: Memory, known: np.ndarray, epoch: int) -> None:
    """Set the values of the classes that are `known`, `(C,)` booleans, by their smoothed errors."""
    values, errors = adapted.values, np.where(known, memory.errors, np.nan)
    neutral = adapted.neutral(memory.counts, memory.start)
    highest = memory.update_bounds(values, errors, neutral)
    options = {"neutral": neutral, "highest": highest, "classes": adapted.classes, "epoch": epoch}
    adapted.set(rule.next_values(errors, memory.counts, memory.start, values, **options))


def correct_frequency(rule: Rule, adapted: AdaptedValues[Any], memory: Memory) -> None:
    """Set the values that correct the frequency of the items, in one step and whatever the errors are."""
    rule = rule._replace(strategy="difficulty", tau=0.0, max_step=None)
    neutral = adapted.neutral(memory.counts, memory.start)
    even = np.ones_like(memory.start)
    adapted.set(rule.next_values(even, memory.counts, memory.start, memory.start, neutral=neutral))


def checked_rule(strategy: Any, tau: Any, bounds: Any, max_step: Any) -> Rule:
    """Return a rule from user arguments; `tau=None` is the default of the strategy.

    Raises:
        ValueError: For an unknown strategy or numbers out of range.
        TypeError: For a strategy of the wrong kind.
    """
    _check_strategy(strategy)
    if isinstance(tau, str) and (tau, strategy) != (DYNAMIC, "cdb"):
        raise ValueError(
            f"`tau` must be a number, or 'dynamic' with strategy='cdb'. Received: tau={tau!r}, strategy={strategy!r}"
        )
    if tau is None:
        tau = TAU.get(strategy, 1.0) if isinstance(strategy, str) else 1.0
    tau = tau if isinstance(tau, str) else at_least("tau", tau, 0.0)
    bounds = None if bounds is None else _check_bounds(bounds)
    max_step = None if max_step is None else at_least("max_step", max_step, 1.0)
    if max_step == 1:
        raise ValueError(f"`max_step` must be more than 1. Received: max_step={max_step!r}")
    return Rule(strategy, tau, bounds, max_step)


def _check_strategy(strategy: Any) -> None:
    if isinstance(strategy, str):
        one_of("strategy", strategy, tuple(STRATEGIES))
    elif not callable(strategy):
        raise TypeError(f"`strategy` must be one of {tuple(STRATEGIES)} or a callable. Received: strategy={strategy!r}")


def _call_strategy(
    strategy: Callable[..., Any], classes: Sequence[Label], errors: np.ndarray, values: np.ndarray, epoch: int
) -> np.ndarray:
    """Return the weights that a callable returns for the classes with an error; it receives no others."""
    rows = [row for row in zip(classes, errors.tolist(), values.tolist(), strict=True) if not math.isnan(row[1])]
    error_of, weight_of = {label: error for label, error, _ in rows}, {label: value for label, _, value in rows}
    unknown = set(classes) - error_of.keys()
    weights = strategy(error_of, weight_of, epoch)
    if isinstance(weights, Mapping):
        weights = {label: weight for label, weight in weights.items() if label not in unknown}
    return align_weights(weights, [label for label, _, _ in rows], "strategy(errors, weights, epoch)")


def _check_bounds(bounds: Any) -> tuple[float, float]:
    pair = isinstance(bounds, (tuple, list)) and len(bounds) == 2 and all(isinstance(one, Real) for one in bounds)
    if not pair or not 0 < bounds[0] < 1 < bounds[1]:
        raise ValueError(
            f"`bounds` must be (smallest, largest) factor with 0 < smallest < 1 < largest. Received: bounds={bounds!r}"
        )
    return float(bounds[0]), float(bounds[1])
