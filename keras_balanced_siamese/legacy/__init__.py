"""Models that Keras 2 saved, read as data and built again."""

from keras_balanced_siamese.legacy.load import load_legacy_model as load_legacy_model
