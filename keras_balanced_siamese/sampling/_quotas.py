"""Per-class quotas for one epoch: class shares under upper bounds, and rounding."""

import numpy as np


def fill(total: float, shares: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Distribute `total` in proportion to `shares`, with the excess over a cap going to the other classes.

    ```
    expected_c = min(level * shares_c, caps_c)   with the level at which the sum is total
    ```

    Args:
        total: The sum of the result, at most the sum of the caps of the classes with a share.
        shares: `(C,)`, not negative.
        caps: `(C,)` upper bounds; may be infinite.

    Returns:
        `(C,)` with the sum `total`.

    Examples:
        >>> from keras_balanced_siamese.sampling._quotas import fill
        >>> fill(30, np.array([0.5, 0.25, 0.25]), np.array([3.0, np.inf, np.inf])).tolist()
        [3.0, 13.5, 13.5]
    """
    expected = np.zeros(len(shares))
    open_ = np.flatnonzero(shares > 0)
    open_ = open_[np.argsort(caps[open_] / shares[open_], kind="stable")]  # in the order in which they reach their caps
    share, cap = shares[open_], caps[open_]
    rest = np.cumsum(share[::-1])[::-1]  # share of a class and of those that are full later
    full = np.cumsum(np.append(0.0, cap[:-1]))  # sum of the caps of the classes before it
    levels = np.maximum(total - full, 0.0) / rest  # the level if the classes before it are full and no other is
    k = int(np.argmax(np.append(levels * share <= cap, True)))
    expected[open_[:k]] = cap[:k]
    if k < len(open_):
        expected[open_[k:]] = levels[k] * share[k:]
    return expected


def round_to_sum(expected: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Round to whole numbers with the sum `total`, unbiased, each within 1 of its input; whole inputs stay the same."""
    rounded = np.floor(expected).astype(np.int64)
    fractional = np.flatnonzero(expected > rounded)
    missing = total - int(rounded.sum())
    if missing:
        edges = np.cumsum((expected - rounded)[fractional])
        edges = np.minimum(np.floor(edges * (missing / edges[-1]) + rng.random()), missing)
        edges[-1] = missing
        rounded[fractional] += np.diff(edges, prepend=0.0).astype(np.int64)
    return rounded


def round_with_debts(expected: np.ndarray, owed: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Round like `round_to_sum`, but with preference for classes that were rounded down before.

    Args:
        expected: `(C,)` with the sum `total`.
        owed: `(C,)` sum of the expected minus the rounded numbers so far, from about -1 to 1.
        total: The sum of the result.
        rng: The random generator, which decides between classes with about the same debt.

    Returns:
        `(C,)` whole numbers, `expected` rounded down or up.
    """
    expected = np.round(expected, 6)  # so that whole numbers stay the same
    rounded = np.floor(expected).astype(np.int64)
    fractional = np.flatnonzero(expected > rounded)
    missing = total - int(rounded.sum())
    if 0 < missing < len(fractional):
        claim = (owed + expected - rounded)[fractional] + rng.random(len(fractional))
        fractional = fractional[np.argpartition(-claim, missing)[:missing]]
    rounded[fractional[:missing]] += 1
    return rounded
