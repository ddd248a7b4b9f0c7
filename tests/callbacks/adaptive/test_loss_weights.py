"""The live class weights of a loss as the target."""

import keras
import numpy as np
import pytest
from toy import clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight


@pytest.fixture
def codes(y):
    """The labels `y` as 0, 1 and 2."""
    return np.unique(y, return_inverse=True)[1]


def even(n_classes):
    return dict.fromkeys(range(n_classes), 1.0)


def test_a_callback_that_joins_a_second_fit_records_too(pairs):
    model = compiled()
    model.fit(pairs, epochs=1, verbose=0)
    before = model.evaluate(pairs, verbose=0)
    history = model.fit(pairs, epochs=3, verbose=0, callbacks=[AdaptiveClassWeight()]).history
    assert np.isfinite(history["class_loss/0"]).all()
    assert history["class_weight/1"][2] != 1.0
    assert np.ndim(before) == np.ndim(model.evaluate(pairs, verbose=0)) == 0  # evaluate returns what it returned


def test_attaching_leaves_the_model_as_it_is(pairs):
    model = compiled()
    before = [w.shape for w in model.get_weights()], model.count_params(), len(model.layers)
    model.fit(pairs, epochs=2, verbose=0, callbacks=[AdaptiveClassWeight()])
    assert ([w.shape for w in model.get_weights()], model.count_params(), len(model.layers)) == before
    assert int(model.optimizer.iterations) == 2 * len(pairs)


def test_a_loss_on_natural_batches_finds_the_frequencies():
    x, y = clusters({"common": 80, "medium": 30, "rare": 10})
    encoder, loss = linear_encoder(), kbs.WeightedBatchContrastiveLoss(class_weight=even(3))
    encoder.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    codes, callback = np.unique(y, return_inverse=True)[1], AdaptiveClassWeight(tau=0.0)
    encoder.fit(x, codes, batch_size=120, epochs=8, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(list(loss.class_weight.values()), [40 / 80, 40 / 30, 40 / 10], rtol=1e-6)


def test_a_class_that_no_epoch_draws_does_not_move_the_others(x, codes):
    encoder, loss = linear_encoder(), kbs.WeightedBatchContrastiveLoss(class_weight=even(4))
    encoder.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    encoder.fit(x, codes, batch_size=59, epochs=8, verbose=0, callbacks=[AdaptiveClassWeight(tau=0.0)])
    np.testing.assert_allclose(list(loss.class_weight.values()), [59 / 3 / 40, 59 / 3 / 14, 59 / 3 / 5, 1.0], rtol=1e-6)


def test_the_mean_weight_stays_one_though_batches_differ():
    x, y = clusters({"common": 80, "medium": 30, "rare": 8})
    codes = np.unique(y, return_inverse=True)[1]
    encoder, loss = linear_encoder(), kbs.WeightedTripletLoss(class_weight=even(3))
    encoder.compile(keras.optimizers.SGD(0.0), loss)
    callback, rng, means = AdaptiveClassWeight(tau=2.0, warmup_epochs=0), np.random.default_rng(0), []
    for epoch in range(8):
        order = rng.permutation(len(x))  # the smallest class does not always meet itself in a batch
        fit = {"initial_epoch": epoch, "epochs": epoch + 1, "verbose": 0, "shuffle": False}
        encoder.fit(x[order], codes[order], batch_size=13, callbacks=[callback], **fit)
        counts, weights = np.array(callback.get_state()["counts"]), np.array(list(loss.class_weight.values()))
        means.append((counts * weights).sum() / counts.sum())
    np.testing.assert_allclose(means, 1.0, rtol=1e-6)


def test_weights_that_correct_balanced_batches_again_warn_once(x, codes):
    batches = kbs.BalancedBatchSequence(x, codes, 3, 2, max_repeats=None, seed=0)

    def train(weights, data, epochs, **kwargs):
        encoder = linear_encoder()
        encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=weights), run_eagerly=True)
        encoder.fit(data, epochs=epochs, verbose=0, callbacks=[AdaptiveClassWeight()], **kwargs)

    static = {int(label): weight for label, weight in kbs.class_weights(codes).items()}
    match = r"2 is drawn 1 times as often as 0, and counts 8 times as much.*corrected twice"
    with pytest.warns(UserWarning, match=match) as caught:
        train(static, batches, 3)
    assert sum("corrected twice" in str(one.message) for one in caught) == 1
    train(static, x, 2, y=codes, batch_size=59)  # natural batches: the suite turns warnings into errors
    train(even(3), batches, 2)


def test_a_subclassed_model_that_is_built_already(x, codes):
    class Encoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs):
            return self.dense(inputs)

    encoder = Encoder()
    encoder(x[:2])
    n_weights = len(encoder.weights)
    for _ in range(2):  # compiled again, and so another loss
        encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=even(3)))
        encoder.fit(x, codes, batch_size=59, epochs=1, verbose=0)
        encoder.fit(x, codes, batch_size=59, epochs=2, verbose=0, callbacks=[AdaptiveClassWeight()])
        assert len(set(encoder.loss.class_weight.values())) > 1
    assert len(encoder.weights) == n_weights


