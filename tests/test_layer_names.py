"""Names by which the parts of a siamese model are found."""

import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
SIDES = X, X[::-1].copy()
KERAS_3 = hasattr(keras, "StatelessScope")
pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")


@keras.saving.register_keras_serializable("tests")
class OwnEncoder2D(keras.Model):
    pass


def sequential(**kwargs):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], **kwargs)


def functional(cls=keras.Model, **kwargs):
    inputs = keras.Input((4,))
    return cls(inputs, keras.layers.Dense(3)(inputs), **kwargs)


UNNAMED = {
    "sequential": sequential,
    "functional": functional,
    "subclass": lambda: functional(OwnEncoder2D),
    "name of Keras 2": lambda: functional(name="model_3"),
}
if KERAS_3:
    UNNAMED["chunked"] = lambda: kbs.ChunkedEncoder(sequential(), 2)


@pytest.mark.parametrize("one_pass", [False, True])
@pytest.mark.parametrize("kind", UNNAMED)
def test_an_unnamed_encoder_is_found_before_and_after_saving(kind, one_pass, tmp_path):
    for _ in range(2):  # the second one gets a number from Keras
        encoder = UNNAMED[kind]()
    model = kbs.siamese_model(encoder, one_pass=one_pass)
    assert model.get_layer("encoder") is encoder
    model.save(path := tmp_path / "model.keras")
    found = keras.models.load_model(path, custom_objects=kbs.custom_objects()).get_layer("encoder")
    np.testing.assert_allclose(found.predict(X, verbose=0), encoder.predict(X, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("build", [sequential, functional])
@pytest.mark.parametrize("name", ["backbone", "sequential_of_mine", "encoder_7"])
def test_a_name_of_the_user_stays(build, name):
    encoder = build(name=name)
    model = kbs.siamese_model(encoder, kbs.CosineDistance(name="apart"), probability=True)
    assert encoder.name == name
    assert model.get_layer(name) is encoder
    assert [layer.name for layer in model.layers[-2:]] == ["apart", "probability"]


@pytest.mark.parametrize(
    "build", [kbs.EuclideanDistance, kbs.CosineDistance, kbs.ManhattanDistance, lambda: keras.layers.Dot(axes=1)]
)
def test_every_distance_is_found(build):
    distance, probability = build(), kbs.DistanceToProbability()
    model = kbs.siamese_model(sequential(), distance, probability=probability)
    assert model.get_layer("distance") is distance
    assert model.get_layer("probability") is probability
    assert type(kbs.siamese_model(sequential()).get_layer("distance")) is kbs.EuclideanDistance


def test_a_distance_that_is_no_layer():
    model = kbs.siamese_model(sequential(), lambda sides: sides[0] - sides[1])
    assert model.get_layer("encoder") is not None


def test_two_models_of_one_encoder():
    encoder = sequential()
    near, far = kbs.siamese_model(encoder), kbs.siamese_model(encoder, kbs.ManhattanDistance())
    assert near.get_layer("encoder") is far.get_layer("encoder") is encoder


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_two_models_in_a_larger_one(ending, tmp_path):
    near = kbs.siamese_model(sequential(), name="near")
    far = kbs.siamese_model(sequential(), kbs.ManhattanDistance(), name="far")
    left, right = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    both = keras.Model((left, right), keras.layers.Add()([near((left, right)), far((left, right))]))
    expected = near.predict(SIDES, verbose=0) + far.predict(SIDES, verbose=0)
    both.save(path := tmp_path / f"both.{ending}")
    opened = keras.models.load_model(path, custom_objects=kbs.custom_objects())
    np.testing.assert_allclose(opened.predict(SIDES, verbose=0), expected, rtol=1e-5)
    for name, model in (("near", near), ("far", far)):
        found = opened.get_layer(name).get_layer("encoder").get_weights()
        np.testing.assert_array_equal(found[0], model.get_layer("encoder").get_weights()[0])


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("build", [sequential, functional])
def test_a_model_that_uses_the_encoder_already_is_saved_and_opened_as_before(build, ending, tmp_path):
    encoder = build()
    classifier = keras.Sequential([keras.Input((4,)), encoder, keras.layers.Dense(2, activation="softmax")])
    classifier.compile("adam", "sparse_categorical_crossentropy")
    classifier.fit(X, np.arange(6) % 2, verbose=0)
    expected = classifier.predict(X, verbose=0)
    classifier.save_weights(weights := tmp_path / "classifier.weights.h5")
    model = kbs.siamese_model(encoder)
    assert (encoder.name == "encoder") == KERAS_3
    classifier.load_weights(weights)
    np.testing.assert_allclose(classifier.predict(X, verbose=0), expected, rtol=1e-6)
    for one, data in ((classifier, X), (model, SIDES)):
        one.save(path := tmp_path / f"model.{ending}")
        opened = keras.models.load_model(path, custom_objects=kbs.custom_objects(), compile=False)
        np.testing.assert_allclose(opened.predict(data, verbose=0), one.predict(data, verbose=0), rtol=1e-5)
    classifier.fit(X, np.arange(6) % 2, verbose=0)


def test_weights_saved_before_the_encoder_got_its_name(tmp_path):
    encoder = functional()
    before = encoder.predict(X, verbose=0)
    encoder.save_weights(path := tmp_path / "encoder.weights.h5")
    kbs.siamese_model(encoder)
    encoder.set_weights([0 * weight for weight in encoder.get_weights()])
    encoder.load_weights(path)
    np.testing.assert_allclose(encoder.predict(X, verbose=0), before, rtol=1e-6)
