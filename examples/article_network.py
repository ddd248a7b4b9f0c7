"""The network of the article that this package began with, corrected so that it runs and learns.

    python examples/article_network.py             # 64 x 64 pixels, under a minute
    python examples/article_network.py --size 224  # the article's size

The article shares one VGG-like tower between two images and trains it on the distance of their embeddings. As printed,
its code does not run; the comments "Article:" say what was wrong, a line each. The images here are coloured shapes
drawn with NumPy, some classes with many images and some with few.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

SHAPES = ("disc", "ring", "square", "cross")
TRAINING_IMAGES = (160, 60, 24, 8)  # of each shape
SHARED = (0.25, 0.5, 0.25)  # share of the tower's filters in the reduced network


def main() -> None:
    """Train on imbalanced shapes and print how far held-out pairs are apart, before and after."""
    options = read_options()
    keras.utils.set_random_seed(0)
