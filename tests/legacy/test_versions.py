"""Files of older versions of TensorFlow, and SavedModel directories, open as those of Keras 2.15 do."""

import shutil
from contextlib import nullcontext

import h5py
import keras
import numpy as np
import pytest
from old_models import CUSTOM, lambdas, predictions, recorded
from old_models import VERSIONS as FOLDER

import keras_balanced_siamese as kbs
from keras_balanced_siamese.legacy import weights
from keras_balanced_siamese.legacy._checkpoint import Variable
from keras_balanced_siamese.legacy._checkpoint import _below as weights_below
from keras_balanced_siamese.legacy._checksum import masked_checksum
from keras_balanced_siamese.legacy._source import Source

NAMES = sorted(
    str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*") if path.suffix in (".h5", ".keras") or path.is_dir()
)
INDEX_AND_DATA = ("variables/variables.index", "variables/variables.data-00000-of-00001")
SAVED_MODELS = [name for name in NAMES if (FOLDER / name).is_dir()]


def opened(path, **options):
    return kbs.load_legacy_model(path, lambda_map=lambdas(path.name), custom_objects=CUSTOM, **options)


def assert_predicts_as_recorded(model, name, tolerance=1e-6):
    inputs, outputs = recorded((FOLDER / name).with_suffix(".npz"))
    for one, expected in zip(predictions(model, inputs), outputs, strict=True):
        np.testing.assert_allclose(one.reshape(expected.shape), expected, atol=tolerance * np.abs(expected).max())


def test_there_are_files_of_several_versions():
    assert len({name.split("/")[0] for name in NAMES}) >= 4
    assert len(SAVED_MODELS) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_a_file_predicts_as_recorded(name):
    model = opened(FOLDER / name)
    assert_predicts_as_recorded(model, name, 3e-3 if "mixed_precision" in name else 1e-6)
    first = model.loss[0] if isinstance(model.loss, list) else model.loss
    assert type(first).__module__.startswith("keras_balanced_siamese.")


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_the_loss_of_a_saved_model_is_that_of_this_package(name):
    loss = opened(FOLDER / name).loss
    expected = {"small": (kbs.WeightedContrastiveLoss, 1.5), "flat": (kbs.WeightedTripletLoss, 0.5)}
    assert (type(loss), loss.margin) == expected[name.split("/")[1]]


def without_metadata(name, folder):
    """A copy of a SavedModel as `tf.saved_model.save` writes it."""
    path = shutil.copytree(FOLDER / name, folder / "bare")
    (path / "keras_metadata.pb").unlink()
    return path


@pytest.mark.parametrize("name", ["2.15/small", "2.15/flat"])
def test_without_metadata_the_network_is_built_in_code(name, tmp_path):
    bare = without_metadata(name, tmp_path)
    with pytest.raises(ValueError, match=r"weights without the layers\. Build the network in code and call `load_leg"):
        kbs.load_legacy_model(bare)
    network = emptied(name)
    found = kbs.load_legacy_weights(network, bare)
    assert_predicts_as_recorded(network, name)
    assert sum(int(text.removesuffix(" weights set")) for text in found.values()) == len(network.weights)


@pytest.mark.parametrize("name", [one for one in NAMES if one in SAVED_MODELS or one.endswith(".keras")])
def test_weights_of_a_file_are_set_in_a_network(name):
    network = emptied(name)
    found = kbs.load_legacy_weights(network, FOLDER / name)
    assert_predicts_as_recorded(network, name)
    assert all(text.endswith("weights set") for text in found.values())


@pytest.mark.parametrize("twice", [False, True])
def test_a_file_of_weights_counts_layers_once_or_twice(twice, tmp_path):
    """Keras 2.12 and 2.13 number layers by 2, which must not put the weights of one layer into another."""
    x = keras.Input((2,))
    network = keras.Sequential([x, *(keras.layers.Dense(2, use_bias=False) for _ in range(3))])
    with h5py.File(tmp_path / "old.weights.h5", "w") as file:
        for k, one in enumerate(("", "_2", "_4") if twice else ("", "_1", "_2")):
            file[f"_layer_checkpoint_dependencies/dense{one}/vars/0"] = np.full((2, 2), k, "float32")
    kbs.load_legacy_weights(network, tmp_path / "old.weights.h5")
    assert [one.max() for one in network.get_weights()] == [0, 1, 2]


def emptied(name):
    network = opened(FOLDER / name, compile=False)
    for variable in network.weights:
        variable.assign(np.zeros(variable.shape))
    return network


def other_network():
    x = keras.Input((4,))
    h = keras.layers.Dense(4, name="hidden")(x)
    return keras.Model(x, keras.layers.Dense(4, name="last")(keras.layers.Dense(3, name="embedding")(h)))


class Stored:
    """The weights of a SavedModel: two towers with layers of one name, the second with other values."""

    variables = tuple(Variable(f"dense/{name}", f"{k}/{name}") for k in (0, 1) for name in ("kernel", "bias"))

    def array(self, key):
        return np.full((2, 2) if key.endswith("kernel") else 2, float(key[0]), "float32")


def towers_of(monkeypatch, *names, bare=False):
    """A network of two towers in this order, and `load_legacy_weights` of a file with "first" and "second"."""
    layers = [{"config": {"name": one, "layers": [{"config": {"name": "dense"}}]}} for one in ("first", "second")]
    config = None if bare else {"config": {"layers": layers}}
    source = Source("saved_model", config, None, "2.15", Stored(), None)
    monkeypatch.setattr(weights, "open_source", lambda path: nullcontext(source))
    inputs = [keras.Input((2,)) for _ in names]
    parts = [
        keras.Model(one, keras.layers.Dense(2, name="dense")(one), name=name)
        for one, name in zip([keras.Input((2,)) for _ in names], names, strict=True)
    ]
    outputs = [part(one) for part, one in zip(parts, inputs, strict=True)]
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_layers_of_one_name_in_two_towers_are_told_apart_by_the_towers(names, monkeypatch):
    network = towers_of(monkeypatch, *names)
    assert set(kbs.load_legacy_weights(network, "old")) == {"first/dense", "second/dense"}
    for k, name in enumerate(("first", "second")):
        assert [set(one.ravel()) for one in network.get_layer(name).get_weights()] == [{k}, {k}]


