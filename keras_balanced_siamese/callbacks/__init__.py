"""Callbacks for `model.fit`."""

from keras_balanced_siamese.callbacks._mining import HardPairMining as HardPairMining
from keras_balanced_siamese.callbacks._verification import VerificationReport as VerificationReport
from keras_balanced_siamese.callbacks.adaptive import AdaptiveClassWeight as AdaptiveClassWeight
