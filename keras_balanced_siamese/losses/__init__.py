"""Losses on pairs and on batches, with class weights that can change during training."""

from keras_balanced_siamese.losses._batch_loss import WeightedBatchLoss as WeightedBatchLoss
from keras_balanced_siamese.losses._weighted_loss import WeightedLoss as WeightedLoss