def test_layers_of_one_name_in_towers_of_other_names_are_refused(monkeypatch):
    network = towers_of(monkeypatch, "left", "right")
    with pytest.raises(ValueError, match=r"several layers of this name.*first/dense.*second/dense"):
        kbs.load_legacy_weights(network, "old")


def test_layers_of_one_name_are_in_order_without_metadata(monkeypatch):
    network = towers_of(monkeypatch, "left", "right", bare=True)
    with pytest.warns(UserWarning, match=r"one name: \['dense'\].*order") as caught:
        kbs.load_legacy_weights(network, "old")
    assert caught[0].filename == __file__
    assert [int(network.get_layer(name).get_weights()[0].max()) for name in ("left", "right")] == [0, 1]


@pytest.mark.parametrize("bare", [False, True])
def test_what_does_not_fit_is_named_by_layer_and_nothing_is_set(bare, tmp_path):
    path = without_metadata("2.15/flat", tmp_path) if bare else FOLDER / "2.15/flat"
    network = other_network()
    before = network.get_weights()
    with pytest.raises(ValueError, match=r"(?s)3 layers do not fit") as error:
        kbs.load_legacy_weights(network, path)
    lines = str(error.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["embedding", "norm", "last"]
    assert "must have the shape (4, 3). Received: 'embedding/kernel' of shape (4, 4)" in lines[0]
    assert "the model has no layer of this name" in lines[1]
    assert "the file has no layer of this name" in lines[2]
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    found = kbs.load_legacy_weights(network, path, skip_mismatch=True)
    assert found["hidden"] == "2 weights set"
    expected = opened(FOLDER / "2.15/flat").get_layer("hidden").get_weights()[0]
    np.testing.assert_array_equal(network.get_layer("hidden").get_weights()[0], expected)


@pytest.mark.parametrize("lost", INDEX_AND_DATA)
def test_a_saved_model_without_a_file_is_refused(lost, tmp_path):
    path = shutil.copytree(FOLDER / "2.15/flat", tmp_path / "copy")
    (path / lost).unlink()
    with pytest.raises(ValueError, match=r"is no SavedModel|has no file 'variables\.data"):
        kbs.load_legacy_model(path)


@pytest.mark.parametrize(
    "file", ["keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
def test_a_saved_model_that_is_cut_off_is_refused(file, tmp_path):
    path = shutil.copytree(FOLDER / "2.15/small", tmp_path / "copy")
    data = (path / file).read_bytes()
    for size in range(0, len(data), max(len(data) // 25, 1)):
        (path / file).write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"SavedModel|weights|index|ends before|JSON"):
            kbs.load_legacy_model(path)


@pytest.mark.parametrize("file", ["keras_metadata.pb", "variables/variables.index"])
def test_a_saved_model_with_changed_bytes_opens_or_is_refused(file, tmp_path):
    path = shutil.copytree(FOLDER / "2.15/flat", tmp_path / "copy")
    data, rng = (path / file).read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        changed = bytearray(data)
        changed[rng.integers(len(data))] = rng.integers(256)
        (path / file).write_bytes(changed)
        try:
            kbs.load_legacy_model(path, compile=False)
        except ValueError:
            refused += 1
    assert refused > 5


def test_changed_values_of_a_saved_model_are_refused(tmp_path):
    path = shutil.copytree(FOLDER / "2.15/flat", tmp_path / "copy")
    file = path / INDEX_AND_DATA[1]
    data = bytearray(file.read_bytes())
    place = data.index(opened(FOLDER / "2.15/flat").get_layer("hidden").get_weights()[0].tobytes())
    data[place] ^= 1  # the last bit of a weight
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged: 'layer_with_weights-0/kernel.*checksum"):
        opened(path)


def message(*fields):
    """A message of protobuf with small numbers and short texts or messages."""
    parts = [
        bytes([number << 3, one]) if isinstance(one, int) else bytes([number << 3 | 2, len(one)]) + one
        for number, one in fields
    ]
    return b"".join(parts)


def node(children, variable=None):
    """An object in a graph: the numbers of those in it by their names, and the name of its variable."""
    inside = [(1, message((1, number), (2, name.encode()))) for name, number in children.items()]
    attribute = [(2, message((1, b"VARIABLE_VALUE"), (2, variable.encode()), (3, b"key")))] if variable else []
    return message(*inside, *attribute)


def test_the_state_of_a_random_generator_is_no_weight():
    """`save(save_traces=False)` leaves no list of the weights, and `RandomFlip` and others have such a state."""
    nodes = [
        node({"layer-0": 1, "layer_with_weights-0": 4, "optimizer": 5}),
        node({"_random_generator": 2}),
        node({"_generator": 3}),
        node({"_state_var": 5}),
        node({"kernel": 6}),
        node({}, "random_flip/StateVar"),
        node({}, "dense/kernel"),
    ]
    assert [one.name for one in weights_below(nodes, 0, set())] == ["dense/kernel"]


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 100, 1023])
def test_the_checksum_is_that_of_one_byte_after_another(n):
    data, crc = bytes(range(251)) * 5, 0xFFFFFFFF
    for byte in data[:n]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    assert masked_checksum(data[:n]) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
