"""Distances and truth -> threshold and slope of a verifier."""

from keras_balanced_siamese.calibration._calibrate import calibrate as calibrate
