"""`VerificationReport`: the report of validation pairs after an epoch, its entries, files and images."""

import json

import keras
import numpy as np
import pytest
from toy import COUNTS, WAYS_TO_COMPILE, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs


def fit(report, epochs=2, model=None, callbacks=(), how=None):
    """Train with a report; the step is compiled only where that matters."""
    x, y = clusters()
    model = model or compiled(**({"run_eagerly": True} if how is None else how))
    pairs = kbs.BalancedPairSequence(x, y, seed=0)
    history = model.fit(pairs, epochs=epochs, verbose=0, shuffle=False, callbacks=[report, *callbacks])
    return model, history.history


@pytest.mark.parametrize("how", [{}, *WAYS_TO_COMPILE], ids=str)
def test_logs_are_the_report_of_the_trained_model(how):
    x, y = clusters(seed=1)
    report = kbs.VerificationReport((x, y), class_counts=COUNTS)
    model, history = fit(report, how=how)
    pairs = kbs.BalancedPairSequence(x, y, batch_size=256, steps_per_epoch=3, max_repeats=None, redraw=False, seed=0)
    left, right, similar = (np.concatenate(part) for part in zip(*map(pairs.indices, range(3)), strict=True))
    distances = model.predict((x[left], x[right]), verbose=0)
    expected = kbs.evaluate_pairs(distances, similar, classes=y[np.stack([left, right], 1)], class_counts=COUNTS)
    a_pair = 1.01 / 384  # rounding may put two pairs at almost the same distance in the other order
    assert report.report_.micro == pytest.approx(expected.micro, rel=1e-4, abs=a_pair, nan_ok=True)
    assert history["val_eer"][-1] == pytest.approx(expected.eer, rel=1e-4)
    assert history["val_macro_error"][-1] == pytest.approx(expected.macro["error"], rel=1e-4)
    for group in ("head", "medium", "tail"):
        assert history[f"val_{group}_eer"][-1] == pytest.approx(expected.groups[group]["eer"], rel=1e-4)
    worst = max(row["error"] for row in expected.per_class.values())
    assert history["val_worst_error"][-1] == pytest.approx(worst, rel=1e-4)
    assert all(len(values) == 2 for values in history.values())
    assert "val_tar_at_far_0_0001" not in history  # 384 different pairs are too few


def test_ready_pairs_have_figures_of_classes_if_their_classes_are_given():
    x, y = clusters(seed=1)
    left, right = np.random.default_rng(0).integers(0, len(y), (2, 400))
    ready = (x[left], x[right]), (y[left] == y[right]).astype("float32")
    sides = np.stack([y[left], y[right]], 1)
    report = kbs.VerificationReport(ready, classes=sides, class_counts=COUNTS)
    model, history = fit(report)
    distances = model.predict(ready[0], verbose=0)
    expected = kbs.evaluate_pairs(distances, ready[1], classes=sides, class_counts=COUNTS)
    assert history["val_tail_error"][-1] == pytest.approx(expected.groups["tail"]["error"], rel=1e-4)
    with pytest.raises(ValueError, match="exactly where both sides are of one class"):
        kbs.VerificationReport(ready, classes=sides[::-1])
    with pytest.raises(ValueError, match="`classes` is for ready pairs"):
        kbs.VerificationReport((x, y), classes=sides)


def test_reports_every_so_many_epochs():
    report = kbs.VerificationReport(clusters(), every=2)
    _, history = fit(report, epochs=5)
    assert [row["epoch"] for row in report.history_] == [1, 3]
    assert history["val_eer"] == [row["val_eer"] for row in report.history_]
    assert len(history["loss"]) == 5


def test_later_callbacks_can_monitor_its_entries(tmp_path):
    stop = keras.callbacks.EarlyStopping(monitor="val_tail_eer", mode="min", patience=1, min_delta=1.0)
    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "best.keras"), monitor="val_tail_eer", mode="min", save_best_only=True
    )
    table = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    report = kbs.VerificationReport(clusters(), class_counts=COUNTS)
    _, history = fit(report, epochs=9, callbacks=[stop, best, table])
    assert len(history["loss"]) < 9
    assert (tmp_path / "best.keras").exists()
    assert "val_tail_eer" in (tmp_path / "log.csv").read_text().splitlines()[0].split(",")


def test_probabilities_grow_with_similarity(x, y):
    model = kbs.siamese_model(linear_encoder(), probability=True)
    model.compile("sgd", kbs.WeightedBinaryCrossentropy())
    report = kbs.VerificationReport((x, y))
    fit(report, epochs=1, model=model)
    assert report.report_.eer < 0.5
    assert report.report_.threshold < 0  # probabilities with a minus sign


def test_a_sequence_of_pairs_stays_as_it_is(x, y):
    validation = kbs.BalancedPairSequence(x, y, batch_size=50, steps_per_epoch=2, class_sampling="natural", seed=5)
    validation.set_epoch(3)
    report = kbs.VerificationReport(validation)
    fit(report)
    assert report.report_.n_similar == report.report_.n_different == 50
    assert validation.epoch == 3


