"""Trainings that go on: several fits, `BackupAndRestore`, files of weights, `get_state` with `set_state`."""

import itertools
import json
import math

import keras
import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import shares_of, simulate
from toy import clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight
from keras_balanced_siamese._backend import PyDataset

EPOCHS, BREAK = 5, 3


class BreakOff(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == BREAK:
            raise InterruptedError


class Alternating(PyDataset):
    """A batch of the one sequence, a batch of the other, and so on."""

    def __init__(self, *sequences):
        super().__init__()
        self.sequences = sequences

    def __len__(self):
        return len(self.sequences[0])

    def __getitem__(self, index):
        return self.sequences[index % 2][index]


def sequence(**kwargs):
    return kbs.BalancedPairSequence(*clusters(), **{"seed": 0, **kwargs})


def write_errors(classes=("common", "medium", "rare")):
    """A callback that writes errors of the classes into the logs of each epoch, in place of a validation."""

    def write(epoch, logs):
        logs.update({f"error/{label}": 0.1 + 0.1 * k + 0.05 * k * epoch for k, label in enumerate(classes)})

    return keras.callbacks.LambdaCallback(on_epoch_end=write)


def broken_off(train, folder):
    """The result of a training that is broken off once, and restored."""
    with pytest.raises(InterruptedError):
        train(keras.callbacks.BackupAndRestore(folder), BreakOff())
    return train(keras.callbacks.BackupAndRestore(folder))


# Weights of a loss are variables of the compiled step; those of a sequence are not, so that step need not be compiled.
@pytest.mark.parametrize("kind", ["pair loss", "class loss", "sequence", "shares"])
def test_a_training_that_was_broken_off_goes_on_as_if_not(kind, tmp_path, x, y):
    order = np.random.default_rng(0).permutation(len(y))
    mixed, codes = x[order], np.unique(y, return_inverse=True)[1][order]

    def train(*more):
        if kind == "class loss":
            model = linear_encoder()
            model.compile("sgd", kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(range(3), 1.0)))
            data, adapt = {"x": mixed, "y": codes, "batch_size": 20}, AdaptiveClassWeight()
        elif kind == "pair loss":
            model, data, adapt = compiled(), {"x": sequence(redraw=False)}, AdaptiveClassWeight()
        else:
            pairs = sequence(class_sampling="natural" if kind == "shares" else "balanced")
            model, data = compiled(run_eagerly=True), {"x": pairs}
            adapt = AdaptiveClassWeight(
                pairs, adapt="sampling" if kind == "shares" else "weights", validation_data=(x, y)
            )
        model.fit(**data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[adapt, *more])
        return model.get_weights()[0], adapt

    expected, whole = train()
    found, resumed = broken_off(train, tmp_path)
    np.testing.assert_array_equal(found, expected)
    assert resumed.get_state() == whole.get_state()
    assert resumed.history_ == whole.history_[BREAK:]
    assert resumed.history_[0] != whole.history_[0]


def test_two_sequences_are_restored_each_with_its_own_state(tmp_path):
    def train(*more):
        sequences = sequence(), sequence(class_sampling="natural", seed=1)
        adapts = [AdaptiveClassWeight(one, monitor="error") for one in sequences]
        callbacks = [write_errors(), *adapts, *more]
        data, fit = Alternating(*sequences), {"epochs": EPOCHS, "verbose": 0, "shuffle": False}
        compiled(run_eagerly=True).fit(data, callbacks=callbacks, **fit)
        return [one.get_state() for one in adapts]

    whole = train()
    assert whole[0] != whole[1]
    assert broken_off(train, tmp_path) == whole


def test_several_fits_in_a_row_are_one_training():
    def train(*epochs):
        pairs, model, callback = sequence(redraw=False), compiled(), AdaptiveClassWeight()
        for begin, end in itertools.pairwise(epochs):
            model.fit(pairs, initial_epoch=begin, epochs=end, verbose=0, shuffle=False, callbacks=[callback])
        return callback

    one, three = train(0, 6), train(0, 2, 3, 6)
    assert [row["epoch"] for row in three.history_] == [0, 1, 2, 3, 4, 5]
    assert three.history_ == one.history_
    assert three.get_state() == one.get_state()


def test_a_model_keeps_no_more_states_than_a_fit_has_callbacks(pairs):
    model, fit = compiled(run_eagerly=True), {"epochs": 1, "verbose": 0}
    for _ in range(3):
        adapts = [AdaptiveClassWeight(pairs, monitor="error", warmup_epochs=0) for _ in range(2)]
        model.fit(pairs, callbacks=[write_errors(), *adapts], **fit)
    model.fit(pairs, callbacks=[write_errors(), *adapts[::-1]], **fit)
    assert sorted(name for name in vars(model) if "adaptive" in name) == [
        "_adaptive_class_weight_data",
        "_adaptive_class_weight_data_1",
    ]


