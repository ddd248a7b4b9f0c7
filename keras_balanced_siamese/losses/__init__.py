"""Losses whose class weights stay live during training, one idea a file."""

from keras_balanced_siamese.losses.contrastive import WeightedContrastiveLoss as WeightedContrastiveLoss
from keras_balanced_siamese.losses.cosine import WeightedCosineLoss as WeightedCosineLoss
from keras_balanced_siamese.losses.crossentropy import WeightedBinaryCrossentropy as WeightedBinaryCrossentropy
