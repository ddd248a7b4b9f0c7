"""Losses on batches inside a compiled model: ways to compile, mixed precision, recorded losses of classes."""

import functools

import keras
import numpy as np
import pytest
from losses.references import batch, distance, partners, slow_active_contrastive
from toy import WAYS_TO_COMPILE

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import PyDataset

LOSSES = {
    "contrastive": kbs.WeightedBatchContrastiveLoss,
    "triplet": kbs.WeightedTripletLoss,
    "all": lambda **k: kbs.WeightedTripletLoss(mining="all", **k),
    "supervised": kbs.WeightedSupervisedContrastiveLoss,
    "transfer": lambda **k: kbs.WeightedSupervisedContrastiveLoss(feature_transfer=2, **k),
    "similarity": kbs.WeightedMultiSimilarityLoss,
}


def several(names=tuple(LOSSES), learning_rate=0.001, **compile_options):
    """One encoder with an output for each loss, so that one compiled step contains all of them."""
    inputs = keras.Input((4,))
    embedding = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(seed=0))(inputs)
    outputs = [keras.layers.Activation("linear", name=name)(embedding) for name in names]
    model = keras.Model(inputs, outputs)
    given = [LOSSES[name](class_weight={0: 0.5, 1: 1.0, 2: 2.0}) for name in names]
    model.compile(keras.optimizers.SGD(learning_rate), loss=given, **compile_options)
    return model


class ForSeveral(PyDataset):
    def __init__(self, n=6):
        super().__init__()
        self.n = n
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(3), (30, 12, 6))
        x = rng.normal(size=(48, 4)) + rng.normal(size=(3, 4))[y]
        self.batches = kbs.BalancedBatchSequence(x.astype("float32"), y, 3, 4, seed=0)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        x, y, w = self.batches[index]
        return x, (y,) * self.n, (w,) * self.n


@functools.cache
def plain_history(names=tuple(LOSSES)):
    """Training in float32, compiled as Keras does by default."""
    return several(names).fit(ForSeveral(len(names)), epochs=3, shuffle=False, verbose=0).history


# PyTorch's compiler warns about the function that Keras creates for a custom gradient
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("how", WAYS_TO_COMPILE, ids=str)
def test_every_way_to_compile_gives_the_same_training(how):
    slow = keras.backend.backend() == "torch" and "jit_compile" in how  # a minute a loss
    names = ("triplet",) if slow else tuple(LOSSES)
    plain = plain_history(names)
    other = several(names, **how).fit(ForSeveral(len(names)), epochs=3, shuffle=False, verbose=0).history
    assert slow or plain["loss"][-1] < plain["loss"][0]
    for key, values in plain.items():
        np.testing.assert_allclose(other[key], values, rtol=1e-3, err_msg=key)


@functools.cache
def float32_losses():
    """The losses in float32 before any training; eagerly, as compiling takes longer."""
    return several(run_eagerly=True).evaluate(ForSeveral(), return_dict=True, verbose=0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_gives_the_losses_of_float32(policy):
    expected = float32_losses()
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = several(learning_rate=1e-6)  # small enough for the first epoch to show the losses before training
        start = model.get_weights()
        history = model.fit(ForSeveral(), epochs=3, shuffle=False, verbose=0).history
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(np.isfinite(values).all() for values in history.values())
    for key, value in expected.items():
        assert history[key][0] == pytest.approx(value, rel=0.02), key
    assert all((new != old).any() for new, old in zip(model.get_weights(), start, strict=True))


def test_weights_are_live_and_the_loss_of_each_class_is_recorded(tmp_path):
    labels, x = np.array([3, 3, 8, 8, 8, 3, 11, 11]), batch(8, 3)[1]
    new = {3: 0.5, 8: 2.0, 11: 1.0}
    loss = kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(new, 1.0))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.set_weights([np.eye(3)])
    model.compile(keras.optimizers.SGD(0.0), loss)
    adapt = kbs.AdaptiveClassWeight(
        strategy=lambda errors, weights, epoch: new, bounds=None, max_step=None, warmup_epochs=0
    )
    history = model.fit(x, labels, batch_size=8, epochs=2, verbose=0, callbacks=[adapt]).history
    factor = 8 / (3 * 0.5 + 3 * 2.0 + 2 * 1.0)  # to the mean 1 over the anchors
    for epoch, weights in enumerate([dict.fromkeys(new, 1.0), {c: w * factor for c, w in new.items()}]):
        assert [history[f"class_weight/{c}"][epoch] for c in new] == pytest.approx(list(weights.values()), rel=1e-5)
        w = [weights[c] for c in labels.tolist()]
        expected = slow_active_contrastive(labels.tolist(), x, w, margin=1.0, inner=0.0)
        assert history["loss"][epoch] == pytest.approx(expected, rel=1e-5)
    for c in new:  # the mean over the pairs of each anchor of the class, independent of the weights
        among = []
        for a in np.flatnonzero(labels == c):
            positives, negatives = partners(labels.tolist(), a)
            among.append(np.mean([distance("euclidean", x[a], x[p]) ** 2 for p in positives]) / 2)
            among[-1] += np.mean([max(1 - distance("euclidean", x[a], x[n]), 0) ** 2 for n in negatives]) / 2
        assert history[f"class_loss/{c}"] == pytest.approx([np.mean(among)] * 2, rel=1e-5)
    model.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    assert dict(again.loss.class_weight) == dict(loss.class_weight)
    assert float(again.loss(labels, x)) == pytest.approx(history["loss"][1], rel=1e-5)


def test_a_class_without_pairs_has_no_loss_and_keeps_its_weight():
    labels, x = np.array([0, 0, 1, 1, 2]), batch(5, 3)[1]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", kbs.WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0, 2: 1.0}))
    adapt = kbs.AdaptiveClassWeight(warmup_epochs=0)
    history = model.fit(x, labels, batch_size=5, epochs=3, verbose=0, callbacks=[adapt]).history
    assert np.isnan(history["class_loss/2"]).all()
    assert np.isfinite(history["class_loss/0"]).all()
    assert history["class_weight/2"] == [1.0, 1.0, 1.0]


def test_a_loss_without_weights_cannot_be_adapted():
    loss = kbs.WeightedTripletLoss()
    assert loss.class_weight is None
    assert loss.get_config()["class_weight"] is None
    with pytest.raises(ValueError, match="without class weights"):
        loss.class_weight = {0: 1.0}
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match="with `class_weight`"):
        model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0, callbacks=[kbs.AdaptiveClassWeight()])
    with pytest.raises(ValueError, match="class weights"):
        model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0, callbacks=[kbs.AdaptiveClassWeight(loss)])


def test_generated_items_are_not_counted():
    labels, x = np.array([3, 3, 8, 8, 8, 3, 11, 11]), batch(8, 3)[1]
    each = np.asarray(kbs.WeightedSupervisedContrastiveLoss(feature_transfer=2, reduction=None)(labels, x))
    loss = kbs.WeightedSupervisedContrastiveLoss(class_weight=dict.fromkeys((3, 8, 11), 1.0), feature_transfer=2)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.set_weights([np.eye(3)])
    model.compile("sgd", loss)
    loss.live_weights.attach_to(model)
    model.evaluate(x, labels, batch_size=8, verbose=0)
    means, counts = loss.live_weights.means_and_counts()
    np.testing.assert_array_equal(counts, [3, 3, 2])
    np.testing.assert_allclose(means, [each[labels == label].mean() for label in (3, 8, 11)], rtol=1e-5)
