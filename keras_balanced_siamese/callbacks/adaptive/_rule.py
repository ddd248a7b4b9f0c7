"""A strategy and its limits: smoothed errors of the classes -> their next weights."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese._checks import at_least, one_of
from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._typing import Label, Strategy
from keras_balanced_siamese.callbacks.adaptive._limits import limit_factors
from keras_balanced_siamese.callbacks.adaptive._memory import Memory
from keras_balanced_siamese.callbacks.adaptive._strategies import DYNAMIC, STRATEGIES, TAU, ClassStatistics
from keras_balanced_siamese.callbacks.adaptive._targets import Weights


class Rule(NamedTuple):
    """How weights follow errors; the fields are the arguments of `AdaptiveClassWeight`."""

    strategy: Strategy
    tau: float | str
    bounds: tuple[float, float] | None
    max_step: float | None

    def next_values(
        self, adapted: Weights, memory: Memory, values: np.ndarray, known: np.ndarray, epoch: int
    ) -> np.ndarray:
        """The next values `(C,)` of the classes that are `known`, by their errors; the others keep theirs."""
        current = memory.factors(values)
        items = np.maximum(memory.counts, 1.0)  # a class that is drawn now and then may be missing from an epoch
        neutral = adapted.neutral(items, memory.start)
        if isinstance(self.strategy, str):
            statistics = ClassStatistics(
                *(one[known] for one in (memory.errors, current, memory.start, items, neutral))
            )
            wanted = STRATEGIES[self.strategy](statistics, self.tau)
        else:
            asked = _ask(self.strategy, adapted.by_class(memory.errors), adapted.by_class(values), known, epoch)
            wanted = np.divide(asked, memory.start[known], out=current[known], where=memory.start[known] > 0)
        bounds = None
        if self.bounds is not None and memory.upper_bounds is not None:
            highest = memory.upper_bounds.update(current, np.where(known, memory.errors, np.nan), neutral)
            bounds = (self.bounds[0], highest[known])
        share = memory.counts * memory.start
        goal = float(share.sum() - (share * current)[~known].sum())
        current[known] = limit_factors(wanted, current[known], share[known], goal, bounds, self.max_step)
        return memory.start * current


def checked_rule(strategy: Any, tau: Any, bounds: Any, max_step: Any) -> Rule:
    """A rule by the arguments of a user; `tau=None` is the one of the strategy.

    Raises:
        ValueError: For an unknown strategy, or numbers out of range.
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
        raise ValueError(f"`max_step` must be more than 1, or no weight ever changes. Received: {max_step!r}")
    return Rule(strategy, tau, bounds, max_step)


def _check_strategy(strategy: Any) -> None:
    if isinstance(strategy, str):
        one_of("strategy", strategy, tuple(STRATEGIES))
    elif not callable(strategy):
        raise TypeError(f"`strategy` must be one of {tuple(STRATEGIES)} or a callable. Received: strategy={strategy!r}")


def _ask(
    strategy: Callable[..., Any],
    errors: dict[Label, float],
    weights: dict[Label, float],
    known: np.ndarray,
    epoch: int,
) -> np.ndarray:
    """The weights that a callable wants of the classes whose error is known, which are all it is given_by_class of."""
    kept = {label for label, one in zip(errors, known, strict=True) if not one}
    errors, weights = ({k: v for k, v in one.items() if k not in kept} for one in (errors, weights))
    asked = strategy(errors, weights, epoch)
    if isinstance(asked, Mapping):
        asked = {label: weight for label, weight in asked.items() if label not in kept}
    return align_weights(asked, list(errors), "strategy(errors, weights, epoch)")


def _check_bounds(bounds: Any) -> tuple[float, float]:
    pair = isinstance(bounds, (tuple, list)) and len(bounds) == 2 and all(isinstance(one, Real) for one in bounds)
    if not pair or not 0 < bounds[0] < 1 < bounds[1]:
        raise ValueError(
            f"`bounds` must be (smallest, largest) factor with 0 < smallest < 1 < largest. Received: bounds={bounds!r}"
        )
    return float(bounds[0]), float(bounds[1])
