"""The names under which saved models refer to the parts of this package."""

from typing import Any

from keras_balanced_siamese._backend import PACKAGE
from keras_balanced_siamese.layers import DistanceToProbability, EuclideanDistance
from keras_balanced_siamese.losses import WeightedBinaryCrossentropy, WeightedContrastiveLoss

SAVED = (EuclideanDistance, DistanceToProbability, WeightedContrastiveLoss, WeightedBinaryCrossentropy)


def custom_objects() -> dict[str, Any]:
    """All that a saved model can hold of this package, for `load_model(custom_objects=...)`.

    It is not needed: `import keras_balanced_siamese` registers everything. It serves those who prefer to say what a
    file may refer to. Each class stands under its plain name and under its registered one, which is the only one that
    Keras looks up when the class is not registered.

    Returns:
        A new dict of name to class.

    Examples:
    >>> sorted(custom_objects())[:2]
    ['DistanceToProbability', 'EuclideanDistance']
    """
    return {name: cls for cls in SAVED for name in (cls.__name__, f"{PACKAGE}>{cls.__name__}")}
