"""Weights of Keras 2 for a network in code."""

import keras
import numpy as np
import pytest
from old_models import FOLDER, inputs_and_outputs, opened, predictions

import keras_balanced_siamese as kbs

BOTH = (".h5", ".keras")
MODELS = ("attention", "stacked_cells", "frozen_base", "two_levels", "sequential_built", "flat_shared_layers")


@pytest.mark.parametrize("suffix", BOTH)
@pytest.mark.parametrize("name", MODELS)
def test_a_network_in_code_gets_the_weights(name, suffix):
    model = opened(name + suffix, compile=False)
    inputs, outputs = inputs_and_outputs(name)
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    found = kbs.load_legacy_weights(model, FOLDER / (name + suffix))
    assert found
    assert all(text.endswith("weights set") for text in found.values())
    np.testing.assert_allclose(predictions(model, inputs)[0], outputs[0], rtol=1e-5, atol=1e-6)


def other_network():
    x = keras.Input((6, 6, 1))
    inner = keras.Input((6, 6, 1))
    h = keras.layers.Flatten()(keras.layers.Conv2D(3, 3, name="conv2d")(inner))
    tower = keras.Model(inner, keras.layers.Dense(5, name="dense")(h), name="tower")
    return keras.Model(x, tower(x))


@pytest.mark.parametrize("suffix", BOTH)
def test_what_does_not_fit_is_named_and_nothing_is_set(suffix):
    model = other_network()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"layers do not fit.*skip_mismatch=True"):
        kbs.load_legacy_weights(model, FOLDER / f"operations_manhattan{suffix}")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_that_fit_are_set_on_request():
    model = other_network()
    found = kbs.load_legacy_weights(model, FOLDER / "operations_manhattan.keras", skip_mismatch=True)
    assert found["tower/conv2d"] == "2 weights set"
    assert "must have the shape" in found["tower/dense"]
    expected = opened("operations_manhattan.keras").get_layer("tower").get_layer("conv2d").get_weights()
    np.testing.assert_array_equal(model.get_layer("tower").get_layer("conv2d").get_weights()[0], expected[0])


def test_weights_without_a_model_are_for_a_network_in_code(tmp_path):
    source = opened("plain_class.h5", compile=False)
    source.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(ValueError, match=r"weights without the layers.*load_legacy_weights"):
        kbs.load_legacy_model(tmp_path / "only.weights.h5")
    network = keras.models.clone_model(source)
    kbs.load_legacy_weights(network, tmp_path / "only.weights.h5")
    for one, other in zip(source.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
