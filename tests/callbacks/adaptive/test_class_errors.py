"""The error of each class, from validation data, and from the record of a loss."""

import keras
import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import measured
from toy import compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight


def scoring(probability):
    """A model that scores pairs, by a distance or a probability of the same distance."""
    model = kbs.siamese_model(linear_encoder(), probability=probability)
    model.compile("sgd", kbs.WeightedBinaryCrossentropy() if probability else kbs.WeightedContrastiveLoss())
    return model


@pytest.mark.parametrize("given", [True, None])
def test_probabilities_and_distances_give_the_same_errors(given, x, y, pairs):
    found = []
    for probability in (False, True):
        direction = probability if given else None
        callback = AdaptiveClassWeight(pairs, validation_data=(x, y), higher_is_similar=direction, warmup_epochs=0)
        found.append(measured(callback, scoring(probability)))
    np.testing.assert_allclose(*found, atol=1e-6)
    assert 0 < np.mean(found) < 0.5


def test_one_callback_finds_the_direction_of_each_model(x, y, pairs):
    callback = AdaptiveClassWeight(pairs, validation_data=(x, y), warmup_epochs=0)
    np.testing.assert_allclose(*(measured(callback, scoring(kind)) for kind in (False, True)), atol=1e-6)


def test_validation_pairs_stay_whatever_their_sequence_does(x, y, pairs):
    found = []
    for redraw in (True, False):
        validation = kbs.BalancedPairSequence(x, y, batch_size=16, seed=5, redraw=redraw)
        found.append(measured(AdaptiveClassWeight(pairs, validation_data=validation), compiled(), epochs=3))
        assert validation.epoch == 0
    np.testing.assert_allclose(found[0], np.ones((3, 1)) * found[0][:1])  # the model is not trained
    np.testing.assert_allclose(found[0], found[1])


LOSSES = [
    (kbs.WeightedBatchContrastiveLoss, {}, "euclidean"),
    (kbs.WeightedTripletLoss, {"distance": "squared"}, "euclidean"),
    (kbs.WeightedTripletLoss, {"distance": "cosine"}, "cosine"),
    (kbs.WeightedSupervisedContrastiveLoss, {}, "cosine"),
    (kbs.WeightedMultiSimilarityLoss, {}, "cosine"),
]


@pytest.mark.parametrize(("loss", "kwargs", "distance"), LOSSES)
def test_errors_of_embeddings_use_the_distance_of_the_loss(loss, kwargs, distance, x, y):
    codes = np.unique(y, return_inverse=True)[1]
    validation = kbs.BalancedPairSequence(x[::-1], codes[::-1], seed=3)
    encoder = linear_encoder()
    weighted = loss(class_weight=dict.fromkeys(range(3), 1.0), **kwargs)
    encoder.compile(keras.optimizers.SGD(0.0), weighted, run_eagerly=True)
    callback = AdaptiveClassWeight(validation_data=validation)
    encoder.fit(x, codes, batch_size=59, epochs=4, verbose=0, callbacks=[callback])
    points = encoder.predict(x[::-1], verbose=0).astype("float64")
    batches = [validation.indices(i) for i in range(len(validation))]
    left, right, similar = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    a, b = points[left], points[right]
    if distance == "cosine":
        d = 1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    else:
        d = np.linalg.norm(a - b, axis=1)
    classes = np.stack([codes[::-1][left], codes[::-1][right]], axis=1)
    expected = kbs.evaluate_pairs(d, similar, classes=classes, n_resamples=0).per_class
    for row in callback.history_:
        np.testing.assert_allclose(list(row["errors"].values()), [expected[c]["error"] for c in range(3)], atol=1e-6)
    assert callback.history_[-1]["weights"][2] > 1.5


def test_batches_with_class_names_have_errors_of_embeddings(x, y):
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0, class_sampling="natural")
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss())
    callback = AdaptiveClassWeight(batches, validation_data=(x, y))
    encoder.fit(batches, epochs=3, verbose=0, callbacks=[callback])
    errors = np.array([list(row["errors"].values()) for row in callback.history_])
    assert (errors > 0).any()
    assert (errors < 0.5).all()
    assert dict(batches.class_weight) != dict.fromkeys(batches.classes, 1.0)


def test_class_losses_are_the_unweighted_means_of_the_epoch(x, y):
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    validation = kbs.BalancedPairSequence(x, y, batch_size=8, seed=1, redraw=False)
    model = compiled(kbs.WeightedContrastiveLoss(class_weight={0: 0.2, 1: 5.0}), keras.optimizers.SGD(0.0))
    callback = AdaptiveClassWeight(warmup_epochs=0)
    history = model.fit(pairs, epochs=1, verbose=0, validation_data=validation, callbacks=[callback]).history
    for prefix, data in (("class_loss", pairs), ("val_class_loss", validation)):
        data.set_epoch(0)
        sides, similar, _ = zip(*(data[i] for i in range(len(data))), strict=True)
        left, right = (np.concatenate(side) for side in zip(*sides, strict=True))
        d, s = model.predict((left, right), verbose=0).ravel(), np.concatenate(similar).ravel()
        assert history[f"{prefix}/1"][0] == pytest.approx((d[s == 1] ** 2).mean(), rel=1e-5)
        assert history[f"{prefix}/0"][0] == pytest.approx((np.maximum(1 - d[s == 0], 0) ** 2).mean(), rel=1e-5)


def test_two_losses_have_validation_errors_of_their_own(x, y):
    codes = np.unique(y, return_inverse=True)[1]
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(2, name=name)(inputs) for name in "ab"])
    losses = [kbs.WeightedTripletLoss(m, class_weight=dict.fromkeys(range(3), 1.0)) for m in (1.0, 20.0)]
    model.compile("sgd", losses, run_eagerly=True)
    callbacks = [AdaptiveClassWeight(loss, monitor="val_class_loss") for loss in losses]
    data = (x, [codes, codes])
    model.fit(*data, batch_size=len(y), epochs=2, verbose=0, validation_data=data, callbacks=callbacks)
    near, far = ([list(row["errors"].values()) for row in one.history_] for one in callbacks)
    assert np.min(far) > 10.0 > np.max(near)


def test_validation_losses_of_many_classes_are_all_used():
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(180, 4)).astype("float32"), np.repeat(np.arange(60), 3)
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=dict.fromkeys(range(60), 1.0)))
    callback = AdaptiveClassWeight(monitor="val_class_loss", warmup_epochs=0)
    encoder.fit(x, codes, batch_size=180, epochs=1, verbose=0, validation_data=(x, codes), callbacks=[callback])
    assert callback.history_[0]["skipped"] is None
    assert len(set(encoder.loss.class_weight.values())) > 1
