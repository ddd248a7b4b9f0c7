"""Damaged and hostile files: each ends in a `ValueError`, soon, in little memory, and nothing in it is run."""

import contextlib
import json
import marshal
import os
import shutil
import time
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from old_models import CUSTOM, FOLDER, lambdas

import keras_balanced_siamese as kbs

NAME = "core_layers"
SMALL = ("given_core.h5", "given_core.keras", "loss_function.h5", "loss_hard_angular.keras")
SECONDS, BYTES = 10, 300e6


def opened(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return kbs.load_legacy_model(path, custom_objects=CUSTOM, **options)


@contextlib.contextmanager
def refused(match):
    """The block raises a `ValueError` within seconds and without much memory."""
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(ValueError, match=match):
            yield
        assert tracemalloc.get_traced_memory()[1] < BYTES
        assert time.monotonic() - start < SECONDS
    finally:
        tracemalloc.stop()


def changed(folder, change, name=NAME, suffix=".h5"):
    """A copy of a model in which a function has changed the configuration."""
    path = folder / f"changed{suffix}"
    if suffix == ".h5":
        shutil.copy(FOLDER / f"{name}.h5", path)
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(FOLDER / f"{name}.keras") as old, zipfile.ZipFile(path, "w") as new:
        for one in old.namelist():
            data = old.read(one)
            if one == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config)
            new.writestr(one, data)
    return path


def layers_of(config):
    """All configurations of layers, also inside others."""
    for one in config["config"]["layers"]:
        yield one
        if "layers" in one["config"]:
            yield from layers_of(one)


def first(config, class_name):
    return next(one for one in layers_of(config) if one["class_name"] == class_name)