def test_weights_loaded_after_a_training_leave_its_sequence_alone(tmp_path, pairs):
    model, path = compiled(run_eagerly=True), str(tmp_path / "model.weights.h5")
    callback = AdaptiveClassWeight(pairs, monitor="error")
    model.fit(pairs, epochs=2, verbose=0, callbacks=[write_errors(), callback])
    model.save_weights(path)
    saved = dict(pairs.class_weight)
    model.fit(pairs, initial_epoch=2, epochs=4, verbose=0, callbacks=[write_errors(), callback])
    before = dict(pairs.class_weight)
    assert before != saved
    model.load_weights(path)
    assert dict(pairs.class_weight) == before


def test_a_file_with_the_state_of_other_classes_can_be_opened(tmp_path):
    def trained(counts):
        x, y = clusters(counts)
        model, pairs = compiled(run_eagerly=True), kbs.BalancedPairSequence(x, y, seed=0)
        adapt = AdaptiveClassWeight(pairs, monitor="error")
        model.fit(pairs, epochs=2, verbose=0, callbacks=[write_errors(counts), adapt])
        return model, adapt

    one, _ = trained({"a": 9, "b": 9})
    two, adapt = trained({"p": 9, "q": 9, "r": 9})
    before, path = adapt.get_state(), str(tmp_path / "model.weights.h5")
    one.save_weights(path)
    two.load_weights(path)
    np.testing.assert_array_equal(two.get_weights()[0], one.get_weights()[0])
    assert adapt.get_state() == before
    opening = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: two.load_weights(path))
    if hasattr(keras, "ops"):
        with pytest.warns(UserWarning, match="is not used.*must be of the classes"):
            two.fit(adapt.target, epochs=0, verbose=0, callbacks=[adapt, opening])
    else:  # only checkpoints carry the state there
        two.fit(adapt.target, epochs=0, verbose=0, callbacks=[adapt, opening])
    assert adapt.get_state() == before


@pytest.mark.skipif(hasattr(keras, "ops"), reason="Keras 3 has no such format")
def test_an_adapted_model_can_be_saved_as_a_saved_model(tmp_path, x, y, pairs):
    model, callbacks = compiled(), [AdaptiveClassWeight(), AdaptiveClassWeight(pairs, validation_data=(x, y))]
    model.fit(pairs, epochs=2, verbose=0, callbacks=callbacks)
    model.save(tmp_path / "folder")
    again = keras.models.load_model(tmp_path / "folder", compile=False)
    expected = model.predict([x, x[::-1]], verbose=0)
    np.testing.assert_allclose(again.predict([x, x[::-1]], verbose=0), expected, atol=1e-6)


# --- states of callbacks that are driven by hand ----------------------------------------------------------------------


