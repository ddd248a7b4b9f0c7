"""Models of Keras 2.15 and tensorflow-addons open, predict as recorded, can be saved and trained."""

import contextlib

import h5py
import keras
import numpy as np
import pytest
from old_models import CUSTOM, FOLDER, inputs_and_outputs, opened, predictions

import keras_balanced_siamese as kbs

FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".h5", ".keras"))
ONE_OF_BOTH = list({name.split(".")[0]: name for name in FILES}.values())
UNCOMPILED = ("loss_lifted.h5", "loss_lifted.keras")  # its loss and optimizer have no counterpart
LOSSES = {  # by the name of the file
    "given_custom": (kbs.WeightedContrastiveLoss, {"margin": 1.5}),
    "given_strloss": (kbs.WeightedContrastiveLoss, {"margin": 1.0}),
    "loss_semi_hard_squared": (
        kbs.WeightedTripletLoss,
        {"mining": "semi-hard", "margin": pytest.approx(0.7), "distance": "squared"},
    ),
    "loss_hard_soft": (kbs.WeightedTripletLoss, {"mining": "hard", "margin": "soft", "distance": "euclidean"}),
    "loss_hard_angular": (kbs.WeightedTripletLoss, {"mining": "hard", "margin": 0.3, "distance": "cosine"}),
    "loss_function": (kbs.WeightedTripletLoss, {"mining": "semi-hard", "margin": 1.0, "distance": "euclidean"}),
    "loss_string": (kbs.WeightedTripletLoss, {"mining": "hard", "margin": 1.0, "distance": "euclidean"}),
}
OPTIMIZERS = {
    "loss_semi_hard_squared": ("AdamW", {"learning_rate": 0.002, "beta_1": 0.8, "weight_decay": 0.05}),
    "loss_hard_soft": ("Adam", {"learning_rate": 0.01}),
    "loss_hard_angular": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "loss_function": ("Adam", {"learning_rate": 0.002}),
    "loss_string": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    "moving_average": ("SGD", {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.9}),
}
BOTH = (".h5", ".keras")
keras3 = pytest.mark.skipif(not hasattr(keras, "ops"), reason="the new file is for Keras 3")


def test_there_are_many_models():
    assert len(FILES) >= 100
    assert len({name.split(".")[0] for name in FILES}) >= 50


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:'loss_lifted")
def test_an_old_model_predicts_as_recorded(name):
    inputs, outputs = inputs_and_outputs(name)
    tolerance = 2e-3 if "mixed_precision" in name else 1e-6  # half precision rounds in other places
    for one, expected in zip(predictions(opened(name), inputs), outputs, strict=True):
        np.testing.assert_allclose(one.reshape(expected.shape), expected, atol=tolerance * np.abs(expected).max())


