import keras
import numpy as np
import pytest
from toy import linear_encoder

import keras_balanced_siamese as kbs


def test_both_sides_share_the_encoder():
    encoder = linear_encoder()
    model = kbs.siamese_model(encoder)
    a, b = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    embedded = [encoder.predict(one, verbose=0) for one in (a, b)]
    expected = np.linalg.norm(embedded[0] - embedded[1], axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict((a, b), verbose=0), expected, rtol=1e-5)
    assert model.count_params() == encoder.count_params()
    assert model.get_layer("encoder") is encoder


@pytest.mark.parametrize("wrap", [tuple, list, lambda sides: dict(zip(("left", "right"), sides, strict=True))])
def test_inputs_as_tuple_list_or_dict(wrap):
    model = kbs.siamese_model(linear_encoder())
    a, b = np.ones((2, 4)), np.zeros((2, 4))
    expected = model.predict((a, b), verbose=0)
    np.testing.assert_allclose(model.predict(wrap((a, b)), verbose=0), expected)


def test_probability_output_falls_with_the_distance():
    encoder = linear_encoder()
    a, b = np.random.default_rng(0).normal(size=(2, 9, 4)).astype("float32")
    distance = kbs.siamese_model(encoder).predict((a, b), verbose=0).ravel()
    probability = kbs.siamese_model(encoder, probability=True).predict((a, b), verbose=0).ravel()
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(distance - 1)), rtol=1e-5)


def test_own_distance():
    model = kbs.siamese_model(linear_encoder(), keras.layers.Dot(axes=1))
    a = np.ones((1, 4))
    assert model.predict((a, a), verbose=0).shape == (1, 1)


def test_integer_images_go_in_as_they_are():
    encoder = keras.Sequential(
        [keras.Input((6, 6, 1), dtype="uint8"), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    )
    model = kbs.siamese_model(encoder)
    white, black = np.full((1, 6, 6, 1), 255, "uint8"), np.zeros((1, 6, 6, 1), "uint8")
    np.testing.assert_allclose(model.predict((white, black), verbose=0), [[6.0]], rtol=1e-6)


def two_inputs(kind):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    embedding = keras.layers.Dense(2)(keras.layers.Concatenate()([a, b]))
    return keras.Model({"tuple": (a, b), "dict": {"a": a, "b": b}}[kind], embedding)


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_encoders_with_several_inputs_train(kind):
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), np.arange(20) % 3
    x = {"tuple": (a, b), "dict": {"a": a, "b": b}}[kind]
    model = kbs.siamese_model(two_inputs(kind))
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    history = model.fit(kbs.BalancedPairSequence(x, y, batch_size=5, seed=0), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_an_encoder_with_its_one_input_in_a_list():
    inputs = keras.Input((3,))
    model = kbs.siamese_model(keras.Model([inputs], keras.layers.Dense(2)(inputs)))
    assert [one.name for one in model.inputs] == ["left", "right"]


def test_bad_encoders():
    with pytest.raises(TypeError, match="one layer becomes a model"):
        kbs.siamese_model(keras.layers.Dense(2))
    with pytest.raises(ValueError, match=r"keras\.Input"):
        kbs.siamese_model(keras.Sequential([keras.layers.Dense(2)]))
    image = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"GlobalAveragePooling2D.*\(None, 4, 4, 2\)"):
        kbs.siamese_model(image)
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match="one embedding per item"):
        kbs.siamese_model(keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)]))
