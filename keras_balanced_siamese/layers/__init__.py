"""Layers between two embeddings and the loss: their distance, and the probability that it stands for."""

from keras_balanced_siamese.layers.cosine import CosineDistance as CosineDistance
from keras_balanced_siamese.layers.euclidean import EuclideanDistance as EuclideanDistance
from keras_balanced_siamese.layers.manhattan import ManhattanDistance as ManhattanDistance
from keras_balanced_siamese.layers.probability import DistanceToProbability as DistanceToProbability
