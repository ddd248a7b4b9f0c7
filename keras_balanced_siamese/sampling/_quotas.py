"""Class shares and a cap -> how many pairs each class gets."""

import numpy as np


def fill(total: float, shares: np.ndarray, caps: np.ndarray) -> np.ndarray:
    """Share out `total` in proportion to `shares`, as water fills basins: what is too much for one, the others get.

    ```
    expected_c = min(level * shares_c, caps_c)   with the level at which they sum to total
    ```

    Args:
        total: At most the sum of the caps of the classes with a share.
        shares: `(C,)`, not negative.
        caps: `(C,)`, the most that each class takes; may be infinite.

    Returns:
        `(C,)` with the sum `total`.

    Examples:
        >>> from keras_balanced_siamese.sampling._quotas import fill
        >>> fill(30, np.array([0.5, 0.25, 0.25]), np.array([3.0, np.inf, np.inf])).tolist()
        [3.0, 13.5, 13.5]
    """
    expected = np.zeros(len(shares))
    open_ = np.flatnonzero(shares > 0)
    open_ = open_[np.argsort(caps[open_] / shares[open_], kind="stable")]  # the first are the first to be full
    share, cap = shares[open_], caps[open_]
    rest = np.cumsum(share[::-1])[::-1]  # shares of a class and of all that are full later
    full = np.cumsum(np.append(0.0, cap[:-1]))  # what the classes before it take
    levels = np.maximum(total - full, 0.0) / rest  # the level if those before it are full and no other is
    k = int(np.argmax(np.append(levels * share <= cap, True)))
    expected[open_[:k]] = cap[:k]
    if k < len(open_):
        expected[open_[k:]] = levels[k] * share[k:]
    return expected


def round_to_sum(expected: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers with the sum `total`, unbiased, each within 1 of what is expected; whole ones stay as they are."""
    rounded = np.floor(expected).astype(np.int64)
    wanted = np.flatnonzero(expected > rounded)
    missing = total - int(rounded.sum())
    if missing:
        edges = np.cumsum((expected - rounded)[wanted])
        edges = np.minimum(np.floor(edges * (missing / edges[-1]) + rng.random()), missing)
        edges[-1] = missing
        rounded[wanted] += np.diff(edges, prepend=0.0).astype(np.int64)
    return rounded


def round_with_debts(expected: np.ndarray, owed: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Like `round_to_sum`, but those whom earlier roundings owe something are more likely to be rounded up.

    Args:
        expected: `(C,)` with the sum `total`.
        owed: `(C,)` what was expected so far less what was given; about from -1 to 1.
        total: The sum of the result.
        rng: Decides among those who are owed about the same.

    Returns:
        `(C,)` whole numbers, `expected` rounded down or up.
    """
    expected = np.round(expected, 6)  # what is whole stays so
    rounded = np.floor(expected).astype(np.int64)
    wanted = np.flatnonzero(expected > rounded)
    missing = total - int(rounded.sum())
    if 0 < missing < len(wanted):
        claim = (owed + expected - rounded)[wanted] + rng.random(len(wanted))
        wanted = wanted[np.argpartition(-claim, missing)[:missing]]
    rounded[wanted[:missing]] += 1
    return rounded
