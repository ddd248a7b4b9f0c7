"""Updates that are left out, and the warning after a training without any."""

import math
import re

import keras
import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import measured, simulate
from toy import compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight


@pytest.mark.parametrize("kwargs", [{"initial_epoch": 0, "epochs": 1}, {"initial_epoch": 2, "epochs": 4}])
def test_a_training_that_is_all_warm_up_warns(kwargs, pairs):
    callback = AdaptiveClassWeight(warmup_epochs=kwargs["epochs"])
    with pytest.warns(UserWarning, match=r"changed nothing.*below warmup_epochs=\d.*counts them from `initial_epoch`"):
        compiled().fit(pairs, verbose=0, callbacks=[callback], **kwargs)
    assert {row["skipped"] for row in callback.history_} == {"warm-up"}


def test_no_update_when_most_classes_have_no_error(pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error", warmup_epochs=0)
    weights, logs = simulate(callback, [[0.1, math.nan, math.nan], [0.1, math.nan, 0.4]])
    assert weights[0].tolist() == [1.0, 1.0, 1.0]
    assert weights[1][2] > 1.0 > weights[1][0]
    assert weights[1][1] == 1.0
    assert [row["skipped"] for row in callback.history_] == ["only 1 of 3 classes have an error", None]
    assert logs["class_weight_updated"] == 1.0


def test_no_update_when_no_class_has_an_error(pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error")
    weights, _ = simulate(callback, [[math.nan] * 3] * 3)
    np.testing.assert_array_equal(weights, 1.0)
    assert callback.history_[-1]["skipped"] == "only 0 of 3 classes have an error"


@pytest.mark.parametrize(
    ("kwargs", "errors", "reason"),
    [
        ({}, [-0.1, 0.2, 0.3], "errors below 0"),
        ({"strategy": "cdb", "tau": "dynamic"}, [0.1, 0.2, 1.3], "needs errors between 0 and 1"),
        ({"strategy": "cdb"}, [0.1, 0.2, 1.3], None),
        ({"strategy": "deferred"}, [-0.1, 0.2, 1.3], None),
    ],
)
def test_no_update_by_errors_out_of_the_range_of_a_strategy(kwargs, errors, reason, pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error", warmup_epochs=0, **kwargs)
    simulate(callback, [errors])
    (found,) = [row["skipped"] for row in callback.history_]
    assert found is None if reason is None else reason in found


def test_no_update_by_a_degenerate_model(x, y, pairs):
    model = compiled(optimizer=keras.optimizers.SGD(0.0))
    model.set_weights([np.zeros((4, 2))])
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y), warmup_epochs=0)
    with pytest.warns(UserWarning, match=r"changed nothing in this training: the model is degenerate"):
        history = model.fit(pairs, epochs=2, verbose=0, callbacks=[callback]).history
    assert set(pairs.class_weight.values()) == {1.0}
    assert history["class_weight_updated"] == [0.0, 0.0]
    assert "area under the ROC curve is 0.5" in callback.history_[0]["skipped"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(0.0, "area under the ROC curve is 0.5"), (np.nan, "output for .* is not finite")],
)
def test_no_update_by_collapsed_or_broken_embeddings(value, reason, x, y):
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0)
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedSupervisedContrastiveLoss())
    encoder.set_weights([np.full((4, 2), value, "float32")])
    callback = AdaptiveClassWeight(batches, validation_data=(x, y), warmup_epochs=0)
    with pytest.warns(UserWarning, match=f"changed nothing in this training: .*{reason}"):
        measured(callback, encoder, epochs=2)
    assert set(batches.class_weight.values()) == {1.0}
    assert all(re.search(reason, row["skipped"]) for row in callback.history_)


def test_scores_that_seem_reversed_get_a_hint(x, y, pairs):
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y), warmup_epochs=0, higher_is_similar=True)
    with pytest.warns(UserWarning, match="closer than similar|has changed nothing") as raised:
        measured(callback, compiled())
    messages = " ".join(str(one.message) for one in raised)
    assert "does a high output mean similar? Check `higher_is_similar`" in messages
    assert "Different pairs are closer than similar ones" in messages


def test_a_monitor_that_only_a_validation_writes(pairs):
    callback = AdaptiveClassWeight(pairs, monitor="val_error", warmup_epochs=0)
    with pytest.warns(UserWarning, match=r"'val_error' needs the entries.*val_error/rare.*there was no validation"):
        compiled().fit(pairs, epochs=1, verbose=0, callbacks=[callback])


@pytest.fixture
def validation(x, y):
    return kbs.BalancedPairSequence(x, y, seed=1, redraw=False)


def test_epochs_without_a_validation_keep_the_weights(pairs, validation):
    callback = AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0)
    fit = {"epochs": 4, "verbose": 0, "validation_data": validation, "validation_freq": 2}
    compiled().fit(pairs, callbacks=[callback], **fit)
    missing = "there was no validation in this epoch, on `validation_data` of `fit`"
    assert [row["skipped"] for row in callback.history_] == [missing, None, missing, None]
    weights = [row["weights"][1] for row in callback.history_]
    assert weights[0] == weights[1] == 1.0 != weights[2] == weights[3]


def test_a_training_without_an_update_warns_after_others_too(pairs, validation):
    model, fit = compiled(run_eagerly=True), {"epochs": 1, "verbose": 0}
    callback = AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0)
    model.fit(pairs, validation_data=validation, callbacks=[callback], **fit)
    for again in (callback, AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0)):
        with pytest.warns(UserWarning, match="changed nothing in this training: there was no validation"):
            model.fit(pairs, callbacks=[again], **fit)
