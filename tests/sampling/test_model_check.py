"""A sequence and a model that do not belong together are refused before training."""

import keras
import numpy as np
import pytest
from toy import linear_encoder

import keras_balanced_siamese as kbs


@pytest.fixture
def pairs(x, y):
    return kbs.BalancedPairSequence(x, y, seed=0)


@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy",
        "BinaryCrossentropy",
        keras.losses.BinaryCrossentropy(),
        keras.losses.BinaryFocalCrossentropy(),
        keras.losses.binary_crossentropy,
    ],
    ids=range(5),
)
@pytest.mark.parametrize("distance", [kbs.EuclideanDistance, kbs.CosineDistance])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_cross_entropy_on_a_distance_is_refused(pairs, loss, distance, method):
    model = kbs.siamese_model(linear_encoder(), distance())
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=r"would grow.*WeightedContrastiveLoss.*probability=True.*distance"):
        getattr(model, method)(pairs, verbose=0)


def test_pairs_of_reversed_labels_may_train_a_distance_with_a_cross_entropy(x, y):
    class Reversed(kbs.BalancedPairSequence):
        def __getitem__(self, index):
            sides, similar, weight = super().__getitem__(index)
            return sides, 1 - similar, weight

    model = kbs.siamese_model(linear_encoder(), kbs.CosineDistance())
    model.compile("sgd", "bce")
    assert np.isfinite(model.fit(Reversed(x, y, seed=0), verbose=0).history["loss"]).all()


def test_a_cross_entropy_on_a_probability_and_one_of_the_user_on_a_distance_train(pairs):
    each = kbs.WeightedContrastiveLoss(reduction=None)

    def contrastive(similar, distance):
        return each(similar, distance)

    for model, loss in (
        (kbs.siamese_model(linear_encoder(), probability=True), "binary_crossentropy"),
        (kbs.siamese_model(linear_encoder()), contrastive),
    ):
        model.compile("sgd", loss)
        assert np.isfinite(model.fit(pairs, verbose=0).history["loss"]).all()


def test_pairs_are_not_for_an_encoder(pairs):
    encoder = linear_encoder()
    encoder.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"yields pairs.*`siamese_model\(encoder\)`.*one input"):
        encoder.fit(pairs, verbose=0)


def test_batches_are_not_for_a_model_of_pairs(x, y):
    model = kbs.siamese_model(linear_encoder())
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    with pytest.raises(ValueError, match=r"single items.*compile the encoder.*ends in the layer 'distance'"):
        model.fit(kbs.BalancedBatchSequence(x, y, 3, 4, seed=0), verbose=0)


def test_a_model_of_an_own_class_may_use_labels_as_it_likes(pairs):
    class Reversing(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, *arguments, **more):
            return super().compute_loss(x, 1 - y, y_pred, *arguments, **more)

    built = kbs.siamese_model(linear_encoder())
    model = Reversing(built.inputs, built.outputs)
    model.compile("sgd", "bce")
    assert np.isfinite(model.fit(pairs, verbose=0).history["loss"]).all()
