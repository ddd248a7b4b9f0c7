import keras
import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES

import keras_balanced_siamese as kbs
from keras_balanced_siamese.gallery import Gallery


def test_the_threshold_of_a_layer():
    layer = kbs.DistanceToProbability(slope=2.0, threshold=0.7)
    layer.build((None, 1))
    assert Gallery(ITEMS, NAMES, threshold=layer).threshold == pytest.approx(0.7)
    layer.set_weights([np.float32(2.0), np.float32(1.5)])
    assert Gallery(ITEMS, NAMES, threshold=layer).threshold == pytest.approx(1.5)
    assert Gallery(ITEMS, NAMES).identify([[10.0, 1.4]], threshold=layer).known.tolist() == [True]


def test_a_layer_can_be_assigned_as_the_threshold(tmp_path):
    gallery = Gallery(ITEMS, NAMES)
    gallery.threshold = kbs.DistanceToProbability(slope=2.0, threshold=1.5)
    assert gallery.threshold == 1.5
    assert gallery.identify([[10.0, 1.4]]).known.tolist() == [True]
    gallery.save(tmp_path / "g.npz")
    assert Gallery.load(tmp_path / "g.npz").threshold == 1.5


def test_tensors_of_the_backend_are_embeddings():
    items = keras.layers.Lambda(lambda x: x)(np.array(ITEMS, np.float32))
    assert Gallery(items, NAMES).search(items, k=1).indices[:, 0].tolist() == [0, 1, 2, 3]
