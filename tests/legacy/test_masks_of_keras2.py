"""Masks of old models, which Keras 3 would keep, drop or make elsewhere."""

import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese.legacy._graph import build_model
from keras_balanced_siamese.legacy._objects import Objects, has_masks

VALUES = np.random.default_rng(0).uniform(1, 2, (2, 4, 3)).astype("float32")
VALUES[:, 2:] = 0  # masked steps


def layer(class_name, name, before=None, **config):
    nodes = [] if before is None else [[[before, 0, 0, {}]]]
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def network(*layers):
    """A model with the first of the layers as input and the last as output."""
    ends = {"input_layers": [[layers[0]["name"], 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    config = {"class_name": "Functional", "config": {"name": "m", "layers": list(layers), **ends}}
    return build_model(config, Objects({}, {}, has_masks(config))).layer


def masked(one):
    """The mean over the steps, after a mask and a layer; it shows whether the mask is still there."""
    return network(
        layer("InputLayer", "x", batch_input_shape=[None, 4, 3]),
        layer("Masking", "mask", "x", mask_value=0.0),
        one,
        layer("GlobalAveragePooling1D", "mean", one["name"]),
    )


def operation(function, **arguments):
    return {**layer("TFOpLambda", "one", function=function), "inbound_nodes": [["mask", 0, 0, arguments]]}


DROPPING = [
    layer("Reshape", "one", "mask", target_shape=[4, 3]),
    layer("Reshape", "one", "mask", target_shape=[-1, 3]),
    layer("Permute", "one", "mask", dims=[1, 2]),
    layer("Cropping1D", "one", "mask", cropping=[0, 0]),
    layer("Identity", "one", "mask"),
    layer("Rescaling", "one", "mask", scale=1.0, offset=0.0),
    layer("Normalization", "one", "mask", axis=[-1], mean=[0.0] * 3, variance=[1.0] * 3),
    operation("identity"),
    operation("reshape", shape=[-1, 4, 3]),
    operation("transpose", perm=[0, 1, 2]),
    operation("cast", dtype="float64"),
]
KEEPING = [
    layer("Activation", "one", "mask", activation="linear"),
    layer("Dropout", "one", "mask", rate=0.0),
    operation("cast", dtype="float32"),
]


def name_of(one):
    return one["config"].get("function", one["class_name"])


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")  # JAX warns that it has none
@pytest.mark.parametrize("one", DROPPING, ids=name_of)
def test_a_layer_that_drops_the_mask(one):
    np.testing.assert_allclose(masked(one).predict(VALUES, verbose=0), VALUES.mean(1), rtol=1e-5)


@pytest.mark.parametrize("one", KEEPING, ids=name_of)
def test_a_layer_that_keeps_the_mask(one):
    np.testing.assert_allclose(masked(one).predict(VALUES, verbose=0), VALUES[:, :2].mean(1), rtol=1e-5)


@pytest.mark.parametrize("one", [DROPPING[0], DROPPING[5], DROPPING[6]], ids=name_of)
def test_it_drops_the_mask_after_saving_too(one, tmp_path):
    masked(one).save(tmp_path / "new.keras")
    model = keras.models.load_model(tmp_path / "new.keras", custom_objects=kbs.custom_objects())
    np.testing.assert_allclose(model.predict(VALUES, verbose=0), VALUES.mean(1), rtol=1e-5)


def documents(steps, words, making, reading):
    """A network that reads the words of each sentence, then the sentences."""
    inside = layer("LSTM", "inside", units=3)
    if reading == "Bidirectional":
        inside = layer("Bidirectional", "both", layer=inside)
    first = layer("Embedding", "words", "x", input_dim=9, output_dim=3, mask_zero=True)
    if making == "TimeDistributed":
        first = layer("TimeDistributed", "words", "x", layer={**first, "inbound_nodes": []})
    return network(
        layer("InputLayer", "x", batch_input_shape=[None, steps, words]),
        first,
        layer("TimeDistributed", "sentences", "words", layer=inside),
        layer("LSTM", "document", "sentences", units=2),
    )


@pytest.mark.parametrize("reading", ["LSTM", "Bidirectional"])
@pytest.mark.parametrize("making", ["Embedding", "TimeDistributed"])
def test_a_layer_for_each_step_passes_masks_on(making, reading, tmp_path):
    """Words and sentences that are masked do not change the result."""
    words = np.zeros((2, 4, 5))
    words[:, :2, :3] = np.random.default_rng(1).integers(1, 9, (2, 2, 3))
    short, long = documents(2, 3, making, reading), documents(4, 5, making, reading)
    long.set_weights(short.get_weights())
    expected = short.predict(words[:, :2, :3], verbose=0)
    np.testing.assert_allclose(long.predict(words, verbose=0), expected, atol=1e-6)
    long.save(tmp_path / "new.keras")
    again = keras.models.load_model(tmp_path / "new.keras", custom_objects=kbs.custom_objects())
    np.testing.assert_allclose(again.predict(words, verbose=0), expected, atol=1e-6)
