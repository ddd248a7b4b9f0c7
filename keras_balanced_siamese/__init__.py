"""Siamese networks that learn rare classes: drop-in parts for `model.compile` and `model.fit` of Keras."""

from keras_balanced_siamese._custom_objects import custom_objects as custom_objects
from keras_balanced_siamese.callbacks import AdaptiveClassWeight as AdaptiveClassWeight
from keras_balanced_siamese.class_weights import class_weights as class_weights
from keras_balanced_siamese.class_weights import sample_weights as sample_weights
from keras_balanced_siamese.evaluation import PairReport as PairReport
from keras_balanced_siamese.evaluation import evaluate_pairs as evaluate_pairs
from keras_balanced_siamese.layers import DistanceToProbability as DistanceToProbability
from keras_balanced_siamese.layers import EuclideanDistance as EuclideanDistance
from keras_balanced_siamese.losses import WeightedBinaryCrossentropy as WeightedBinaryCrossentropy
from keras_balanced_siamese.losses import WeightedContrastiveLoss as WeightedContrastiveLoss
from keras_balanced_siamese.pairs import BalancedPairSequence as BalancedPairSequence
from keras_balanced_siamese.siamese import siamese_model as siamese_model

__version__ = "0.1.0"
