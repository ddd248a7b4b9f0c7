"""Siamese models: inputs, encoders, and the encoder called once or twice."""

import math

import keras
import numpy as np
import pytest
from toy import WAYS_TO_COMPILE, linear_encoder

import keras_balanced_siamese as kbs

both_forms = pytest.mark.parametrize("one_pass", [False, True])


@both_forms
def test_both_sides_share_the_encoder(one_pass):
    encoder = linear_encoder()
    model = kbs.siamese_model(encoder, one_pass=one_pass)
    a, b = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    embedded = [encoder.predict(one, verbose=0) for one in (a, b)]
    expected = np.linalg.norm(embedded[0] - embedded[1], axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict((a, b), verbose=0), expected, rtol=1e-5)
    assert model.count_params() == encoder.count_params()
    assert model.get_layer("encoder") is encoder


@both_forms
@pytest.mark.parametrize("wrap", [tuple, list, lambda sides: dict(zip(("left", "right"), sides, strict=True))])
def test_inputs_as_tuple_list_or_dict(wrap, one_pass):
    model = kbs.siamese_model(linear_encoder(), one_pass=one_pass)
    a, b = np.ones((2, 4)), np.zeros((2, 4))
    expected = model.predict((a, b), verbose=0)
    np.testing.assert_allclose(model.predict(wrap((a, b)), verbose=0), expected)


def test_probability_output_falls_with_the_distance():
    encoder = linear_encoder()
    a, b = np.random.default_rng(0).normal(size=(2, 9, 4)).astype("float32")
    distance = kbs.siamese_model(encoder).predict((a, b), verbose=0).ravel()
    probability = kbs.siamese_model(encoder, probability=True).predict((a, b), verbose=0).ravel()
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(distance - 1)), rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "warns"),
    [
        (kbs.WeightedSupervisedContrastiveLoss, True),
        (lambda: kbs.WeightedTripletLoss(distance="cosine"), True),
        (kbs.WeightedTripletLoss, False),
    ],
)
def test_an_encoder_trained_on_cosines_is_not_compared_otherwise_without_a_warning(loss, warns, recwarn):
    encoder = linear_encoder()
    encoder.compile("sgd", loss())
    kbs.siamese_model(encoder, kbs.CosineDistance())
    kbs.siamese_model(encoder, kbs.EuclideanDistance())
    before = [str(one.message) for one in recwarn]
    kbs.siamese_model(encoder)
    found = ["pass `CosineDistance()`" in str(one.message) for one in recwarn]
    assert sum(found) == warns
    assert not any("CosineDistance" in one for one in before)


def test_own_distance():
    model = kbs.siamese_model(linear_encoder(), keras.layers.Dot(axes=1))
    a = np.ones((1, 4))
    assert model.predict((a, a), verbose=0).shape == (1, 1)


