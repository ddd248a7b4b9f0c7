"""Plot of class weights and errors over the epochs."""

from keras_balanced_siamese.plots.class_weights._figure import plot_class_weights as plot_class_weights
