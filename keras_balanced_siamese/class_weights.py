"""Class weights and sample weights from labels."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from keras_balanced_siamese._labels import align_weights, encode_labels
from keras_balanced_siamese._typing import ArrayLike, ClassWeights, Label, WeightScheme

SCHEMES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "balanced": lambda counts, _beta: counts.sum() / (len(counts) * counts),
    "inverse": lambda counts, _beta: 1.0 / (len(counts) * counts),
    "sqrt": lambda counts, _beta: counts**-0.5,
    "effective": lambda counts, beta: (1.0 - beta) / (1.0 - beta**counts),
    "uniform": lambda counts, _beta: np.ones_like(counts),
}


class CountedWeights(dict[Label, float]):
    """A dict of class weights with the counts that they were computed from; its copies are plain dicts."""

    counts: Mapping[Label, int] = MappingProxyType({})


def class_weights(
    labels: ArrayLike, scheme: WeightScheme = "balanced", *, beta: float = 0.999, normalize: str | None = "samples"
) -> dict[Label, float]:
    """Compute class weights that raise the influence of rare classes.

    With `C` classes, `n_c` samples of class `c` and `N` samples in all, the schemes are

    ```
    "balanced"    N / (C n_c)
    "inverse"     1 / (C n_c)
    "sqrt"        n_c ** -0.5
    "effective"   (1 - beta) / (1 - beta ** n_c)
    "uniform"     1
    ```

    The result is then scaled, because weights that are small on average act like a small learning rate. On a 100:1
    data set, `"inverse"` without scaling stops plain SGD altogether.

    Args:
        labels: `(n,)` class labels: integers, strings, booleans or finite floats.
        scheme: One of the names above, a mapping of class to weight, or a callable that takes the counts as a dict
            `{class: n_c}` and returns such a mapping.
        beta: For `"effective"` only, in `[0, 1)`: 0 gives equal weights, and values close to 1 approach `"inverse"`. It
            must suit the counts: with 0.9, 50 samples and 5,000 get nearly the same weight.
        normalize: `"samples"` (the mean weight over the samples is 1), `"classes"` (the mean over the classes is 1),
            or `None` (the formula without scaling).

    Returns:
        A dict of class to weight, sorted by class. `model.fit(class_weight=...)` accepts it if the labels are integers.

    Raises:
        ValueError: For empty or missing labels, an unknown scheme, a `beta` outside `[0, 1)`, weights that are
            negative, not finite, or not given for exactly the classes in `labels`.
        TypeError: If `scheme` is not a string, a mapping or a callable.

    Examples:
        >>> class_weights(["cat", "cat", "cat", "lynx"])
        {'cat': 0.6666666666666666, 'lynx': 2.0}
        >>> class_weights([0, 0, 0, 1], "inverse", normalize=None)
        {0: 0.16666666666666666, 1: 0.5}

    References:
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.
    """
    encoded = encode_labels(labels)
    weights = scheme_weights(encoded.classes, encoded.counts, scheme, beta)
    weights = weights / _mean(weights, encoded.counts, normalize)
    found = CountedWeights(zip(encoded.classes, weights.tolist(), strict=True))
    found.counts = dict(zip(encoded.classes, encoded.counts.tolist(), strict=True))
    return found


def scheme_weights(
    classes: list[Label], counts: np.ndarray, scheme: WeightScheme, beta: float = 0.999, name: str = "scheme"
) -> np.ndarray:
    """Return the weights `(C,)` of a scheme before scaling, in the order of `classes`; `name` is used in errors."""
    if not 0 <= beta < 1:
        raise ValueError(f"`beta` must be in [0, 1). Received: beta={beta!r}")
    if isinstance(scheme, str) and scheme in SCHEMES:
        return SCHEMES[scheme](counts.astype(np.float64), beta)
    if isinstance(scheme, Mapping):
        return align_weights(scheme, classes, name)
    if callable(scheme):
        return align_weights(scheme(dict(zip(classes, counts.tolist(), strict=True))), classes, f"{name}(counts)")
    expected = f"`{name}` must be one of {sorted(SCHEMES)}, a mapping or a callable. Received: {name}={scheme!r}"
    raise ValueError(expected) if isinstance(scheme, str) else TypeError(expected)


def sample_weights(labels: ArrayLike, weights: ClassWeights) -> np.ndarray:
    """Return the weight of each sample's class, for `model.fit(sample_weight=...)`.

    Args:
        labels: `(n,)` class labels.
        weights: A mapping of class to weight, as returned by `class_weights`. Classes that do not occur in `labels` are
            allowed, so that weights of the training data can be applied to the validation data.

    Returns:
        float32 array `(n,)`.

    Raises:
        ValueError: If a class in `labels` has no weight, or a weight is negative or not finite.

    Examples:
        >>> sample_weights(["a", "b", "a"], {"a": 0.75, "b": 1.5}).tolist()
        [0.75, 1.5, 0.75]
    """
    encoded = encode_labels(labels)
    if isinstance(weights, Mapping):
        present = set(encoded.classes)
        weights = {label: weight for label, weight in weights.items() if label in present}
    return align_weights(weights, encoded.classes, "weights")[encoded.codes].astype(np.float32)


def _mean(weights: np.ndarray, counts: np.ndarray, normalize: str | None) -> float:
    if normalize == "samples":
        return float(np.average(weights, weights=counts))
    if normalize == "classes":
        return float(weights.mean())
    if normalize is None:
        return 1.0
    raise ValueError(f"`normalize` must be 'samples', 'classes' or None. Received: normalize={normalize!r}")