@both_forms
def test_integer_images_go_in_as_they_are(one_pass):
    encoder = keras.Sequential(
        [keras.Input((6, 6, 1), dtype="uint8"), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    )
    model = kbs.siamese_model(encoder, one_pass=one_pass)
    white, black = np.full((1, 6, 6, 1), 255, "uint8"), np.zeros((1, 6, 6, 1), "uint8")
    np.testing.assert_allclose(model.predict((white, black), verbose=0), [[6.0]], rtol=1e-6)


def two_inputs(kind):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    embedding = keras.layers.Dense(2)(keras.layers.Concatenate()([a, b]))
    return keras.Model({"tuple": (a, b), "dict": {"a": a, "b": b}}[kind], embedding)


@both_forms
@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_encoders_with_several_inputs_train(kind, one_pass):
    rng = np.random.default_rng(0)
    a, b, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), np.arange(20) % 3
    x = {"tuple": (a, b), "dict": {"a": a, "b": b}}[kind]
    model = kbs.siamese_model(two_inputs(kind), one_pass=one_pass)
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    history = model.fit(kbs.BalancedPairSequence(x, y, batch_size=5, seed=0), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@both_forms
def test_an_encoder_with_its_one_input_in_a_list(one_pass):
    inputs = keras.Input((3,))
    model = kbs.siamese_model(keras.Model([inputs], keras.layers.Dense(2)(inputs)), one_pass=one_pass)
    assert [one.name for one in model.inputs] == ["left", "right"]


@both_forms
def test_bad_encoders(one_pass):
    with pytest.raises(TypeError, match="Wrap a single layer"):
        kbs.siamese_model(keras.layers.Dense(2), one_pass=one_pass)
    with pytest.raises(ValueError, match=r"keras\.Input"):
        kbs.siamese_model(keras.Sequential([keras.layers.Dense(2)]), one_pass=one_pass)
    image = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"GlobalAveragePooling2D.*\(None, 4, 4, 2\)"):
        kbs.siamese_model(image, one_pass=one_pass)
    inputs = keras.Input((3,))
    two = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match=r"one embedding per item.*Choose one of its outputs.*2 outputs"):
        kbs.siamese_model(two, one_pass=one_pass)
    kbs.siamese_model(keras.Model(two.inputs, two.outputs[0]), one_pass=one_pass)  # the cure
    named = keras.Model(inputs, {"a": keras.layers.Dense(2)(inputs), "b": keras.layers.Dense(2)(inputs)})
    with pytest.raises(ValueError, match="one embedding per item"):
        kbs.siamese_model(named, one_pass=one_pass)


@both_forms
def test_an_encoder_with_its_one_output_in_a_list(one_pass):
    inputs = keras.Input((3,))
    model = kbs.siamese_model(keras.Model(inputs, [keras.layers.Dense(2)(inputs)]), one_pass=one_pass)
    assert tuple(model.output.shape) == (None, 1)


@both_forms
def test_embeddings_of_unknown_size(one_pass):
    pixels = keras.Input((None, 2))
    model = kbs.siamese_model(keras.Model(pixels, keras.layers.Flatten()(pixels)), one_pass=one_pass)
    left, right = np.ones((3, 5, 2), "float32"), np.zeros((3, 5, 2), "float32")
    np.testing.assert_allclose(model.predict((left, right), verbose=0), [[math.sqrt(10)]] * 3, rtol=1e-6)


def two_and_one(encoder):
    return [kbs.siamese_model(encoder, one_pass=one_pass) for one_pass in (False, True)]


@pytest.mark.parametrize("how", [{}, *WAYS_TO_COMPILE], ids=str)
def test_both_forms_learn_the_same(how, x, y):
    def learned(one_pass):
        encoder = linear_encoder()
        model = kbs.siamese_model(encoder, probability=True, one_pass=one_pass)
        model.compile(keras.optimizers.SGD(0.05), kbs.WeightedBinaryCrossentropy(), **how)
        model.fit(kbs.BalancedPairSequence(x, y, batch_size=8, steps_per_epoch=4, seed=0), shuffle=False, verbose=0)
        return encoder.get_weights()[0]

    start = linear_encoder().get_weights()[0]
    two, one = learned(False), learned(True)
    assert np.abs(two - start).max() > 1e-3
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_left_and_right_keep_their_sides_and_their_order():
    flat = keras.Sequential([keras.Input((2,)), keras.layers.Identity()], name="encoder")
    model = kbs.siamese_model(flat, lambda sides: sides[0] - 10.0 * sides[1], one_pass=True)
    left, right = np.arange(10.0).reshape(5, 2), np.arange(100.0, 110.0).reshape(5, 2)
    np.testing.assert_allclose(model.predict((left, right), verbose=0), left - 10 * right)


@pytest.mark.parametrize("batch", [1, 3])
def test_items_of_any_size(batch):
    pixels = keras.Input((None, None, 1), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    encoder = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(scaled)))
    two, one = two_and_one(encoder)
    sides = tuple(np.random.default_rng(0).integers(0, 255, (2, batch, 7, 5, 1)).astype("uint8"))
    distance = one.predict(sides, verbose=0)
    assert distance.shape == (batch, 1)
    np.testing.assert_allclose(distance, two.predict(sides, verbose=0), rtol=1e-4, atol=1e-6)


