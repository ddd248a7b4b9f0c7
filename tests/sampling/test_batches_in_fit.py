"""Batches in `fit`, with losses that form pairs in the batch and with ordinary ones."""

import keras
import numpy as np
import pytest
from toy import linear_encoder

from keras_balanced_siamese import BalancedBatchSequence


class InBatchContrastive(keras.losses.Loss):
    """The mean contrastive loss of the pairs of each sample with the others in the batch."""

    def call(self, y_true, y_pred):
        return contrast(y_true, y_pred)


def contrast(y_true, y_pred):
    if hasattr(keras, "ops"):
        ops = keras.ops
        mean, cast = ops.mean, ops.cast
    else:
        import tensorflow as ops

        mean, cast = ops.reduce_mean, ops.cast
    codes = ops.reshape(y_true, (-1,))
    same = cast(codes[:, None] == codes[None, :], "float32")
    squared = mean(ops.square(y_pred[:, None] - y_pred[None, :]), axis=-1)
    return mean(same * squared + (1 - same) * ops.maximum(1 - squared, 0), axis=-1)


@pytest.mark.parametrize("loss", [InBatchContrastive(), contrast], ids=["class", "function"])
def test_fit_takes_a_loss_that_pairs_in_the_batch(x, y, loss):
    batches = BalancedBatchSequence(x, y, 3, 4, seed=0)
    model = linear_encoder()
    model.compile(keras.optimizers.Adam(0.05), loss)
    history = model.fit(
        batches, epochs=4, verbose=0, validation_data=BalancedBatchSequence(x, y, 3, 4, redraw=False, seed=1)
    )
    losses = history.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert history.history["val_loss"][-1] < history.history["val_loss"][0]
    assert batches.epoch >= 3


def test_fit_takes_an_ordinary_loss_and_weights(x, y):
    batches = BalancedBatchSequence(x, y, 3, 4, seed=0, redraw=False)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile(keras.optimizers.Adam(0.3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=8, verbose=0)
    assert model.evaluate(batches, verbose=0)[1] > 0.8
    batches.class_weight = {"common": 1.0, "medium": 3.0, "rare": 5.0}
    total = 0.0
    for i in range(len(batches)):
        samples, codes, weight = batches[i]
        predicted = np.asarray(model.predict(samples, verbose=0))
        total += (-np.log(predicted[np.arange(12), codes]) * weight).mean()
    assert model.evaluate(batches, verbose=0)[0] == pytest.approx(total / len(batches), rel=1e-3)
