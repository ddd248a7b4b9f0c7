"""Callbacks and the data of `fit`: unused data, copies of callbacks, other models, interrupted trainings."""

import copy

import keras
import numpy as np
import pytest
from toy import BACKEND, WAYS_TO_COMPILE, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight
from keras_balanced_siamese._backend import PyDataset

UNUSED = r"drawn no batch of this epoch.*Received: a BalancedPairSequence of which `fit` has drawn 0 of 8 batches"


def sequence(**kwargs):
    return kbs.BalancedPairSequence(*clusters(), **{"batch_size": 8, "seed": 0, **kwargs})


def natural(**kwargs):
    return sequence(class_sampling="natural", **kwargs)


def adaptive(pairs, **kwargs):
    return AdaptiveClassWeight(pairs, validation_data=clusters(), **kwargs)


class Wrapper(PyDataset):
    """A data set of the user around a sequence."""

    def __init__(self, pairs, **kwargs):
        super().__init__(**kwargs)
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


class InterruptAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch=1):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


# --- data that serves nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [adaptive, kbs.HardPairMining], ids=["adaptive", "mining"])
def test_a_callback_on_data_that_fit_does_not_draw_from_is_an_error(make):
    stale, model = sequence(), compiled()
    fit = {"epochs": 3, "verbose": 0, "callbacks": [make(stale)]}
    for data in (sequence(), copy.copy(stale)):
        with pytest.raises(ValueError, match=UNUSED):
            model.fit(data, **fit)
    assert set(stale.class_weight.values()) == {1.0}


def test_mining_the_whole_while_fit_draws_from_a_part_is_an_error():
    whole = sequence(steps_per_epoch=8)
    with pytest.raises(ValueError, match=r"no pair was mined.*where `fit` gets a part"):
        compiled().fit(whole.shard(0, 2), verbose=0, callbacks=[kbs.HardPairMining(whole)])


def test_a_second_fit_on_other_data_is_an_error_too():
    pairs, model = sequence(), compiled()
    callback = adaptive(pairs)
    model.fit(pairs, epochs=2, verbose=0, callbacks=[callback])
    with pytest.raises(ValueError, match=UNUSED):
        model.fit(sequence(), initial_epoch=2, epochs=4, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("how", WAYS_TO_COMPILE, ids=str)
def test_every_way_to_compile_draws_from_the_data(how):
    pairs = sequence()
    compiled(**how).fit(pairs, epochs=2, verbose=0, callbacks=[adaptive(pairs), kbs.HardPairMining(pairs)])


def test_a_wrapper_that_reads_the_data_passes():
    pairs = sequence()
    compiled().fit(Wrapper(pairs), epochs=2, verbose=0, callbacks=[adaptive(pairs)])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="needs TensorFlow")
def test_a_tf_dataset_of_the_data_passes():
    pairs = sequence()
    compiled().fit(pairs.to_tf_dataset().prefetch(20), epochs=3, verbose=0, shuffle=False, callbacks=[adaptive(pairs)])


def test_fewer_steps_than_the_data_has_pass():
    pairs = sequence()
    compiled().fit(pairs, steps_per_epoch=3, epochs=2, verbose=0, callbacks=[kbs.HardPairMining(pairs)])


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.skipif(BACKEND == "jax", reason="JAX must not fork")
def test_worker_processes_that_read_the_data_pass():
    pairs, model = sequence(), compiled()
    if hasattr(keras, "ops"):
        data, workers = Wrapper(pairs, workers=2, use_multiprocessing=True), {}
    else:
        data, workers = Wrapper(pairs), {"workers": 2, "use_multiprocessing": True}
    model.fit(data, epochs=2, verbose=0, callbacks=[adaptive(pairs)], **workers)


# --- copies of callbacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name"),
    [(adaptive, "target"), (kbs.HardPairMining, "pairs"), (lambda _: kbs.VerificationReport(clusters()), "_pairs")],
    ids=["adaptive", "mining", "report"],
)
def test_a_deep_copy_shares_the_data_and_has_its_own_state(make, name):
    pairs = sequence()
    original = make(pairs)
    (fresh,) = copy.deepcopy([original])
    compiled().fit(pairs, epochs=3, verbose=0, callbacks=[fresh])
    trained = copy.deepcopy(fresh)
    for one in (fresh, trained):
        assert getattr(one, name) is getattr(original, name)
    history = getattr(fresh, "history_", [])
    assert getattr(trained, "history_", []) == history
    assert getattr(original, "history_", []) == []
    compiled().fit(pairs, epochs=2, verbose=0, callbacks=[trained])
    assert getattr(fresh, "history_", []) == history


def test_each_trial_of_a_tuner_trains_as_the_first():
    pairs = natural()
    callbacks = [adaptive(pairs), kbs.HardPairMining(pairs), kbs.VerificationReport(clusters())]
    fit = {"epochs": 4, "verbose": 0, "shuffle": False}
    trials = [compiled().fit(pairs, callbacks=copy.deepcopy(callbacks), **fit).history for _ in range(3)]
    for other in trials[1:]:
        for name, values in trials[0].items():
            np.testing.assert_allclose(other[name], values, rtol=1e-5, err_msg=name)


# --- several models with the same data --------------------------------------------------------------------------------


