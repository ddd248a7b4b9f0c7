"""Keras features around `fit`: ways to compile, mixed precision, callbacks, saved models, validation data."""

import csv

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