def test_tokens_with_a_mask():
    tokens = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    two, one = two_and_one(keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(embedded)))
    sides = np.array([[1, 2, 0, 0], [3, 3, 3, 0]], "int32"), np.array([[4, 0, 0, 0], [5, 6, 7, 8]], "int32")
    np.testing.assert_allclose(one.predict(sides, verbose=0), two.predict(sides, verbose=0), rtol=1e-5)


def test_float32_inputs_keep_their_digits_under_a_mixed_policy():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        encoder = keras.Sequential([keras.Input((2,)), keras.layers.Identity(dtype="float32")])
        model = kbs.siamese_model(encoder, one_pass=True)
        points = np.array([[1000.0, 0.0]], "float32"), np.array([[1000.1, 0.0]], "float32")
        distance = model.predict(points, verbose=0).astype("float32")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(distance, [[0.1]], rtol=1e-2)


def batch_normalizing(momentum=0.5):
    body = [keras.layers.BatchNormalization(momentum=momentum), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((3,)), *body], name="encoder")


def test_batch_normalization_is_updated_once_with_both_sides():
    left, right = np.full((4, 3), 2.0, "float32"), np.full((4, 3), 6.0, "float32")

    def moving_mean(one_pass):
        encoder = batch_normalizing()
        model = kbs.siamese_model(encoder, one_pass=one_pass)
        model.compile("sgd", kbs.WeightedContrastiveLoss())
        model.train_on_batch((left, right), np.ones((4, 1)))
        return encoder.layers[0].get_weights()[2]

    np.testing.assert_allclose(moving_mean(True), [2.0] * 3, rtol=1e-5)  # 0 / 2 + 4 / 2
    np.testing.assert_allclose(moving_mean(False), [3.5] * 3, rtol=1e-5)  # (0 / 2 + 2 / 2) / 2 + 6 / 2


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("encoder", [batch_normalizing, lambda: two_inputs("dict")], ids=["one", "several"])
def test_one_pass_models_are_saved_and_mined(encoder, ending, tmp_path):
    model = kbs.siamese_model(encoder(), one_pass=True)
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    x, y = np.random.default_rng(0).normal(size=(20, 3)).astype("float32"), np.arange(20) % 4
    x = {"a": x, "b": x[:, :2]} if isinstance(model.input[0], dict) else x
    pairs = kbs.BalancedPairSequence(x, y, batch_size=5, seed=0)
    mining = kbs.HardPairMining(pairs, warmup_epochs=0, ramp_epochs=1)
    history = model.fit(pairs, verbose=0, callbacks=[mining]).history
    assert mining.encoder_ is model.get_layer(mining.encoder_.name)
    assert history["mining/fraction"][0] > 0
    path = tmp_path / f"model.{ending}"
    model.save(path)
    opened = keras.models.load_model(path, custom_objects=kbs.custom_objects())
    (sides, *_) = pairs[0]
    np.testing.assert_allclose(opened.predict(sides, verbose=0), model.predict(sides, verbose=0), rtol=1e-6)


def test_bad_arguments():
    for bad in ({"distance": kbs.EuclideanDistance}, {"distance": "cosine"}):
        with pytest.raises(TypeError, match="must be a layer that takes"):
            kbs.siamese_model(linear_encoder(), **bad)
    calibrated = kbs.calibrate([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0])
    with pytest.raises(TypeError, match=r"takes the distance: `siamese_model\(encoder, probability=layer\)`"):
        kbs.siamese_model(linear_encoder(), calibrated)
    kbs.siamese_model(linear_encoder(), probability=calibrated)  # the cure
    with pytest.raises(ValueError, match=r"one tensor with a distance for each pair.*Received"):
        kbs.siamese_model(linear_encoder(), keras.layers.Activation("sigmoid"))  # of both sides
    with pytest.raises(TypeError, match="must be a layer instance"):
        kbs.siamese_model(linear_encoder(), probability=kbs.DistanceToProbability)
    for name in ("probability", "one_pass"):
        with pytest.raises(TypeError, match="True or False"):
            kbs.siamese_model(linear_encoder(), **{name: "no"})
