"""Files of Keras 2 list the weights that train first: which array belongs to which weight."""

import h5py
import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import to_numpy
from keras_balanced_siamese.legacy._checkpoint import Variable
from keras_balanced_siamese.legacy._graph import Part
from keras_balanced_siamese.legacy._order import in_order_of
from keras_balanced_siamese.legacy._places import snake_case
from keras_balanced_siamese.legacy._source import Source
from keras_balanced_siamese.legacy._weights import load_weights
from keras_balanced_siamese.legacy.weights import part_of

LSTM = ("kernel", "recurrent_kernel", "bias")


def attention(name="attention"):
    """A layer in which query, key, value and output have weights of one shape."""
    layer = keras.layers.MultiHeadAttention(4, 4, name=name)
    return lambda x: layer(x, x)


def both_directions(name="both"):
    return keras.layers.Bidirectional(lstm("lstm"), merge_mode="sum", name=name)


def lstm(name):
    return keras.layers.LSTM(4, return_sequences=True, name=name)


def dense(name):
    return keras.layers.Dense(4, name=name)


def network(*layers, nested=True):
    """Layers one after another, in a tower if they are nested."""
    keras.backend.clear_session()
    x = y = keras.Input((5, 4))
    for layer in layers:
        y = layer(y)
    tower = keras.Model(x, y, name="tower")
    z = keras.Input((5, 4))
    return keras.Model(z, tower(z)) if nested else tower


def names_of(*places):
    """The names of the weights of layers or of their parts, in this order."""
    return [f"{place}/{name}" for place in places for name in (LSTM if "_cell" in place else LSTM[::2])]


def place_of(variable):
    return "/" + getattr(variable, "path", variable.name).split(":")[0]


ATTENTION = ["attention/query", "attention/key", "attention/value", "attention/attention_output"]
BOTH = ["both/forward_lstm/lstm_cell", "both/backward_lstm/lstm_cell"]
FILES = {  # layers, and those or their parts in the order of a file of Keras 2.15
    "nothing frozen": ([attention()], ATTENTION),
    "key and output frozen": ([attention()], [ATTENTION[k] for k in (0, 2, 1, 3)]),
    "query frozen": ([attention()], ATTENTION[1:] + ATTENTION[:1]),
    "all parts of the first frozen": (
        [attention("first"), attention()],
        ATTENTION + [one.replace("attention", "first", 1) for one in ATTENTION],
    ),
    "forward frozen": ([both_directions()], BOTH[::-1]),
    "backward frozen": ([both_directions(), dense("last")], [BOTH[0], "last", BOTH[1]]),
    "cell of the first frozen": ([lstm("one"), lstm("two")], ["two/lstm_cell", "one/lstm_cell"]),
    "first layer frozen": ([dense("one"), dense("one_1")], ["one_1", "one"]),
}


@pytest.fixture(params=FILES)
def file(request):
    layers, places = FILES[request.param]
    model = network(*layers)
    return model, model.get_layer("tower"), names_of(*places)


def test_names_decide(file):
    _, tower, names = file
    for name, variable in zip(names, in_order_of(names, part_of(tower)), strict=True):
        assert place_of(variable).endswith(f"/{name}")


def stored(model, names):
    """The values of the weights of a model by name, which are set to 0."""
    values = {}
    for name in names:
        one = next(one for one in model.weights if place_of(one).endswith(f"/{name}"))
        values[name] = np.random.default_rng(len(values)).normal(size=one.shape).astype("float32")
        one.assign(np.zeros(one.shape))
    return values


def assert_has(model, values):
    for name, array in values.items():
        one = next(one for one in model.weights if place_of(one).endswith(f"/{name}"))
        np.testing.assert_array_equal(to_numpy(one), array)


def written(path, values, group="tower"):
    """A weights file of Keras 2 with the values in this order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [group.encode()]
        own = file.create_group(group)
        own.attrs["weight_names"] = [f"{name}:0".encode() for name in values]
        for name, array in values.items():
            own[f"{name}:0"] = array
    return path


def test_a_network_in_code_need_not_train_the_same_layers(file, tmp_path):
    model, _, names = file
    values = stored(model, names)
    kbs.load_legacy_weights(model, written(tmp_path / "old.h5", values))
    assert_has(model, values)


def test_a_model_of_a_file_gets_the_weights_by_their_names(file, tmp_path):
    model, _, names = file
    values = stored(model, names)
    with h5py.File(written(tmp_path / "old.h5", values)) as group:
        load_weights(part_of(model), Source("h5", None, None, "2.15", group, None))
    assert_has(model, values)


@pytest.mark.parametrize("places", [[ATTENTION[k] for k in (0, 2, 1, 3)], ATTENTION[1:] + ATTENTION[:1]])
def test_a_part_that_is_frozen_alone_in_a_saved_model(places):
    model = network(attention(), nested=False)
    values = stored(model, names_of(*places))

    class Stored:
        variables = tuple(Variable(name, name) for name in values)

        def array(self, key):
            return values[key]

    load_weights(part_of(model), Source("saved_model", None, None, "2.15", Stored(), None))
    assert_has(model, values)


def test_without_the_names_of_the_layers_the_order_of_keras_2_decides():
    model = network(dense("one"), dense("two"))
    tower = model.get_layer("tower")
    tower.get_layer("one").trainable = False
    names = names_of("dense_1", "dense")  # from before the layers were renamed
    found = [place_of(one).split("/")[-2] for one in in_order_of(names, part_of(tower))]
    assert found == ["two", "two", "one", "one"]


def test_a_part_of_another_name_is_refused_if_the_name_of_the_layer_is_another():
    tower = network(attention(), nested=True).get_layer("tower")
    names = names_of(*(one.replace("attention", "old", 1) for one in ATTENTION[1:] + ATTENTION[:1]))
    with pytest.raises(ValueError, match=r"name with 'query'.*frozen alone.*Set `trainable = True`.*'old/key/kernel'"):
        in_order_of(names, part_of(tower))


def test_a_layer_alone_needs_no_name():
    layer = both_directions()
    network(layer)
    names = names_of(*(one.replace("both", "old") for one in BOTH[::-1]))
    found = in_order_of(names, Part("both", "Bidirectional", layer))
    assert ["backward" in place_of(one) for one in found] == [True] * 3 + [False] * 3


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    """Keras 2 raises an error while it writes such a file, and leaves it there."""
    model = network(dense("one"), dense("two"))
    path = written(tmp_path / "old.h5", stored(model, names_of("one", "two")))
    with h5py.File(path, "a") as file:
        file["tower"].attrs["weight_names"] = [f"{name}:0".encode() for name in names_of("one", "one")]
    with pytest.raises(ValueError, match=r"'weight_names' of '/tower' must occur once.*'one/bias:0', 'one/kernel:0'"):
        kbs.load_legacy_weights(model, path)


def test_places_of_classes_are_those_of_keras_2():
    assert [snake_case(one) for one in ("ConvLSTM2D", "Conv2DTranspose", "GRU")] == [
        "conv_lstm2d",
        "conv2d_transpose",
        "gru",
    ]
