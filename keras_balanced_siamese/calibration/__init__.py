"""Threshold and slope of a verifier, from distances and truth."""

from keras_balanced_siamese.calibration._calibrate import calibrate as calibrate
