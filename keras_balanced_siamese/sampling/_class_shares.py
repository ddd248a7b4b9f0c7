"""Class shares: the share of each class in an epoch."""

from collections.abc import Mapping
from numbers import Real

import numpy as np

from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._typing import ClassSampling, Label

POWERS = {"balanced": 0.0, "sqrt": 0.5, "natural": 1.0}
PROGRESSIVE = "progressive"


def class_shares(
    classes: list[Label], counts: np.ndarray, sampling: ClassSampling = "balanced", progress: float = 0.0
) -> np.ndarray:
    """The share of each class among the samples that are drawn.

    ```
    share_c = n_c ** q / sum over k of n_k ** q
    ```

    Args:
        classes: The class labels.
        counts: `(len(classes),)` samples of each class.
        sampling: `"balanced"` (q = 0, the same for each class), `"sqrt"` (q = 1/2), `"natural"` (q = 1, as in the
            data), the number q itself (negative values favour rare classes), `"progressive"` (from natural to
            balanced), or a mapping of class to share, which is scaled to the sum 1.
        progress: For `"progressive"`: from 0, natural, to 1, balanced.

    Returns:
        float64 array `(len(classes),)` with the sum 1.

    Raises:
        ValueError: For an unknown name, a power that is not finite, or a mapping with wrong classes or shares.
        TypeError: If `sampling` is none of these.
    """
    if isinstance(sampling, str):
        if sampling == PROGRESSIVE:
            return (1.0 - progress) * counts / counts.sum() + progress / len(counts)
        if sampling not in POWERS:
            raise ValueError(
                f"`class_sampling` must be one of {[*POWERS, PROGRESSIVE]}, a number or a mapping. "
                f"Received: class_sampling={sampling!r}"
            )
        power = POWERS[sampling]
    elif isinstance(sampling, Mapping):
        return scale_shares(align_weights(sampling, classes, "class_sampling"))
    elif isinstance(sampling, Real) and not isinstance(sampling, bool):
        power = float(sampling)
        if not np.isfinite(power):
            raise ValueError(f"`class_sampling` must be finite. Received: class_sampling={sampling!r}")
    else:
        raise TypeError(
            f"`class_sampling` must be one of {[*POWERS, PROGRESSIVE]}, a number or a mapping. "
            f"Received: class_sampling={sampling!r}"
        )
    log_shares = power * np.log(counts)
    shares = np.exp(log_shares - log_shares.max())
    return shares / shares.sum()


def scale_shares(shares: np.ndarray) -> np.ndarray:
    """Shares with the sum 1; shares that already have the sum 1 stay equal to the last bit."""
    total = shares.sum()
    return shares if abs(total - 1.0) < 1e-12 else shares / total


def natural_fraction(shares: np.ndarray, counts: np.ndarray) -> float:
    """The probability that two different samples are of one class, if their classes are drawn by the shares.

    ```
    (sum of v_c^2 (1 - 1/n_c)) / (1 - sum of v_c^2 / n_c)
    ```
    """
    squares = np.square(shares)
    return float((squares * (1.0 - 1.0 / counts)).sum() / (1.0 - (squares / counts).sum()))
