"""Keras features around `fit`: ways to compile, mixed precision, callbacks, saved models, validation data."""

import contextlib
import copy
import csv
import warnings

import keras
import numpy as np
import pytest
from toy import WAYS_TO_COMPILE, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight


def sequence(**kwargs):
    x, y = clusters()
    return kbs.BalancedPairSequence(x, y, batch_size=8, seed=0, **kwargs)


def adaptive(pairs):
    return [AdaptiveClassWeight(), AdaptiveClassWeight(pairs, validation_data=clusters())]


def fit(model, pairs, callbacks, epochs=3, **kwargs):
    return model.fit(pairs, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks, **kwargs).history


@pytest.mark.parametrize(("how", "probability"), [(how, "jit_compile" in how) for how in WAYS_TO_COMPILE], ids=str)
def test_every_way_to_compile_gives_the_same_training(how, probability):
    def train(**kwargs):
        model = kbs.siamese_model(linear_encoder(), probability=probability)
        loss = kbs.WeightedBinaryCrossentropy() if probability else kbs.WeightedContrastiveLoss()
        model.compile(keras.optimizers.SGD(0.02), loss, **kwargs)
        pairs = sequence(steps_per_epoch=6)
        return fit(model, pairs, adaptive(pairs))

    plain, other = train(), train(**how)
    assert plain.keys() == other.keys()
    for key, values in plain.items():
        np.testing.assert_allclose(other[key], values, rtol=1e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        pairs = sequence()
        history = fit(compiled(optimizer="adam"), pairs, adaptive(pairs))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(np.isfinite(values).all() for values in history.values())
    plain = fit(compiled(optimizer="adam"), sequence(), [])
    np.testing.assert_allclose(history["loss"][0], plain["loss"][0], rtol=0.05)


def test_csv_logger_and_tensorboard_record_the_weights(tmp_path):
    pairs = sequence()
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(compiled(), pairs, [*adaptive(pairs), logger], validation_data=sequence(redraw=False))
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    for key in ("class_weight/1", "class_weight_1/rare", "class_error_1/rare", "val_class_loss/0", "val_loss"):
        np.testing.assert_allclose([float(row[key]) for row in rows], history[key], rtol=1e-6)


class Interrupted(RuntimeError):
    pass


class InterruptAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Interrupted


def test_backup_and_restore_goes_on_with_the_adapted_weights(tmp_path):
    def start():
        loss = kbs.WeightedContrastiveLoss()
        return loss, compiled(loss, "adam"), sequence()

    backup = str(tmp_path / "backup")
    loss, model, pairs = start()
    with pytest.raises(Interrupted):
        fit(model, pairs, [AdaptiveClassWeight(), keras.callbacks.BackupAndRestore(backup), InterruptAt(3)], epochs=5)
    reached = dict(loss.class_weight)
    assert reached != {0: 1.0, 1: 1.0}
    loss, model, pairs = start()
    history = fit(model, pairs, [AdaptiveClassWeight(), keras.callbacks.BackupAndRestore(backup)], epochs=5)
    assert history["class_weight/1"][0] == pytest.approx(reached[1], rel=1e-6)
    assert len(history["loss"]) == 2


def test_model_checkpoint_keeps_the_weights_of_its_epoch(tmp_path):
    loss = kbs.WeightedContrastiveLoss()
    model, pairs = compiled(loss, "adam"), sequence()
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(str(path))
    fit(model, pairs, [AdaptiveClassWeight(), checkpoint])
    assert dict(keras.models.load_model(path).loss.class_weight) == pytest.approx(dict(loss.class_weight))


@pytest.mark.filterwarnings("ignore:On this backend a step that is already compiled:UserWarning")
def test_weights_files_carry_the_class_weights_if_there_are_any(tmp_path):
    path = str(tmp_path / "model.weights.h5")
    loss = kbs.WeightedContrastiveLoss(class_weight={0: 0.5, 1: 2.0})
    model = compiled(loss)
    fit(model, sequence(), [])
    model.save_weights(path)
    other = kbs.WeightedContrastiveLoss()
    again = compiled(other)
    fit(again, sequence(), [])
    again.load_weights(path)
    assert dict(other.class_weight) == {0: 0.5, 1: 2.0}
    plain = compiled("mse")
    fit(plain, sequence(), [])
    plain.save_weights(path)
    again.load_weights(path)
    np.testing.assert_array_equal(again.get_weights()[0], plain.get_weights()[0])


def test_early_stopping_on_a_class(tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="class_error_1/rare", mode="min", patience=1, min_delta=10.0)
    pairs = sequence()
    history = fit(compiled(), pairs, [*adaptive(pairs), stop], epochs=9)
    assert len(history["loss"]) == 2


def test_loading_a_trained_model_and_training_on(tmp_path):
    pairs, model = sequence(), compiled(optimizer="adam")
    fit(model, pairs, adaptive(pairs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    history = fit(again, pairs, adaptive(pairs))
    assert np.isfinite(history["loss"]).all()
    assert history["class_weight/1"][0] == pytest.approx(model.loss.class_weight[1])


def test_each_epoch_has_new_pairs_and_each_training_the_same():
    def drawn():
        pairs, epochs = sequence(), []
        spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(pairs.epoch))
        history = fit(compiled(optimizer=keras.optimizers.SGD(0.0)), pairs, [spy])
        return epochs, history["loss"]

    epochs, losses = drawn()
    assert len(set(losses)) == 3
    assert np.diff(epochs).tolist() == [1, 1]
    np.testing.assert_allclose(drawn()[1], losses, rtol=1e-6)


def test_validation_data_is_the_same_in_every_epoch():
    validation = sequence(redraw=False)
    history = fit(compiled(optimizer=keras.optimizers.SGD(0.0)), sequence(), [], validation_data=validation)
    np.testing.assert_allclose(history["val_loss"], history["val_loss"][0], rtol=1e-6)


@pytest.mark.parametrize(
    "loss", [kbs.WeightedContrastiveLoss(), {"distance": kbs.WeightedContrastiveLoss()}], ids=["one", "dict"]
)
def test_losses_in_a_dict_are_found(loss):
    model = kbs.siamese_model(linear_encoder())
    model.compile("sgd", loss)
    assert "class_weight/0" in fit(model, sequence(), [AdaptiveClassWeight()])


def test_adapting_warns_of_nothing(tmp_path):
    """Keras reads its own variables in a way that NumPy deprecates; only the settings of these tests allow it."""
    pairs = sequence()
    model = compiled(kbs.WeightedContrastiveLoss())
    layer = kbs.DistanceToProbability()
    layer.build((None, 1))
    metric = kbs.EqualErrorRate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, pairs, [AdaptiveClassWeight()])
        dict(model.loss.class_weight)
        layer.threshold = 0.25
        assert layer.threshold == 0.25
        metric.update_state([1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4])
        metric.error_bound()


def test_a_copy_of_an_attached_loss_is_adapted_by_itself():
    model, pairs = compiled(), sequence()
    fit(model, pairs, [AdaptiveClassWeight()])
    weights = dict(model.loss.class_weight)
    other = compiled(copy.deepcopy(model.loss))
    assert dict(other.loss.class_weight) == weights
    history = fit(other, pairs, [AdaptiveClassWeight()])
    assert history["class_weight/1"][0] == weights[1] != history["class_weight/1"][2]
    assert dict(model.loss.class_weight) == weights


@pytest.mark.skipif(hasattr(keras, "ops"), reason="Keras 2 alone saves and loads SavedModel files as models")
def test_saved_models_of_keras_2_can_be_loaded_after_adapting(tmp_path, x):
    pairs, model = sequence(), compiled(optimizer="adam")
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "best"))
    fit(model, pairs, [*adaptive(pairs), checkpoint])
    model.save(tmp_path / "saved", save_format="tf")
    for name in ("best", "saved"):
        again = keras.models.load_model(tmp_path / name)
        sides = x, x[::-1]
        np.testing.assert_allclose(again.predict(sides, verbose=0), model.predict(sides, verbose=0), rtol=1e-6)
        assert dict(again.loss.class_weight) == pytest.approx(dict(model.loss.class_weight))
        history = fit(again, pairs, adaptive(pairs), epochs=4)
        assert history["class_weight/1"][0] == pytest.approx(model.loss.class_weight[1])
        assert history["class_weight/1"][3] != history["class_weight/1"][0]
        assert len(again.get_weights()) == len(model.get_weights())
        again.save(tmp_path / "again", save_format="tf")
        keras.models.load_model(tmp_path / "again")


def test_a_checkpoint_may_be_named_after_a_rate(tmp_path):
    path = str(tmp_path / "{epoch}-{tar_at_far_0_01:.2f}-{val_tar_at_far_0_1:.2f}.keras")
    report = kbs.VerificationReport(clusters(), far=[0.1])
    callbacks = [report, keras.callbacks.ModelCheckpoint(path)]
    fit(compiled(metrics=[kbs.TrueAcceptRate(0.01)]), sequence(), callbacks, epochs=2)
    assert len(list(tmp_path.glob("*.keras"))) == 2


@pytest.mark.filterwarnings("ignore:On this backend a step that is already compiled:UserWarning")
def test_weights_files_with_impossible_class_weights_are_refused(tmp_path):
    path = str(tmp_path / "model.weights.h5")
    model, other = compiled(), compiled()
    for one in (model, other):
        fit(one, sequence(), [], epochs=1)
    model.loss.live_weights.set_weights_of_classes([1.0, -5.0])
    model.save_weights(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(ValueError):  # an older Keras drops it
            other.load_weights(path)
    assert any("class weights in the file are not loaded" in str(one.message) for one in caught)
    assert dict(other.loss.class_weight) == {0: 1.0, 1: 1.0}
