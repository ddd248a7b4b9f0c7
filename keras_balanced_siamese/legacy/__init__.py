"""Models that Keras 2 saved, read as data and built again."""

from keras_balanced_siamese.legacy.addons_objects import addons_custom_objects as addons_custom_objects
from keras_balanced_siamese.legacy.load import Report as Report
from keras_balanced_siamese.legacy.load import load_legacy_model as load_legacy_model
from keras_balanced_siamese.legacy.load import load_with_report as load_with_report
from keras_balanced_siamese.legacy.original import original_of as original_of
from keras_balanced_siamese.legacy.weights import load_legacy_weights as load_legacy_weights
