"""The callback that adapts class weights, and its rule."""

from keras_balanced_siamese.callbacks.adaptive._callback import AdaptiveClassWeight as AdaptiveClassWeight