def test_a_state_goes_into_another_callback():
    errors = [[0.1, 0.1, 0.5 + 0.1 * epoch] for epoch in range(9)]
    # the rare class is at the upper bound, which is about to fall
    arguments = {"monitor": "error", "tau": 0.5, "bounds": (0.2, 1.5)}
    one = AdaptiveClassWeight(sequence(), **arguments)
    simulate(one, errors[:5])
    again = AdaptiveClassWeight(sequence(), warmup_epochs=0, **arguments)
    with pytest.raises(ValueError, match="no state before"):
        again.get_state()
    again.set_state(json.loads(json.dumps(one.get_state())))
    later, _ = simulate(again, errors[5:])
    whole, _ = simulate(AdaptiveClassWeight(sequence(), **arguments), errors)
    np.testing.assert_array_equal(later, whole[5:])
    assert whole[-1, 2] < whole[4, 2]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": ["a", "b", "c"]}, "must be of the classes"),
        ({"adapt": "sampling"}, r"adapt='weights'.*Received: one of adapt='sampling'"),
    ],
    ids=["classes", "adapt"],
)
def test_a_state_must_be_of_the_same_classes_and_kind(change, match, pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error")
    simulate(callback, [[0.1, 0.2, 0.3]])
    with pytest.raises(ValueError, match=match):
        callback.set_state({**callback.get_state(), **change})


@pytest.mark.parametrize("sampling", ["natural", {"common": 0.5, "medium": 0.3, "rare": 0.2}], ids=["natural", "given"])
def test_resumed_shares_remember_whether_they_were_given(sampling):
    def pairs():
        data = clusters({"common": 200, "medium": 60, "rare": 20})
        return kbs.BalancedPairSequence(*data, class_sampling=sampling, max_repeats=None, seed=0)

    errors, arguments = [0.1, 0.2, 0.3], {"adapt": "sampling", "monitor": "error"}
    whole, first = (AdaptiveClassWeight(pairs(), **arguments) for _ in range(2))
    simulate(whole, [errors] * 9)
    simulate(first, [errors] * 3)
    second = AdaptiveClassWeight(first.target, warmup_epochs=0, **arguments)
    second.set_state(json.loads(json.dumps(first.get_state())))
    simulate(second, [errors] * 6)
    np.testing.assert_array_equal(shares_of(second.target), shares_of(whole.target))


def test_a_state_obeys_the_bounds_of_the_callback_that_takes_it():
    errors, arguments = [0.1, 0.1, 0.9], {"monitor": "error", "tau": 1.0}
    wide = AdaptiveClassWeight(sequence(), bounds=(0.01, 3.0), **arguments)
    simulate(wide, [errors] * 6)
    narrow = AdaptiveClassWeight(sequence(), bounds=(0.5, 1.5), max_step=None, **arguments)
    narrow.set_state(wide.get_state())
    weights, _ = simulate(narrow, [errors] * 3)
    assert weights[0].max() > 2.0  # the epoch of the warm-up
    assert weights[-1].max() <= 1.5 + 1e-9
    wider = AdaptiveClassWeight(sequence(), bounds=(0.01, 9.0), **arguments)
    wider.set_state(narrow.get_state())
    assert simulate(wider, [errors] * 3)[0][-1].max() > 1.6


def test_shares_have_the_sum_one_where_bounds_leave_no_room():
    data = clusters({"common": 40, "rare": 40})
    pairs = kbs.BalancedPairSequence(*data, class_sampling={"common": 0.8, "rare": 0.2}, seed=0)
    arguments = {"adapt": "sampling", "monitor": "error", "tau": 1.0, "warmup_epochs": 0}
    wide = AdaptiveClassWeight(pairs, bounds=(0.01, 4.0), **arguments)
    simulate(wide, [[0.1, 0.9]] * 4)
    assert shares_of(pairs)[1] > 0.4
    narrow = AdaptiveClassWeight(pairs, bounds=(0.5, 1.5), max_step=None, **arguments)
    narrow.set_state(wide.get_state())
    simulate(narrow, [[math.nan, 0.9]])  # only one of both may move, and has to
    assert shares_of(pairs).sum() == pytest.approx(1.0, abs=1e-12)
    assert shares_of(pairs)[1] < 0.5


def strict(state):
    """A state through JSON that knows no NaN."""
    return json.loads(json.dumps(state, allow_nan=False))


def test_a_state_is_strict_json_before_the_first_epoch_too(pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error")
    callback.set_model(compiled())
    again = AdaptiveClassWeight(pairs, monitor="error")
    again.set_state(strict(callback.get_state()))
    later, _ = simulate(again, [[0.1, 0.2, 0.3]] * 4)
    np.testing.assert_array_equal(
        later, simulate(AdaptiveClassWeight(sequence(), monitor="error"), [[0.1, 0.2, 0.3]] * 4)[0]
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -5.0, 1e39, "2", None])
@pytest.mark.parametrize("name", ["weights", "start"])
@pytest.mark.parametrize("started", [True, False])
def test_a_state_with_impossible_weights_is_refused(bad, name, started, pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error")
    simulate(callback, [[0.1, 0.2, 0.3]] * 3)
    state, weights = callback.get_state(), dict(pairs.class_weight)
    target = callback if started else AdaptiveClassWeight(pairs, monitor="error")
    for values in ([*state[name][:-1], bad], [0.0] * 3, state[name][:2], 1.0):
        with pytest.raises((ValueError, TypeError), match=f"`{name}`.*Received"):
            target.set_state({**state, name: values})
    assert dict(pairs.class_weight) == weights
    assert callback.get_state() == state


@pytest.mark.parametrize(
    "change",
    [
        {"errors": [math.inf, 0.1, 0.1]},
        {"counts": [-1.0, 1.0, 1.0]},
        {"upper_bounds": {"bound": -1.0, "highest": [1.0] * 3, "waited": [0.0] * 3, "best": [1.0] * 3}},
        {"upper_bounds": {"bound": 9.0, "highest": [0.0] * 3, "waited": [0.0] * 3, "best": [1.0] * 3}},
        {"upper_bounds": {"bound": 9.0, "highest": [1.0] * 2, "waited": [0.0] * 3, "best": [1.0] * 3}},
    ],
)
def test_a_state_with_impossible_statistics_is_refused(change, pairs):
    callback = AdaptiveClassWeight(pairs, monitor="error")
    simulate(callback, [[0.1, 0.2, 0.3]] * 3)
    with pytest.raises(ValueError, match="Received"):
        callback.set_state({**callback.get_state(), **change})