def test_a_line_of_json_for_each_report(tmp_path):
    path = tmp_path / "new" / "reports.jsonl"
    report = kbs.VerificationReport(clusters(), filepath=path, n_resamples=100)
    for _ in range(2):  # the second training replaces the first one's lines
        fit(report, epochs=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert lines[-1]["micro"]["eer"] == report.report_.eer
    assert len(lines[-1]["intervals"]["micro"]["eer"]) == 2
    fit(kbs.VerificationReport(clusters(), filepath=path, append=True), epochs=1)
    assert len(path.read_text().splitlines()) == 3


def test_images_for_tensorboard(tmp_path):
    pytest.importorskip("matplotlib")
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    report = kbs.VerificationReport(clusters(), log_dir=tmp_path)
    fit(report, epochs=2)
    (path,) = tmp_path.iterdir()
    events = list(loader.RawEventFileLoader(str(path)).Load())
    found = [event for event in events if b"\x89PNG" in event]
    assert len(found) == 2
    assert b"verification_report" in found[0]


def test_prints_to_the_sink():
    lines = []
    fit(kbs.VerificationReport(clusters(), verbose=1, sink=lines.append), epochs=2)
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2"]
    assert "equal error rate" in lines[0]


@pytest.mark.parametrize(("weights", "match"), [(np.nan, "is NaN for"), (0.0, "collapsed to one point")])
def test_a_broken_model_warns_and_has_no_entries(weights, match):
    model = compiled("mse")
    model.set_weights([np.full_like(one, weights) for one in model.get_weights()])
    report = kbs.VerificationReport(clusters(), higher_is_similar=False)
    report.set_model(model)
    logs = {}
    with pytest.warns(UserWarning, match=match):
        report.on_epoch_end(0, logs)
    assert logs == {}
    assert report.history_ == []


def test_adaptive_weights_and_validation_of_fit_go_together(x, y):
    model, pairs = compiled(), kbs.BalancedPairSequence(x, y, seed=0)
    adaptive = kbs.AdaptiveClassWeight(pairs, validation_data=(x, y))
    report = kbs.VerificationReport((x, y))
    test = kbs.BalancedPairSequence(x, y, seed=1, redraw=False)
    history = model.fit(pairs, epochs=2, verbose=0, validation_data=test, callbacks=[adaptive, report]).history
    assert {"val_loss", "val_eer", "class_error/rare"} <= set(history)


def test_a_training_too_short_for_a_report_warns():
    report = kbs.VerificationReport(clusters(), every=5)
    with pytest.warns(UserWarning, match=r"no verification report.*every=5, epochs=3"):
        fit(report, epochs=3)
    assert report.history_ == []


@pytest.mark.parametrize(("append", "expected"), [(False, 1), (True, 2)])
def test_a_new_training_starts_a_new_history(append, expected):
    report, model = kbs.VerificationReport(clusters(), append=append), compiled(run_eagerly=True)
    for _ in range(2):
        fit(report, epochs=1, model=model)
    assert len(report.history_) == expected


@pytest.mark.numpy_only
def test_bad_arguments_of_the_report(x, y):
    one_kind = kbs.BalancedPairSequence(x, y, batch_size=8, positive_fraction=0.0)
    for arguments, error, match in [
        ({"validation_data": x}, TypeError, r"\(x, y\) with class labels"),
        ({"validation_data": (x, None)}, TypeError, "single samples and their class labels.*y=None"),
        ({"validation_data": ((x, x), np.ones((len(x), 1)))}, ValueError, r"Both similar pairs.*\[1.0\]"),
        ({"validation_data": ([x, x[1:]], np.arange(len(x)) % 2 == 0)}, ValueError, r"arrays of \[59, 58\] items"),
        ({"validation_data": one_kind}, ValueError, "positive_fraction=0.0"),
        ({"every": 0}, ValueError, "every"),
        ({"class_counts": {"rare": -2}}, ValueError, "class_counts"),
        ({"far": 0.01}, TypeError, r"far=\[0.01\]"),
        ({"far": [0.1, 1.5]}, ValueError, "between 0 and 1"),
        ({"far": ["x"]}, TypeError, "far='x'"),
        ({"sink": None}, TypeError, "sink=None"),
    ]:
        with pytest.raises(error, match=match):
            kbs.VerificationReport(**{"validation_data": (x, y), **arguments})


def test_a_model_that_does_not_fit_is_found_before_training(x, y):
    report = kbs.VerificationReport((x, y), higher_is_similar=False)
    unknown = compiled()
    unknown = keras.Model(unknown.inputs, keras.layers.Dense(1)(unknown.output))
    unknown.compile("sgd", "mse")
    with pytest.raises(ValueError, match="higher_is_similar"):
        kbs.VerificationReport((x, y)).set_model(unknown)
    pairs = kbs.VerificationReport(((x, x), y), higher_is_similar=False)  # two arrays a side
    with pytest.raises(ValueError, match="2 inputs for pairs of 4 arrays"):
        pairs.set_model(compiled())
    with pytest.raises(ValueError, match="is for models that return scores; this one returns embeddings"):
        report.set_model(linear_encoder())
    model = compiled()
    with pytest.raises(ValueError, match=r"one score per pair.*\(None, 2\)"):
        report.set_model(keras.Model(model.inputs, keras.layers.Dense(2)(model.outputs[0])))
    with pytest.raises(ValueError, match="one output"):
        report.set_model(keras.Model(model.inputs, [model.outputs[0], model.outputs[0]]))
