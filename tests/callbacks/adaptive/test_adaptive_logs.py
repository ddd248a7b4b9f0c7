"""Entries in the logs, the history and the printed lines of `AdaptiveClassWeight`."""

import math
import re

import keras
import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import shares_of, simulate
from toy import clusters, compiled

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight
from keras_balanced_siamese._text import log_names
from keras_balanced_siamese.callbacks.adaptive._history import write_entries


def test_logs_history_and_printed_lines(pairs):
    lines = []
    callback = AdaptiveClassWeight(pairs, monitor="error", verbose=1, sink=lines.append)
    _, logs = simulate(callback, [[0.1, 0.2, 0.3]] * 3)
    assert logs["class_error/rare"] == 0.3
    assert {f"class_weight/{label}" for label in ("common", "medium", "rare")} <= set(logs)
    assert [row["epoch"] for row in callback.history_] == [0, 1, 2]
    assert callback.history_[0]["weights"] == {"common": 1.0, "medium": 1.0, "rare": 1.0}
    assert len(lines) == 3
    assert lines[0] == "Epoch 1: class weights now common: 1, medium: 1, rare: 1 (kept: warm-up)"
    assert [row["skipped"] for row in callback.history_] == ["warm-up", None, None]
    assert logs["class_weight_updated"] == 1.0


def test_adapted_shares_have_entries_in_place_of_weights():
    data = clusters({"common": 200, "medium": 60, "rare": 20})
    natural = {"class_sampling": "natural", "max_repeats": None, "seed": 0}
    for target in (kbs.BalancedPairSequence(*data, **natural), kbs.BalancedBatchSequence(*data, 2, 4, **natural)):
        callback = AdaptiveClassWeight(target, adapt="sampling", monitor="error", tau=1.0)
        _, logs = simulate(callback, [[0.1, 0.1, 0.4]] * 12)
        assert logs["class_share/rare"] == pytest.approx(shares_of(target)[2], rel=1e-3)
        assert not any(name.startswith("class_weight/") for name in logs)
        assert callback.history_[0]["shares"]["common"] == pytest.approx(200 / 280)
        assert "weights" not in callback.history_[0]


def test_the_history_has_the_classes_of_each_loss_it_met():
    callback, named = AdaptiveClassWeight(monitor="error"), []
    for classes in ([0, 1], [0, 1, 2]):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("sgd", kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(classes, 1.0)))
        callback.set_model(model)
        callback.on_epoch_begin(0)
        callback.on_epoch_end(0, {f"error/{label}": 0.5 for label in classes})
        named.append(classes)
    assert [list(row["errors"]) for row in callback.history_] == named
    assert [list(row["weights"]) for row in callback.history_] == named


