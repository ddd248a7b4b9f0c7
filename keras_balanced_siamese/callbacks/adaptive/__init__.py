"""The callback that adapts class weights, and the rule that it follows."""

from keras_balanced_siamese.callbacks.adaptive._callback import AdaptiveClassWeight as AdaptiveClassWeight
