"""The picture of adapted class weights."""

from keras_balanced_siamese.plots.class_weights._figure import plot_class_weights as plot_class_weights