def test_a_printed_line_begins_below_the_progress_bar(capsys, pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error", verbose=1)
    for verbose, start in ((0, "Epoch 1"), (1, "\nEpoch 1")):
        callback.set_params({"verbose": verbose})
        simulate(callback, [[0.1, 0.2, 0.3]])
        assert capsys.readouterr().out.startswith(start)


def test_many_classes_are_logged_as_smallest_and_largest():
    y = np.repeat(np.arange(60), 2)
    callback = AdaptiveClassWeight(kbs.BalancedPairSequence(y, y, seed=0), monitor="error")
    _, logs = simulate(callback, [[math.nan, *np.linspace(0, 1, 59)]] * 2)
    assert (logs["class_error/min"], logs["class_error/max"]) == (0.0, 1.0)
    assert "class_weight/min" in logs
    assert "class_weight/0" not in logs


STRANGE = ["a (1)", "a [1]", "b, c's", "b_ c_s", "50 %", "x+y", "x#y", "x.y", "x_y", "ä/ö", "{0}", ".."]


@pytest.mark.numpy_only
def test_entries_have_names_that_trackers_and_checkpoints_accept():
    names = log_names(STRANGE)
    assert list(names) == STRANGE
    assert len(set(names.values())) == len(STRANGE)  # two labels stay apart
    assert (names["x_y"], names["b_ c_s"], names["50 %"]) == ("x_y", "b_ c_s", "50 _")
    assert log_names(STRANGE[::-1]) == names
    logs = {}
    write_entries(logs, "class_weight", STRANGE, np.arange(12.0))
    for label, value in zip(STRANGE, np.arange(12.0), strict=True):
        name = f"class_weight/{names[label]}"
        assert logs[name] == value
        assert re.fullmatch(r"[/\w \-]+", name)  # MLflow also takes points and colons
        assert ("{" + name + ":.0f}").format(**logs) == f"{value:.0f}"  # as ModelCheckpoint does


def test_monitored_entries_are_found_by_their_safe_or_their_own_names(x):
    labels = ["a (1)", "a [1]", "b"]
    pairs = kbs.BalancedPairSequence(x[:30], np.repeat(labels, 10), batch_size=8, seed=0)
    callback = AdaptiveClassWeight(pairs, monitor="error")
    callback.set_model(compiled())
    names = callback.log_names_
    assert list(names) == labels
    for epoch, entries in enumerate((names.values(), labels)):
        callback.on_epoch_begin(epoch)
        logs = {f"error/{name}": 0.1 * k for k, name in enumerate(entries)}
        callback.on_epoch_end(epoch, logs)
        assert callback.history_[epoch]["errors"] == pytest.approx({"a (1)": 0.0, "a [1]": 0.1, "b": 0.2})
        assert logs[f"class_error/{names['a [1]']}"] == pytest.approx(0.1)


def test_a_metric_per_class_and_its_monitor_agree_on_names(x):
    labels = ["a (1)", "a [1]", "b.5"]
    y = np.repeat(labels, [30, 20, 9])
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0, with_classes=True)
    metric = kbs.VerificationAUC(classes=labels, name="auc")
    model = compiled(metrics=[metric])
    validation = kbs.BalancedPairSequence(x, y, batch_size=8, seed=1, redraw=False, with_classes=True)
    callback = AdaptiveClassWeight(pairs, monitor="val_auc", strategy=lambda errors, weights, epoch: weights)
    history = model.fit(pairs, validation_data=validation, epochs=2, verbose=0, callbacks=[callback]).history
    for label, name in metric.log_names.items():
        assert "." not in name
        assert callback.history_[1]["errors"][label] == pytest.approx(history[f"val_{name}"][1])


@pytest.mark.numpy_only
def test_entries_of_other_classes_do_not_share_a_prefix():
    logs = {}
    write_entries(logs, "class_weight", ["a"], np.array([1.0]))
    write_entries(logs, "class_weight", ["b"], np.array([2.0]))
    write_entries(logs, "class_weight", ["c"], np.array([3.0]))
    assert logs == {"class_weight/a": 1.0, "class_weight_1/b": 2.0, "class_weight_2/c": 3.0}


def test_two_callbacks_write_entries_of_their_own(x, y):
    codes = np.unique(y, return_inverse=True)[1]  # 0 and 1 are pair labels too
    pairs = kbs.BalancedPairSequence(x, codes, seed=0)
    callbacks = [AdaptiveClassWeight(), AdaptiveClassWeight(pairs, validation_data=(x, codes))]
    history = compiled().fit(pairs, epochs=4, verbose=0, callbacks=callbacks).history
    assert history["class_weight/1"] == [row["weights"][1] for row in callbacks[0].history_]
    assert history["class_weight_1/1"] == [row["weights"][1] for row in callbacks[1].history_]
    assert "class_weight/2" not in history
    assert "class_weight_1/2" in history
    for name, one in zip(("class_weight_updated", "class_weight_updated_1"), callbacks, strict=True):
        assert history[name] == [float(row["skipped"] is None) for row in one.history_]