@pytest.mark.parametrize("content", [b"", b"a text, and no model\n", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\0" * 5000])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_what_is_no_model(content, suffix, tmp_path):
    path = tmp_path / f"none{suffix}"
    path.write_bytes(content)
    with refused(f"none{suffix}' is damaged, or no file of Keras 2"):
        opened(path)


def test_archives_and_hdf5_files_of_others(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("readme.txt", "nothing")
    with refused(r"must hold 'config.json'.*Received: .*readme"):
        opened(tmp_path / "other.keras")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3)
    with refused("holds weights without the layers"):
        opened(tmp_path / "other.h5")


@pytest.mark.parametrize("name", [f"{NAME}.h5", f"{NAME}.keras"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_files_that_are_cut_off(name, part, tmp_path):
    data = (FOLDER / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(part * len(data))])
    with refused("is damaged"):
        opened(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("size", [10**5, 10**12, 10**30, -1, 0, 1.5, "many", None, [3], {}])
def test_absurd_sizes_of_layers(size, suffix, tmp_path):
    def change(config):
        first(config, "Dense")["config"]["units"] = size

    with refused("."):
        opened(changed(tmp_path, change, suffix=suffix))


@pytest.mark.parametrize("shape", [[None, 10**9, 10**9, 1], [None, 2**40], [], 5, ["a"], [None, -3]])
def test_absurd_shapes_of_inputs(shape, tmp_path):
    def change(config):
        for one in layers_of(config):
            if one["class_name"] == "InputLayer":
                one["config"]["batch_input_shape"] = shape

    with refused("."):
        opened(changed(tmp_path, change))


def test_archives_that_grow_without_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", b" " * 10**8)
        file.writestr("metadata.json", "{}")
    with refused("in the archive grows to 100000000 bytes"):
        opened(tmp_path / "bomb.keras")


def test_arrays_that_claim_more_than_the_file_holds(tmp_path):
    path = changed(tmp_path, lambda config: None)
    with h5py.File(path, "a") as file:
        names = []
        file["model_weights"].visititems(lambda name, one: names.append(name) if hasattr(one, "dtype") else None)
        del file["model_weights"][names[0]]
        file["model_weights"].create_dataset(names[0], (10**6, 10**5), "f4", chunks=(1000, 1000), compression="gzip")
    with refused("."):
        opened(path)


def test_missing_and_additional_weights(tmp_path):
    path = changed(tmp_path, lambda config: None)
    with h5py.File(path, "a") as file:
        file["model_weights"]["tower"].create_dataset("more", data=np.zeros(3))
    with refused("arrays of weights, but the model has"):
        opened(path)
    path = changed(tmp_path, lambda config: None)
    with h5py.File(path, "a") as file:
        kernel = next(one for one in file["model_weights/tower"].attrs["weight_names"])
        del file["model_weights/tower"][kernel]
    with refused("has more weights than the file|has no array"):
        opened(path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("secret.h5", "/x"), h5py.SoftLink("/model_weights")])
@pytest.mark.parametrize("place", ["model_weights/tower", "array", "model_weights", "optimizer_weights"])
def test_links_are_not_followed(link, place, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(3.0)
    path = changed(tmp_path, lambda config: None)
    with h5py.File(path, "a") as file:
        if place == "array":
            name = next(one for one in file["model_weights/tower"].attrs["weight_names"])
            place = f"model_weights/tower/{name.decode() if isinstance(name, bytes) else name}"
        del file[place]
        file[place] = link
    with refused("is a link to another place|has more weights than the file"):
        opened(path)


def test_arrays_in_other_files_are_not_read(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"\0" * 10**4)
    path = changed(tmp_path, lambda config: None)
    with h5py.File(path, "a") as file:
        group = file["model_weights/tower"]
        name = next(iter(group.attrs["weight_names"]))
        shape = group[name].shape
        del group[name]
        group.create_dataset(name, shape, "f4", external=[(str(tmp_path / "secret.bin"), 0, 10**4)])
    with refused("is kept in another file, which is not read"):
        opened(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_code_of_a_lambda_is_not_run(suffix, tmp_path):
    mark = tmp_path / "run"
    code = marshal.dumps(compile(f"open({str(mark)!r}, 'w')", "x", "exec")).hex()

    def change(config):
        dense = first(config, "Dense")
        dense.update(class_name="Lambda", config={"name": dense["config"]["name"], "function": [code, None, None]})

    with refused("whose code is not run"):
        opened(changed(tmp_path, change, suffix=suffix))
    assert not mark.exists()


OUTSIDE = [
    {"class_name": "system", "module": "os", "config": {"command": "touch run"}, "registered_name": None},
    {"class_name": "os>system", "config": {"command": "touch run"}, "registered_name": "os>system"},
    {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
    {"class_name": "deserialize", "module": "keras.initializers", "config": {"config": "zeros"}},
    {"class_name": "get", "module": "builtins", "config": {"identifier": "zeros"}},
    {"class_name": "TFSMLayer", "config": {"filepath": "folder"}},
    {"class_name": "__class__", "config": {}},
    {"class_name": "Lambda", "config": {"function": "exec"}},
    "os.system",
    "__import__('os').system",
    ["os", "system"],
    7,
]


@pytest.mark.parametrize("key", ["kernel_initializer", "bias_regularizer", "kernel_constraint", "activation"])
@pytest.mark.parametrize("value", OUTSIDE, ids=str)
def test_names_from_outside_of_keras_as_parts(key, value, tmp_path):
    def change(config):
        first(config, "Dense")["config"][key] = value

    with refused("."):
        opened(changed(tmp_path, change))
    assert os.listdir(tmp_path) == ["changed.h5"]


@pytest.mark.parametrize("value", [one for one in OUTSIDE if isinstance(one, dict)], ids=str)
def test_names_from_outside_of_keras_as_layers(value, tmp_path):
    def change(config):
        dense = first(config, "Dense")
        dense.update({**value, "config": {"name": dense["config"]["name"]}})

    with refused("."):
        opened(changed(tmp_path, change))


@pytest.mark.parametrize("key", ["optimizer_config", "loss", "metrics"])
@pytest.mark.parametrize("value", OUTSIDE, ids=str)
def test_names_from_outside_of_keras_in_compile(key, value, tmp_path):
    path = changed(tmp_path, lambda config: None)
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = json.dumps({**json.loads(file.attrs["training_config"]), key: value})
    with contextlib.suppress(ValueError):
        model = opened(path)
        assert key == "metrics" or not getattr(model, "compiled", getattr(model, "_is_compiled", None))
    assert os.listdir(tmp_path) == ["changed.h5"]


def test_graphs_with_circles_and_loose_ends(tmp_path):
    def circle(config):
        top = config["config"]
        dense = next(one for one in top["layers"] if one["class_name"] == "Dense")
        dense["inbound_nodes"] = [[[dense["name"], 0, 0, {}]]]

    def nothing(config):
        config["config"]["output_layers"] = [["nothing", 0, 0]]

    def deep(config):
        top = config["config"]["layers"]
        for _ in range(300):
            model = {"class_name": "Sequential", "name": "s", "config": {"name": "s", "layers": [dict(top[0])]}}
            top[0] = model
            top = model["config"]["layers"]

    with refused("The graph of .* has no start"):
        opened(changed(tmp_path, circle))
    with refused("."):
        opened(changed(tmp_path, nothing))
    with refused("nested at most"):
        opened(changed(tmp_path, deep))


def test_names_that_lead_out_of_the_archive(tmp_path):
    path = changed(tmp_path, lambda config: None, suffix=".keras")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("../../outside.txt", "x")
        file.writestr("/outside.txt", "x")
    opened(path)
    assert not (tmp_path.parent.parent / "outside.txt").exists()
    assert not Path("/outside.txt").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["changed.keras"]


def test_a_heap_of_texts_whose_objects_do_not_follow_each_other(tmp_path):
    """The HDF5 library does not come back from an object of size 0."""
    data = bytearray((FOLDER / "loss_function.h5").read_bytes())
    data[5768] = 220  # length of a text, which makes the next one begin in free space
    path = tmp_path / "endless.h5"
    path.write_bytes(data)
    with refused("does not end in its heap"):
        opened(path)


@pytest.mark.parametrize("library", ["earliest", "latest"])
@pytest.mark.parametrize("place", [None, 64])
def test_texts_that_claim_gigabytes(library, place, tmp_path):
    """The HDF5 library would take the memory before it reads the text."""
    path = tmp_path / "long.h5"
    with h5py.File(path, "w", libver=library) as file:
        file.attrs["model_config"] = "x" * 1013
    data = bytearray(path.read_bytes())
    start = data.find(np.uint32(1013).tobytes(), data.find(b"model_config\0"))
    data[start : start + 4] = np.uint32(2**32 - 16).tobytes()
    if place is not None:  # the heap is elsewhere too
        data[start + 4 : start + 12] = np.uint64(place).tobytes()
    path.write_bytes(data)
    with refused("a text in it is longer than the file"):
        opened(path)


def test_attributes_of_other_types(tmp_path):
    path = tmp_path / "type.h5"
    with h5py.File(path, "w") as file:
        data = np.empty(1, object)
        data[0] = np.zeros(3)
        file.attrs.create("model_config", data, dtype=h5py.vlen_dtype("f8"))
    with refused("an attribute is not made of texts"):
        opened(path)


def test_addresses_that_no_file_can_have(tmp_path):
    path = tmp_path / "far.keras"
    with zipfile.ZipFile(FOLDER / f"{NAME}.keras") as old, zipfile.ZipFile(path, "w") as new:
        for one in old.namelist():
            data = bytearray(old.read(one))
            if one == "model.weights.h5":
                data[64:72] = np.uint64(2**63 + 8).tobytes()  # of the first group
            new.writestr(one, bytes(data))
    with refused("far.keras' is damaged"):
        opened(path)


@pytest.mark.parametrize("value", [True, 3, "mse", [1]])
def test_a_configuration_of_compile_of_another_type(value, tmp_path):
    def change(config):
        config["compile_config"] = value

    with refused(r"The configuration of `compile` must be a dict\. Received: "):
        opened(changed(tmp_path, change, suffix=".keras"))


@pytest.mark.parametrize("name", SMALL)
def test_random_changes_end_in_a_value_error_or_a_model(name, tmp_path):
    rng = np.random.default_rng(SMALL.index(name))
    data = (FOLDER / name).read_bytes()
    for k in range(25):
        path = tmp_path / f"{k}-{name}"
        path.write_bytes(mutated(data, rng))
        with contextlib.suppress(ValueError):
            opened(path, lambda_map=lambdas(name))


def mutated(data, rng):
    """Random bytes in the place of some, or a piece cut out, repeated or filled."""
    changed_data = bytearray(data)
    kind, place = rng.integers(4), rng.integers(len(data))
    if kind == 0:
        for one in rng.integers(0, len(data), rng.integers(1, 20)):
            changed_data[one] = rng.integers(256)
    elif kind == 1:
        del changed_data[place : place + rng.integers(1, 200)]
    elif kind == 2:
        changed_data[place:place] = changed_data[place : place + rng.integers(1, 200)]
    else:
        changed_data[place : place + 8] = bytes([rng.choice([0, 127, 255])] * 8)
    return bytes(changed_data)


def replaced(value, rng):
    """A JSON value with one random value in it replaced by an odd one."""
    odd = [None, -1, 0, 10**9, 1e300, "", "x", [], {}, [[]], True, {"class_name": "Dense", "config": {}}]
    places = []

    def visit(one):
        for key in one if isinstance(one, dict) else range(len(one)):
            places.append((one, key))
            if isinstance(one[key], (dict, list)):
                visit(one[key])

    visit(value)
    container, key = places[rng.integers(len(places))]
    container[key] = odd[rng.integers(len(odd))]
    return value


@pytest.mark.parametrize("attribute", ["model_config", "training_config"])
@pytest.mark.parametrize("name", ["given_core.h5", "loss_function.h5"])
def test_odd_values_in_the_configuration_end_in_a_value_error_or_a_model(name, attribute, tmp_path):
    rng = np.random.default_rng(0)
    shutil.copy(FOLDER / name, tmp_path / name)
    with h5py.File(FOLDER / name) as file:
        text = file.attrs[attribute]
    for _ in range(25):
        with h5py.File(tmp_path / name, "a") as file:
            file.attrs[attribute] = json.dumps(replaced(json.loads(text), rng))
        with contextlib.suppress(ValueError):
            opened(tmp_path / name, lambda_map=lambdas(name))


def test_a_directory_that_is_no_saved_model(tmp_path):
    with pytest.raises(ValueError, match=r"no SavedModel.*variables"):
        kbs.load_legacy_model(tmp_path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_file_of_keras_3_is_for_keras(suffix, tmp_path):
    """Some names, such as the hard sigmoid, mean something else there."""
    path = tmp_path / f"new{suffix}"
    shutil.copyfile(FOLDER / f"plain_class{suffix}", path)
    if suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs["keras_version"] = "3.7.0"
    else:
        with zipfile.ZipFile(FOLDER / "plain_class.keras") as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name).replace(b'"keras_version": "2.15.0"', b'"keras_version": "3.7.0"'))
    with pytest.raises(ValueError, match=r"Keras 3\.7\.0.*`keras.models.load_model`"):
        kbs.load_legacy_model(path)
