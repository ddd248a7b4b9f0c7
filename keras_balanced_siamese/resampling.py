"""Labels -> which share of an epoch each class gets."""

from collections.abc import Mapping
from numbers import Real

import numpy as np

from keras_balanced_siamese._labels import align_weights
from keras_balanced_siamese._typing import ClassSampling, Label

POWERS = {"balanced": 0.0, "sqrt": 0.5, "natural": 1.0}


def class_shares(classes: list[Label], counts: np.ndarray, sampling: ClassSampling = "balanced") -> np.ndarray:
    """The share of each class among what is drawn.

    ```
    share_c = n_c ** q / sum over k of n_k ** q
    ```

    Args:
        classes: The class labels.
        counts: `(len(classes),)` samples of each class.
        sampling: `"balanced"` (q = 0, every class as often as any other), `"sqrt"` (q = 1/2), `"natural"` (q = 1, as in
            the data), the number q itself (negative values favour rare classes), or a mapping of class to share, which
            is scaled to the sum 1.

    Returns:
        float64 array `(len(classes),)` with the sum 1.

    Raises:
        ValueError: For an unknown name, a power that is not finite, or a mapping with wrong classes or shares.
        TypeError: If `sampling` is none of these.
    """
    if isinstance(sampling, str):
        if sampling not in POWERS:
            raise ValueError(
                f"`class_sampling` must be one of {sorted(POWERS)}, a number or a mapping. "
                f"Received: class_sampling={sampling!r}"
            )
        power = POWERS[sampling]
    elif isinstance(sampling, Mapping):
        shares = align_weights(sampling, classes, "class_sampling")
        return shares / shares.sum()
    elif isinstance(sampling, Real) and not isinstance(sampling, bool):
        power = float(sampling)
        if not np.isfinite(power):
            raise ValueError(f"`class_sampling` must be finite. Received: class_sampling={sampling!r}")
    else:
        raise TypeError(
            f"`class_sampling` must be one of {sorted(POWERS)}, a number or a mapping. "
            f"Received: class_sampling={sampling!r}"
        )
    log_shares = power * np.log(counts)
    shares = np.exp(log_shares - log_shares.max())
    return shares / shares.sum()