@pytest.mark.parametrize("same_callback", [True, False], ids=["the same callback", "a new callback"])
@pytest.mark.parametrize("adapt", ["weights", "sampling"])
def test_another_model_begins_with_the_starting_values(adapt, same_callback):
    pairs, fit = natural(), {"epochs": 4, "verbose": 0, "shuffle": False}
    one, two = adaptive(pairs, adapt=adapt), adaptive(pairs, adapt=adapt)
    first = compiled().fit(pairs, callbacks=[one], **fit).history
    second = compiled().fit(pairs, callbacks=[one if same_callback else two], **fit).history
    names = [name for name in first if name.startswith(("class_weight/", "class_share/"))]
    assert len(names) == 3
    for name in names:
        np.testing.assert_allclose(second[name], first[name], rtol=1e-5, err_msg=name)
        assert first[name][0] != first[name][3]


def test_another_model_with_the_same_loss_begins_with_the_starting_weights():
    pairs, loss = sequence(positive_fraction=0.2), kbs.WeightedContrastiveLoss()
    fit = {"epochs": 4, "verbose": 0, "shuffle": False}
    one, two = (compiled(loss).fit(pairs, callbacks=[AdaptiveClassWeight()], **fit).history for _ in range(2))
    assert one["class_weight/1"][0] == two["class_weight/1"][0] == 1.0
    assert one["class_weight/1"][3] > 1.5


def test_values_that_were_assigned_since_are_kept():
    pairs, given = natural(), {"common": 1.0, "medium": 2.0, "rare": 4.0}
    compiled().fit(pairs, epochs=3, verbose=0, shuffle=False, callbacks=[adaptive(pairs)])
    pairs.class_weight = given
    callback = adaptive(pairs)
    compiled().fit(pairs, epochs=2, verbose=0, callbacks=[callback])
    assert callback.history_[0]["weights"] == given


def test_the_same_model_goes_on_with_a_new_callback():
    pairs, model = natural(), compiled()
    first = adaptive(pairs)
    model.fit(pairs, epochs=3, verbose=0, callbacks=[first])
    left, second = dict(pairs.class_weight), adaptive(pairs)
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    model.fit(pairs, initial_epoch=3, epochs=5, verbose=0, callbacks=[second])
    assert second.history_[0]["weights"] == left
    assert second.get_state()["start"] == first.get_state()["start"] == [1.0, 1.0, 1.0]


def test_a_state_that_was_set_goes_into_the_training_of_another_model():
    pairs = natural()
    callback = adaptive(pairs)
    compiled().fit(pairs, epochs=3, verbose=0, callbacks=[callback])
    state = callback.get_state()
    callback.set_state(state)
    compiled().fit(pairs, initial_epoch=3, epochs=4, verbose=0, callbacks=[callback])
    assert list(callback.history_[3]["weights"].values()) == state["weights"]


# --- interrupted trainings --------------------------------------------------------------------------------------------


def test_weights_loaded_after_an_interrupted_training_leave_the_data_alone(tmp_path):
    pairs, model, path = natural(), compiled(run_eagerly=True), str(tmp_path / "model.weights.h5")
    callback = adaptive(pairs)
    model.fit(pairs, epochs=2, verbose=0, callbacks=[callback])
    model.save_weights(path)
    saved = dict(pairs.class_weight)
    with pytest.raises(KeyboardInterrupt):
        model.fit(pairs, initial_epoch=2, epochs=6, verbose=0, callbacks=[callback, InterruptAt(4)])
    before = dict(pairs.class_weight)
    assert before != saved
    model.load_weights(path)
    assert dict(pairs.class_weight) == before


def test_a_training_after_an_interrupted_one_begins_clean(tmp_path):
    def train(interrupted):
        pairs, model = natural(), compiled()
        path = tmp_path / f"{interrupted}.jsonl"
        callbacks = [
            kbs.HardPairMining(pairs, warmup_epochs=0),
            adaptive(pairs, warmup_epochs=0),
            kbs.VerificationReport(clusters(), filepath=path),
        ]
        start = model.get_weights()
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                model.fit(pairs, epochs=6, verbose=0, callbacks=[*callbacks, InterruptAt(0)])
            model.set_weights(start)
        model.fit(pairs, epochs=3, verbose=0, shuffle=False, callbacks=callbacks)
        return callbacks[1].get_state(), callbacks[2].history_, model.get_weights(), path.read_text()

    whole, again = train(False), train(True)
    assert again[:2] == whole[:2]
    np.testing.assert_array_equal(again[2], whole[2])
    assert again[3] == whole[3]


def test_the_record_of_a_loss_begins_clean_after_an_interruption(x, y):
    def losses(interrupted):
        pairs, model = sequence(redraw=False), compiled(optimizer=keras.optimizers.SGD(0.0))
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                model.fit(pairs, verbose=0, callbacks=[AdaptiveClassWeight(), InterruptAt(0, 3)])
            pairs.set_epoch(0)
        callback = AdaptiveClassWeight(warmup_epochs=0)
        history = model.fit(pairs, epochs=1, verbose=0, callbacks=[callback]).history
        return history["class_loss/0"][0], *callback.get_state()["counts"]

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)


def test_a_mined_plan_is_not_mined_again():
    pairs, encoder = sequence(), linear_encoder()
    model = kbs.siamese_model(encoder)
    model.compile(keras.optimizers.SGD(0.0), kbs.WeightedContrastiveLoss())
    seen = []
    look = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(pairs.plan.pairs.copy()))
    for _ in range(2):
        model.fit(pairs, steps_per_epoch=2, verbose=0, callbacks=[kbs.HardPairMining(pairs, warmup_epochs=0), look])
    np.testing.assert_array_equal(*seen)
