"""The contrastive loss of tensorflow-addons on the output of any model."""

from typing import Any

from keras_balanced_siamese._backend import Loss, register
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.losses.contrastive import WeightedContrastiveLoss


@register
class LegacyContrastiveLoss(WeightedContrastiveLoss):
    """A `WeightedContrastiveLoss` of an old model whose output is not that of a distance layer.

    Networks have been trained with the contrastive loss of tensorflow-addons on the output of a sigmoid, for example.
    `WeightedContrastiveLoss` refuses such an output; `load_legacy_model` keeps the network as it was.
    """

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        return Loss.__call__(self, y_true, y_pred, sample_weight)