@keras3
@pytest.mark.parametrize("name", [name for name in ONE_OF_BOTH if name not in UNCOMPILED])
def test_an_old_model_can_be_saved_and_trained(name, tmp_path):
    model = opened(name)
    inputs, _ = inputs_and_outputs(name)
    before = predictions(model, inputs)
    model.save(tmp_path / "new.keras")
    again = keras.models.load_model(tmp_path / "new.keras", custom_objects={**kbs.custom_objects(), **CUSTOM})
    for one, other in zip(before, predictions(again, inputs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    losses = trained(again, inputs)
    assert min(losses[1:]) < losses[0]  # the momentum of the file can carry the last steps past the minimum


def trained(model, inputs):
    """The losses of some small steps on the same batch, without the noise of dropout."""
    for layer in [one for part in (model, *model.layers) for one in getattr(part, "layers", ())]:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    with contextlib.suppress(TypeError):  # a schedule cannot be replaced
        model.optimizer.learning_rate = 1e-3
    y = [labels(one, len(inputs[0]), model.loss) for one in model.outputs]
    x, y = (one if len(one) > 1 else one[0] for one in (inputs, y))
    return [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(20)]


def labels(output, size, loss):
    classes = np.arange(size) % 2
    shape = tuple(output.shape[1:])
    if isinstance(loss, kbs.WeightedTripletLoss) or (shape == (1,) and loss != "mse"):
        return classes
    return np.eye(2)[classes] if shape == (2,) else np.zeros((size, *shape))


@pytest.mark.parametrize("suffix", BOTH)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_tensorflow_addons_become_those_of_this_package(name, suffix):
    loss = opened(name + suffix).loss
    cls, arguments = LOSSES[name]
    assert type(loss) is cls
    assert {key: getattr(loss, key) for key in arguments} == arguments


@pytest.mark.parametrize("suffix", BOTH)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_their_arguments(name, suffix):
    optimizer = opened(name + suffix).optimizer
    kind, arguments = OPTIMIZERS[name]
    config = optimizer.get_config()
    assert type(optimizer).__name__ == kind
    assert {key: config[key] for key in arguments} == pytest.approx(arguments, rel=1e-5)


@pytest.mark.parametrize("suffix", BOTH)
def test_what_has_no_counterpart_is_named(suffix):
    with pytest.warns(UserWarning, match=r"RectifiedAdam.*LiftedStructLoss.*not compiled"):
        model = opened("loss_lifted" + suffix)
    assert not getattr(model, "compiled", getattr(model, "_is_compiled", None))


@pytest.mark.parametrize("suffix", BOTH)
def test_without_compile_nothing_of_it_is_read(suffix):
    model = opened("loss_lifted" + suffix, compile=False)
    assert getattr(model, "optimizer", None) is None
    assert getattr(model, "loss", None) is None


def test_the_sigmoid_output_of_a_contrastive_loss_is_kept():
    loss = opened("core_layers.h5").loss
    assert isinstance(loss, kbs.WeightedContrastiveLoss)
    model = opened("core_layers.h5")
    assert model.train_on_batch(inputs_and_outputs("core_layers")[0], np.ones(8)) > 0


def test_metrics_become_those_of_keras():
    model = opened("metrics_and_schedule.h5")
    inputs, _ = inputs_and_outputs("metrics_and_schedule")
    found = model.evaluate(inputs[0], np.eye(2)[np.arange(8) % 2], verbose=0, return_dict=True)
    assert set(found) == {"loss", "f1_score", "accuracy", "area"}
    assert type(model.optimizer.get_config()["learning_rate"]).__name__ != "float"


@keras3
@pytest.mark.parametrize("name", ["given_custom.h5", "loss_function.h5", "loss_string.h5"])
def test_the_state_of_the_optimizer_is_that_of_the_file(name):
    of_both = [opened(name.replace(".h5", suffix)).optimizer for suffix in BOTH]
    with h5py.File(FOLDER / name) as file:
        stored = []
        file["optimizer_weights"].visititems(lambda _, one: stored.append(one[()]) if hasattr(one, "dtype") else None)
    expected = sorted(float(np.abs(one).sum(dtype="float64")) for one in stored if len(one.shape))
    for optimizer in of_both if name != "loss_function.h5" else of_both[:1]:
        slots = [keras.ops.convert_to_numpy(one) for one in optimizer.variables if len(one.shape)]
        assert int(optimizer.iterations) == 2
        assert sorted(float(np.abs(one).sum(dtype="float64")) for one in slots) == pytest.approx(expected, rel=1e-6)


@keras3
def test_the_state_of_an_old_optimizer_belongs_to_its_weights():
    optimizer = opened("plain_equal_shapes.h5").optimizer
    with h5py.File(FOLDER / "plain_equal_shapes.h5") as file:
        names = [f"Adam/{layer}/kernel/{old}:0" for layer in ("dense", "dense_1") for old in ("m", "v", "vhat")]
        stored = {name: file["optimizer_weights"][name][()] for name in names}
    kinds = {"momentum": "m", "velocity": "v", "velocity_hat": "vhat"}
    checked = 0
    for slot in optimizer.variables:
        for kind, old in kinds.items():
            for layer in ("dense", "dense_1"):
                if slot.path.endswith(f"/{layer}_kernel_{kind}"):
                    np.testing.assert_array_equal(
                        keras.ops.convert_to_numpy(slot), stored[f"Adam/{layer}/kernel/{old}:0"]
                    )
                    checked += 1
    assert checked == 6


def test_a_lambda_layer_needs_a_substitute():
    with pytest.raises(ValueError, match=r"Lambda layer 'd', whose code is not run.*lambda_map=\{'d': 'euclidean'\}"):
        kbs.load_legacy_model(FOLDER / "nested_batch_normalization.h5")
    with pytest.raises(ValueError, match=r"names among .*'squared'.*Received: lambda_map\['d'\]='L2'"):
        kbs.load_legacy_model(FOLDER / "nested_batch_normalization.h5", lambda_map={"d": "L2"})


def test_an_unknown_layer_is_named():
    with pytest.raises(ValueError, match=r"class of the layer 'd' is unknown\. Pass custom_objects="):
        kbs.load_legacy_model(FOLDER / "given_custom.h5")


@pytest.mark.parametrize("kind", ["euclidean", "cosine", "manhattan", "squared"])
def test_distances_for_lambda_layers(kind):
    name = "nested_batch_normalization.keras"
    model = kbs.load_legacy_model(FOLDER / name, lambda_map={"d": kind}, compile=False)
    a, b = inputs_and_outputs(name)[0]
    tower = model.get_layer("tower")
    one, other = (np.asarray(tower.predict(side, verbose=0), "float64") for side in (a, b))
    expected = {
        "euclidean": np.linalg.norm(one - other, axis=1),
        "cosine": 1 - (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1),
        "manhattan": np.abs(one - other).sum(1),
        "squared": ((one - other) ** 2).sum(1),
    }
    np.testing.assert_allclose(model.predict([a, b], verbose=0)[:, 0], expected[kind], rtol=1e-4, atol=1e-6)
