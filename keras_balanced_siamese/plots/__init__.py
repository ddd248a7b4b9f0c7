"""Plots of reports, embeddings, pairs and class weights. matplotlib is optional and imported only to draw."""

from keras_balanced_siamese.plots._det import plot_det as plot_det
from keras_balanced_siamese.plots._distances import plot_distances as plot_distances
from keras_balanced_siamese.plots._embeddings import plot_embeddings as plot_embeddings
from keras_balanced_siamese.plots._pairs import plot_pairs as plot_pairs
from keras_balanced_siamese.plots._per_class import plot_per_class as plot_per_class
from keras_balanced_siamese.plots._reliability import plot_reliability as plot_reliability
from keras_balanced_siamese.plots._report import plot_report as plot_report
from keras_balanced_siamese.plots._roc import plot_roc as plot_roc
from keras_balanced_siamese.plots._style import pyplot as pyplot
from keras_balanced_siamese.plots._worst_pairs import plot_worst_pairs as plot_worst_pairs
from keras_balanced_siamese.plots.class_weights._figure import plot_class_weights as plot_class_weights
