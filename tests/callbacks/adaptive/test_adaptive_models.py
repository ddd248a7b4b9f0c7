"""Models, losses and trainings that `AdaptiveClassWeight` refuses."""

import keras
import numpy as np
import pytest
from toy import clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight


def fit(model, callback, pairs=None):
    data = kbs.BalancedPairSequence(*clusters(), seed=0) if pairs is None else pairs
    model.fit(data, epochs=1, verbose=0, callbacks=[callback])


def test_a_model_whose_loss_cannot_be_weighted():
    with pytest.raises(ValueError, match=r"WeightedContrastiveLoss.*Received: a model with loss=\['mse'\]"):
        fit(compiled("mse"), AdaptiveClassWeight())


def test_a_target_that_is_not_the_loss_of_the_model():
    with pytest.raises(ValueError, match="compiled with"):
        fit(compiled(), AdaptiveClassWeight(kbs.WeightedContrastiveLoss()))


def test_validation_data_has_no_errors_of_the_labels_of_pairs(x, y):
    with pytest.raises(ValueError, match="monitor='val_class_loss'"):
        AdaptiveClassWeight(kbs.WeightedContrastiveLoss(), validation_data=(x, y))
    with pytest.raises(ValueError, match="monitor='val_class_loss'"):
        fit(compiled(), AdaptiveClassWeight(validation_data=(x, y)))


def test_validation_data_of_classes_that_the_loss_does_not_have(x, y):
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0}))
    with pytest.raises(ValueError, match=r"does not have: \['common', 'medium', 'rare'\].*the classes \[0, 1\]"):
        encoder.fit(x, np.zeros(len(y)), verbose=0, callbacks=[AdaptiveClassWeight(validation_data=(x, y))])


def test_a_model_without_embeddings_of_the_validation_data(x, y):
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0)
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2))])
    flat.compile("sgd", lambda y_true, y_pred: y_pred[:, 0, 0] ** 2)
    with pytest.raises(ValueError, match=r"one embedding per sample.*Received: outputs of shape \(None, 2, 2\)"):
        flat.fit(batches, verbose=0, callbacks=[AdaptiveClassWeight(batches, validation_data=(x, y))])


def test_a_model_without_scores_is_refused_before_training(x, y, pairs):
    left, right = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([left, right], keras.layers.Dense(2)(keras.layers.Concatenate()([left, right])))
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    with pytest.raises(ValueError, match=r"one output with one score per pair.*shape \(None, 2\)"):
        callback.set_model(model)


def test_an_output_of_unknown_direction(x, y, pairs):
    known = compiled()
    model = keras.Model(known.inputs, keras.layers.Dense(1)(known.output))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="higher_is_similar"):
        fit(model, AdaptiveClassWeight(pairs, validation_data=(x, y)))


def test_a_monitor_that_nothing_writes(pairs):
    with pytest.raises(ValueError, match=r"monitor='error' needs the entries.*error/common.*Received: \["):
        fit(compiled(), AdaptiveClassWeight(pairs, monitor="error"), pairs)


def test_steps_of_fit_must_be_those_of_the_sequence(x, y):
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y))
    with pytest.raises(ValueError, match=r"construct the sequence with steps_per_epoch=3.*sequence of 8"):
        compiled().fit(pairs, steps_per_epoch=3, epochs=2, verbose=0, callbacks=[callback])
