"""The names under which saved models refer to the parts of this package."""

from typing import Any

from keras_balanced_siamese._backend import PACKAGE, misnamed_optimizers
from keras_balanced_siamese.layers import CosineDistance, DistanceToProbability, EuclideanDistance, ManhattanDistance
from keras_balanced_siamese.layers.sides import SplitSides, StackSides
from keras_balanced_siamese.losses import (
    WeightedBatchContrastiveLoss,
    WeightedBinaryCrossentropy,
    WeightedContrastiveLoss,
    WeightedCosineLoss,
    WeightedMultiSimilarityLoss,
    WeightedSupervisedContrastiveLoss,
    WeightedTripletLoss,
)
from keras_balanced_siamese.metrics import (
    BalancedPairAccuracy,
    EqualErrorRate,
    FalseAcceptRate,
    FalseRejectRate,
    MatthewsCorrelation,
    TrueAcceptRate,
    VerificationAUC,
    VerificationPRAUC,
)

SAVED = (
    EuclideanDistance,
    CosineDistance,
    ManhattanDistance,
    StackSides,
    SplitSides,
    DistanceToProbability,
    WeightedContrastiveLoss,
    WeightedCosineLoss,
    WeightedBinaryCrossentropy,
    WeightedBatchContrastiveLoss,
    WeightedTripletLoss,
    WeightedSupervisedContrastiveLoss,
    WeightedMultiSimilarityLoss,
    EqualErrorRate,
    VerificationAUC,
    VerificationPRAUC,
    TrueAcceptRate,
    FalseAcceptRate,
    FalseRejectRate,
    BalancedPairAccuracy,
    MatthewsCorrelation,
)


def custom_objects() -> dict[str, Any]:
    """All that a saved model can hold of this package, for `load_model(custom_objects=...)`.

    `import keras_balanced_siamese` registers all of this package, so it is rarely needed. It serves those who prefer to
    say what a file may refer to: each class stands under its plain name and under its registered one, which is the only
    one that Keras looks up when the class is not registered.

    It also holds Keras's own optimizers, for one gap of Keras: a compiled model can name its optimizer in a way that
    only the backend which saved it can find. There pass this mapping, or `compile=False`.

    Returns:
        A new dict of name to class.

    Examples:
        >>> custom_objects()["EuclideanDistance"].__name__
        'EuclideanDistance'
    """
    ours = {name: cls for cls in SAVED for name in (cls.__name__, f"{PACKAGE}>{cls.__name__}")}
    return {**misnamed_optimizers, **ours}
