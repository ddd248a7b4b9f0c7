"""Losses whose class weights stay live during training, one idea a file."""

from keras_balanced_siamese.losses.batch_contrastive import WeightedBatchContrastiveLoss as WeightedBatchContrastiveLoss
from keras_balanced_siamese.losses.contrastive import WeightedContrastiveLoss as WeightedContrastiveLoss
from keras_balanced_siamese.losses.crossentropy import WeightedBinaryCrossentropy as WeightedBinaryCrossentropy
from keras_balanced_siamese.losses.multi_similarity import WeightedMultiSimilarityLoss as WeightedMultiSimilarityLoss
from keras_balanced_siamese.losses.supervised_contrastive import (
    WeightedSupervisedContrastiveLoss as WeightedSupervisedContrastiveLoss,
)
from keras_balanced_siamese.losses.triplet import WeightedTripletLoss as WeightedTripletLoss
