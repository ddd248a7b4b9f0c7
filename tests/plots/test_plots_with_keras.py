"""Plots that take Keras objects: a layer as the threshold, a callback after training."""

import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
from plots.pictures import assert_fits, end_names, line_of


def test_worst_pairs_of_one_kind_with_a_layer_as_threshold():
    layer = kbs.DistanceToProbability(1.0, 0.5)
    figure = plots.plot_worst_pairs(np.zeros((2, 3, 3)), [[0, 1]], [np.inf], [0], threshold=layer)
    assert [ax.get_title() for ax in figure.axes] == ["inf"]
    assert_fits(figure)
    assert figure.subfigs[0].get_suptitle().endswith("there are none")


def test_counts_are_read_from_the_sequence_of_a_callback():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], [30, 12, 6])
    x = (rng.normal(size=(48, 4)) + 3 * np.repeat(np.eye(4)[:3], [30, 12, 6], axis=0)).astype("float32")
    model = kbs.siamese_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    model.compile("adam", kbs.WeightedContrastiveLoss())
    pairs = kbs.BalancedPairSequence(x, y, batch_size=16, steps_per_epoch=2, seed=0)
    adaptive = kbs.AdaptiveClassWeight(pairs, validation_data=(x, y))
    fitted = model.fit(pairs, epochs=3, verbose=0, callbacks=[adaptive])
    figure = plots.plot_class_weights(adaptive)
    assert end_names(figure.axes[0]) == (["c *  (6)"], ["a  (30)", "b  (12)"])
    weights = [record["weights"]["c"] for record in adaptive.history_]
    assert line_of(figure.axes[0], "c").get_ydata().tolist() == weights
    assert end_names(plots.plot_class_weights(adaptive.history_).axes[0])[0][0] in ("a", "b", "c")
    with pytest.raises(TypeError, match=r"the `History` from `fit` is not accepted. Received: history of type History"):
        plots.plot_class_weights(fitted)