def test_an_assignment_that_a_compiled_step_cannot_see_warns(x, y):
    loss = kbs.WeightedContrastiveLoss()
    model, pairs = compiled(loss, keras.optimizers.SGD(0.0)), kbs.BalancedPairSequence(x, y, seed=0, redraw=False)
    first = model.fit(pairs, epochs=1, verbose=0).history["loss"][0]
    if keras.backend.backend() == "jax":
        with pytest.warns(UserWarning, match=r"keeps the old class weights.*model\.compile"):
            loss.class_weight = {0: 10.0, 1: 10.0}
        model.compile(keras.optimizers.SGD(0.0), loss)
    else:
        loss.class_weight = {0: 10.0, 1: 10.0}
    assert model.fit(pairs, epochs=1, verbose=0).history["loss"][0] == pytest.approx(10 * first, rel=1e-5)


def test_a_loss_moved_to_a_model_without_callback_is_not_stale(x, y):
    loss, pairs = kbs.WeightedContrastiveLoss(), kbs.BalancedPairSequence(x, y, seed=0, redraw=False)
    compiled(loss).fit(pairs, epochs=2, verbose=0, callbacks=[AdaptiveClassWeight(loss)])
    loss.class_weight = {0: 1.0, 1: 1.0}
    second = compiled(loss, keras.optimizers.SGD(0.0))
    first = second.fit(pairs, epochs=1, verbose=0).history["loss"][0]
    if keras.backend.backend() == "jax":
        with pytest.warns(UserWarning, match="keeps the old class weights"):
            loss.class_weight = {0: 10.0, 1: 10.0}
    else:
        loss.class_weight = {0: 10.0, 1: 10.0}
        assert second.fit(pairs, epochs=1, verbose=0).history["loss"][0] == pytest.approx(10 * first, rel=1e-5)


def test_saved_weights_go_to_a_loss_of_the_same_classes_only():
    stored = {}
    kbs.WeightedTripletLoss(class_weight={0: 2.0, 1: 3.0}).save_own_variables(stored)
    same, others = (kbs.WeightedTripletLoss(class_weight=dict.fromkeys(keys, 1.0)) for keys in ([0, 1], [5, 7]))
    same.load_own_variables(stored)
    assert dict(same.class_weight) == {0: 2.0, 1: 3.0}
    with pytest.warns(UserWarning, match="Class weights are not loaded"):
        others.load_own_variables(stored)
    assert dict(others.class_weight) == {5: 1.0, 7: 1.0}


# --- ready-made pairs -------------------------------------------------------------------------------------------------


def rare_pairs(similar=10, different=90):
    rng = np.random.default_rng(0)
    sides = tuple(rng.normal(size=(similar + different, 4)).astype("float32") for _ in range(2))
    return sides, np.repeat([1.0, 0.0], [similar, different]).astype("float32")


def weights_by_epoch(loss=None, counts=(10, 90), epochs=3, **kwargs):
    head = isinstance(loss, kbs.WeightedBinaryCrossentropy)
    model = kbs.siamese_model(linear_encoder(), probability=head)
    model.compile(keras.optimizers.SGD(0.0), loss or kbs.WeightedContrastiveLoss())
    callback = AdaptiveClassWeight(**kwargs)
    model.fit(*rare_pairs(*counts), batch_size=20, epochs=epochs, verbose=0, callbacks=[callback])
    return np.array([list(row["weights"].values()) for row in callback.history_]), callback


@pytest.mark.parametrize("loss", [kbs.WeightedContrastiveLoss, kbs.WeightedBinaryCrossentropy, kbs.WeightedCosineLoss])
def test_rare_pair_labels_are_corrected_after_the_first_epoch(loss):
    static = list(kbs.class_weights(np.repeat([0, 1], [90, 10])).values())
    weights, callback = weights_by_epoch(loss(), warmup_epochs=2)
    np.testing.assert_allclose(weights, [[1.0, 1.0], static, static], rtol=1e-5)
    assert [row["skipped"] for row in callback.history_] == [None, "warm-up", None]


def test_the_correction_of_rare_pair_labels_stays_within_the_bounds():
    weights, _ = weights_by_epoch(bounds=(0.5, 3.0), warmup_epochs=9)
    np.testing.assert_allclose(weights[1], [(100 - 3 * 10) / 90, 3.0], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:AdaptiveClassWeight has changed nothing:UserWarning")
@pytest.mark.parametrize(
    ("loss", "counts", "kwargs"),
    [
        (None, (45, 55), {}),
        (kbs.WeightedContrastiveLoss(class_weight={0: 1.0, 1: 3.0}), (10, 90), {}),
        (None, (10, 90), {"strategy": "cdb"}),
        (None, (0, 100), {}),
    ],
    ids=["balanced", "given", "other strategy", "one label"],
)
def test_other_starts_are_left_to_the_updates(loss, counts, kwargs):
    weights, callback = weights_by_epoch(loss, counts, warmup_epochs=3, **kwargs)
    np.testing.assert_array_equal(weights[1:], weights[:-1])
    assert callback.history_[0]["skipped"] == "warm-up"
