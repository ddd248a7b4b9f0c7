"""Parts of old models that Keras 3 has under the same name with other values."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from old_models import FOLDER

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import exact_interpolations
from keras_balanced_siamese.addons import describe
from keras_balanced_siamese.legacy._compile import Reader
from keras_balanced_siamese.legacy._graph import build_model
from keras_balanced_siamese.legacy._objects import Objects, has_masks
from keras_balanced_siamese.legacy.load import load_with_report

keras3 = pytest.mark.skipif(not hasattr(keras, "ops"), reason="Keras 2 has its own values")
VALUES = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")


def layer(class_name, *, module="keras.layers", registered_name=None, **config):
    return {
        "class_name": class_name,
        "module": module,
        "registered_name": registered_name,
        "config": {"name": "one", **config},
    }


def built(one, shape):
    """The model of one layer."""
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, *shape], "name": "x"}}
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [first, one]}}
    return build_model(config, Objects({}, {})).layer


def output(one, values):
    return np.asarray(built(one, values.shape[1:]).predict(values, verbose=0))


def average(values, size, stride):
    """The average of the values in each window that is centred as in TensorFlow, for one axis after another."""
    for axis in (1, 2):
        n = values.shape[axis]
        count = -(-n // stride)
        before = max((count - 1) * stride + size - n, 0) // 2
        parts = [
            np.take(values, range(max(k * stride - before, 0), min(k * stride - before + size, n)), axis).mean(axis)
            for k in range(count)
        ]
        values = np.stack(parts, axis)
    return values


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2), (3, 1), (2, 3)])
def test_average_pooling_leaves_the_padding_out(size, stride):
    one = layer("AveragePooling2D", pool_size=[size, size], strides=[stride, stride], padding="same")
    np.testing.assert_allclose(output(one, VALUES), average(VALUES, size, stride), rtol=1e-5, atol=1e-6)


@keras3
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_average_pooling_of_old_models_is_that_of_any_backend(data_format, tmp_path):
    from keras_balanced_siamese.legacy.pooling import LegacyAveragePooling

    first = data_format == "channels_first"
    values = np.moveaxis(VALUES, -1, 1) if first else VALUES
    x = keras.Input(values.shape[1:])
    model = keras.Model(x, LegacyAveragePooling((3, 3), (2, 2), data_format)(x))
    model.save(tmp_path / "new.keras")
    model = keras.models.load_model(tmp_path / "new.keras", custom_objects=kbs.custom_objects())
    found = model.predict(values, verbose=0)
    assert model.output_shape[1:] == found.shape[1:]
    found = np.moveaxis(found, 1, -1) if first else found
    np.testing.assert_allclose(found, average(VALUES, 3, 2), rtol=1e-5, atol=1e-6)


MERGED = {
    "Add": lambda a, b: a + b,
    "Average": lambda a, b: (a + b) / 2,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Multiply": np.multiply,
    "Subtract": np.subtract,
    "Concatenate": lambda a, b: np.concatenate([a, b], -1),
}


@pytest.mark.parametrize("kind", MERGED)
def test_merged_steps_count_if_they_count_in_all_inputs(kind):
    """The mean over the steps with a mask shows which steps count."""
    nodes = [[["a", 0, 0, {}]]], [[["b", 0, 0, {}]]]
    masking = [
        {"class_name": "Masking", "name": name, "config": {"name": name, "mask_value": 0.0}, "inbound_nodes": node}
        for name, node in zip(("ma", "mb"), nodes, strict=True)
    ]
    inputs = [
        {
            "class_name": "InputLayer",
            "name": name,
            "config": {"name": name, "batch_input_shape": [None, 4, 2]},
            "inbound_nodes": [],
        }
        for name in "ab"
    ]
    both = {"class_name": kind, "name": "concatenate", "config": {"name": "concatenate"}}
    both["inbound_nodes"] = [[["ma", 0, 0, {}], ["mb", 0, 0, {}]]]
    mean = {"class_name": "GlobalAveragePooling1D", "name": "mean", "config": {"name": "mean"}}
    mean["inbound_nodes"] = [[["concatenate", 0, 0, {}]]]
    inner = {"name": "m", "layers": [*inputs, *masking, both, mean]}
    inner |= {"input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["mean", 0, 0]]}
    config = {"class_name": "Functional", "config": inner}
    model = build_model(config, Objects({}, {}, has_masks(config))).layer
    a, b = np.random.default_rng(1).uniform(1, 2, (2, 3, 4, 2)).astype("float32")
    a[:, 3], b[:, 2:] = 0, 0  # the first two steps count in both
    expected = MERGED[kind](a, b)[:, :2].mean(1)
    np.testing.assert_allclose(model.predict([a, b], verbose=0), expected, rtol=1e-5)


def test_a_model_without_masks_keeps_the_layers_of_keras():
    assert not has_masks({"config": {"mask_zero": False, "layers": [{"class_name": "Add", "mask": None}]}})
    assert type(Objects({}, {}).layer(layer("Add"))) is keras.layers.Add


@pytest.fixture
def without_addons(monkeypatch):
    """Nothing is registered by tensorflow-addons, which another test may have imported."""
    registered = keras.saving.get_custom_objects()
    for name in [name for name in registered if name.startswith("Addons>")]:
        monkeypatch.delitem(registered, name)


@pytest.mark.usefixtures("without_addons")
def test_the_gelu_of_tensorflow_addons_is_approximate():
    one = layer("Activation", activation="Addons>gelu")
    x = np.linspace(-3, 3, 7, dtype="float32")[None]
    expected = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(output(one, x), expected, atol=1e-6)


@pytest.mark.usefixtures("without_addons")
@pytest.mark.parametrize(
    "one",
    [
        layer("Dense", module=None, registered_name="Mine>Dense", units=3),
        layer("Dense", module="mine.layers", units=3),
        layer("Addons>GroupNormalization", module=None),
        layer("GroupNormalization", module="tensorflow_addons.layers", registered_name="Addons>GroupNormalization"),
    ],
    ids=str,
)
def test_a_class_of_others_with_the_name_of_one_of_keras_is_unknown(one):
    with pytest.raises(ValueError, match=r"class of the layer 'one' is unknown\. Pass custom_objects="):
        built(one, (4,))


def test_a_class_that_tensorflow_addons_registered_is_taken():
    addons = pytest.importorskip("tensorflow_addons", reason="runs in the addons lane")
    one = layer("Addons>GroupNormalization", module=None, groups=2)
    assert type(built(one, (4,)).layers[-1]) is addons.layers.GroupNormalization


@pytest.mark.usefixtures("without_addons")
@pytest.mark.parametrize("name", ["Addons>sparsemax", "Mine>relu"])
def test_a_function_of_others_with_the_name_of_one_of_keras_is_unknown(name):
    with pytest.raises(ValueError, match=r"An activation is unknown\. Pass custom_objects="):
        built(layer("Dense", units=3, activation=name), (4,))


@pytest.mark.parametrize("name", ["kullback_leibler_divergence", "logcosh", "mse"])
def test_names_of_losses_that_keras_3_has_changed(name):
    reader = Reader(Objects({}, {}), returns_distance=False)
    y, p = np.array([[0.2, 0.8]], "float32"), np.array([[0.5, 0.5]], "float32")
    formula = {
        "kullback_leibler_divergence": np.sum(y * np.log(y / p)),
        "logcosh": np.mean(np.log(np.cosh(p - y))),
        "mse": np.mean((p - y) ** 2),
    }
    found = keras.losses.get(reader.loss(name))(y, p)
    np.testing.assert_allclose(np.ravel(found), formula[name], rtol=1e-5)


@keras3
def test_layers_with_other_values_are_refused():
    with pytest.raises(ValueError, match=r"'one' has other values in this Keras.*Received: RandomCrop"):
        built(layer("RandomCrop", height=2, width=2), (4, 4, 1))


@pytest.mark.parametrize("interpolation", ["area", "bicubic", "bilinear", "nearest"])
def test_interpolations_of_other_values_are_refused(interpolation):
    one = layer("UpSampling2D", size=[2, 2], interpolation=interpolation)
    if interpolation in exact_interpolations:
        assert built(one, (4, 4, 1)).output_shape == (None, 8, 8, 1)
    else:
        with pytest.raises(ValueError, match=f"other values on this backend.*interpolation='{interpolation}'"):
            built(one, (4, 4, 1))


@pytest.mark.parametrize("class_name", ["StringLookup", "TextVectorization"])
def test_what_adapt_has_learned_outside_of_the_configuration_is_missed(class_name):
    with pytest.raises(ValueError, match="by `adapt`, which the file keeps outside"):
        built(layer(class_name), (1,))


@keras3
def test_training_in_predict_is_refused():
    with pytest.raises(ValueError, match=r"'one' is called with training=True"):
        called_with_training("BatchNormalization", True)
    called_with_training("BatchNormalization", False)


def called_with_training(class_name, training):
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x"}, "name": "x"}
    one = {**layer(class_name), "name": "one", "inbound_nodes": [[["x", 0, 0, {"training": training}]]]}
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["one", 0, 0]]}
    build_model({"class_name": "Functional", "config": {"name": "m", "layers": [first, one], **ends}}, Objects({}, {}))


def input_of(name, shape):
    return {"class_name": "InputLayer", "name": name, "config": {"name": name, "batch_input_shape": [None, *shape]}}


@pytest.mark.parametrize("class_name", ["LSTM", "Bidirectional"])
def test_a_layer_with_a_given_state_keeps_the_mask(class_name):
    """The result is that of the steps without the masked ones."""
    lstm = layer("LSTM", units=2)
    one = lstm if class_name == "LSTM" else layer(class_name, layer=lstm)
    states = [f"state_{k}" for k in range(2 if class_name == "LSTM" else 4)]
    mask = {"class_name": "Masking", "name": "mask", "config": {"name": "mask", "mask_value": 0.0}}
    mask["inbound_nodes"] = [[["x", 0, 0, {}]]]
    one = {**one, "name": "one", "inbound_nodes": [[[name, 0, 0, {}] for name in ["mask", *states]]]}
    layers = [input_of("x", [None, 3]), *(input_of(name, [2]) for name in states), mask, one]
    ends = {"input_layers": [[name, 0, 0] for name in ["x", *states]], "output_layers": [["one", 0, 0]]}
    model = build_model(
        {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}, Objects({}, {})
    ).layer
    rng = np.random.default_rng(2)
    x, *given = (rng.normal(size=shape).astype("float32") for shape in [(4, 5, 3), *[(4, 2)] * len(states)])
    x[:, 3:] = 0
    short = model.predict([x[:, :3], *given], verbose=0)
    np.testing.assert_allclose(model.predict([x, *given], verbose=0), short, atol=1e-6)


def test_a_normalization_uses_the_weights_of_the_file(tmp_path):
    mean, variance = np.array([[1.0, -2.0, 3.0]], "float32"), np.array([[4.0, 0.25, 9.0]], "float32")
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "x"}}
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [first, layer("Normalization", axis=[-1])]}}
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs.update(model_config=json.dumps(config), keras_version="2.15.0")
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"one"]
        own = weights.create_group("one")
        own.attrs["weight_names"] = [b"mean:0", b"variance:0", b"count:0"]
        own["mean:0"], own["variance:0"], own["count:0"] = mean[0], variance[0], np.int64(7)
    x = np.arange(6, dtype="float32").reshape(2, 3)
    model = kbs.load_legacy_model(tmp_path / "old.h5")
    np.testing.assert_allclose(model.predict(x, verbose=0), (x - mean) / np.sqrt(variance), rtol=1e-5)
    again = build_model(config, Objects({}, {})).layer
    kbs.load_legacy_weights(again, tmp_path / "old.h5")
    np.testing.assert_allclose(again.predict(x, verbose=0), (x - mean) / np.sqrt(variance), rtol=1e-5)


def frozen_tower(trainable):
    """A model that calls its tower with training=False, as fine-tuning with Keras 2 does."""
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "t"}}
    norm = {"class_name": "BatchNormalization", "config": {"name": "norm", "trainable": trainable}}
    tower = {"class_name": "Sequential", "name": "tower", "config": {"name": "tower", "layers": [first, norm]}}
    tower["inbound_nodes"] = [[["x", 0, 0, {"training": False}]]]
    x = {"class_name": "InputLayer", "name": "x", "config": {"batch_input_shape": [None, 4], "name": "x"}}
    inner = {"name": "m", "layers": [x, tower], "input_layers": [["x", 0, 0]], "output_layers": [["tower", 1, 0]]}
    return {"class_name": "Functional", "config": inner}


@keras3
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize("trainable", [True, False])
def test_a_call_with_training_false_is_named_where_fit_ignores_it(trainable):
    objects = Objects({}, {})
    model = build_model(frozen_tower(trainable), objects).layer
    assert objects.inferring == (["tower"] if trainable else [])
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(5 + VALUES[:, :4, 0, 0], np.zeros((2, 4)), verbose=0)
    assert np.array_equal(before[2], model.get_weights()[2]) != trainable


@keras3
def test_a_warning_says_what_to_do_before_fit(tmp_path):
    path = tmp_path / "old.h5"
    shutil.copy(FOLDER / "nested_batch_normalization.h5", path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        tower = next(one for one in config["config"]["layers"] if one["name"] == "tower")
        for node in tower["inbound_nodes"]:
            node[0][3]["training"] = False
        file.attrs["model_config"] = json.dumps(config)
    model, report = load_with_report(path, {"d": "euclidean"}, None, True)
    assert "training=False" in describe(model, report, ("", ""))
    with pytest.warns(UserWarning, match=r"'old.h5' .*training=False.*\['tower'\]\. .*set `trainable = False`"):
        kbs.load_legacy_model(path, lambda_map={"d": "euclidean"})
