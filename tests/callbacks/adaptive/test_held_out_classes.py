"""Weights that follow the errors of training classes, while other classes are measured, in one `fit`."""

import re

import numpy as np
import pytest
from toy import clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs

COUNTS = {"a": 40, "b": 30, "c": 20, "d": 12, "e": 8, "f": 6}
X, Y = clusters(COUNTS)
TRAIN, NEW = kbs.split_by_class(Y, 2, seed=0)
NEW_CLASSES = set(Y[NEW].tolist())
SEEN_X, SEEN_Y = clusters({label: 5 for label in COUNTS if label not in NEW_CLASSES}, seed=1)


def weights_and_reports(history, report):
    """Check the entries of three epochs, of which the last one has adapted weights."""
    assert {name.split("/")[1] for name in history if name.startswith("class_error/")} == set(COUNTS) - NEW_CLASSES
    weights = np.array([values for name, values in history.items() if name.startswith("class_weight/")])
    assert (weights[:, 1] == weights[:, 0]).all()
    assert (weights[:, 2] != weights[:, 0]).any()
    assert len(history["val_eer"]) == 3
    assert np.isfinite(history["val_eer"]).all()
    assert set(report.report_.per_class) == NEW_CLASSES


def test_a_sequence_is_adapted_while_new_classes_are_measured():
    pairs = kbs.BalancedPairSequence(X[TRAIN], Y[TRAIN], class_sampling="natural", seed=0)
    report = kbs.VerificationReport((X[NEW], Y[NEW]))
    for data in ((SEEN_X, SEEN_Y), (X[TRAIN], Y[TRAIN])):
        pairs.reset()
        adaptive = kbs.AdaptiveClassWeight(pairs, validation_data=data)
        history = compiled().fit(pairs, epochs=3, verbose=0, callbacks=[adaptive, report]).history
        weights_and_reports(history, report)


def encoder_of(data):
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=dict.fromkeys(range(len(data.classes)), 1.0)))
    return encoder


def test_a_loss_on_class_labels_is_adapted_while_new_classes_are_measured():
    batches = kbs.BalancedBatchSequence(X[TRAIN], Y[TRAIN], 4, 4, class_sampling="natural", seed=0)
    encoder, report = encoder_of(batches), kbs.VerificationReport((X[NEW], Y[NEW]))
    callbacks = [kbs.AdaptiveClassWeight(), report]
    history = encoder.fit(batches, epochs=3, verbose=0, callbacks=callbacks).history
    assert len({history[f"class_weight/{code}"][2] for code in range(4)}) > 1
    pairs = kbs.BalancedPairSequence(X[NEW], Y[NEW], 256, steps_per_epoch=2, max_repeats=None, redraw=False, seed=0)
    left, right, similar = pairs.indices()
    points = encoder.predict(X[NEW], verbose=0).astype("float64")
    distances = [np.linalg.norm(points[i] - points[j]) for i, j in zip(left, right, strict=True)]
    assert set(report.report_.per_class) == NEW_CLASSES
    assert report.report_.roc_auc == pytest.approx(kbs.evaluate_pairs(distances, similar).roc_auc, abs=1e-3)


def test_validation_data_of_new_classes_are_refused_with_the_cure():
    pairs = kbs.BalancedPairSequence(X[TRAIN], Y[TRAIN], seed=0)
    with pytest.raises(ValueError, match="classes that the target does not have") as error:
        kbs.AdaptiveClassWeight(pairs, validation_data=(X, Y))
    message = str(error.value)
    assert f"{sorted(NEW_CLASSES)}. Weights follow" in message
    assert "VerificationReport((x_new, y_new))" in message
    assert "leave it out" not in message
    known = np.isin(Y, pairs.classes)  # the cure
    kbs.AdaptiveClassWeight(pairs, validation_data=(X[known], Y[known]))


def test_a_loss_on_class_labels_can_leave_validation_data_out():
    batches = kbs.BalancedBatchSequence(X[TRAIN], Y[TRAIN], 4, 4, seed=0)
    with pytest.raises(ValueError, match="leave it out, and the training losses of the classes are used"):
        kbs.AdaptiveClassWeight(encoder_of(batches).loss, validation_data=(X, np.arange(len(X)) % 7))


def test_scores_of_embeddings_have_one_direction():
    report = kbs.VerificationReport((X[NEW], Y[NEW]), higher_is_similar=True)
    with pytest.raises(ValueError, match=re.escape("this one returns embeddings. Received: higher_is_similar=True")):
        report.set_model(encoder_of(kbs.BalancedBatchSequence(X[TRAIN], Y[TRAIN], 4, 4, seed=0)))
