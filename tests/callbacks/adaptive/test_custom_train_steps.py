"""The record of a loss with training steps and `metrics` that the user wrote."""

import keras
import numpy as np
import pytest
from callbacks.adaptive.custom_steps import EveryMetric, EveryMetricWeighted, OwnTracker, ScopedTracker, siamese
from toy import BACKEND, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight

EPOCHS = 4


def sequence():
    return kbs.BalancedPairSequence(*clusters(), batch_size=8, steps_per_epoch=8, seed=0)


def train(model, target=None, **kwargs):
    callback = AdaptiveClassWeight(target)
    history = model.fit(sequence(), epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[callback], **kwargs).history
    return history, callback


@pytest.fixture(scope="module")
def expected():
    """The history of the step of Keras itself."""
    return train(compiled(optimizer=keras.optimizers.SGD(0.02)))[0]


@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("form", [EveryMetric, EveryMetricWeighted])
def test_a_loop_over_all_metrics_trains_and_records_as_keras_does(form, verbose, expected, capsys):
    model, callback = siamese(form, loss=kbs.WeightedContrastiveLoss()), AdaptiveClassWeight()
    fit = {"epochs": EPOCHS, "verbose": verbose, "shuffle": False, "callbacks": [callback]}
    history = model.fit(sequence(), **fit).history
    assert history.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("form", [EveryMetric, EveryMetricWeighted])
def test_a_loop_over_all_metrics_with_a_loss_on_class_labels(form, x, y):
    codes = np.unique(y, return_inverse=True)[1]

    def history(cls):
        plain = linear_encoder()
        encoder = cls(plain.inputs[0], plain.outputs[0])
        encoder.compile(keras.optimizers.SGD(0.02), kbs.WeightedTripletLoss(class_weight=dict.fromkeys(range(3), 1.0)))
        fit = {"batch_size": 59, "epochs": EPOCHS, "verbose": 0, "shuffle": False}
        return encoder.fit(x, codes, callbacks=[AdaptiveClassWeight()], **fit).history

    found, expected = history(form), history(keras.Model)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)


def test_a_model_that_lists_its_own_metrics_only():
    model = siamese(OwnTracker)
    if BACKEND == "jax":
        with pytest.raises(ValueError, match=r"property `metrics` of the model must include.*Received: a model with"):
            train(model, model.own_loss)
        return
    history, callback = train(model, model.own_loss)
    plain, reference = train(compiled(optimizer=keras.optimizers.SGD(0.02)))
    np.testing.assert_allclose(history["class_loss/1"], plain["class_loss/1"], rtol=1e-4)
    np.testing.assert_allclose(history["class_weight/1"], plain["class_weight/1"], rtol=1e-4)
    assert callback.get_state()["counts"] == reference.get_state()["counts"]  # of one epoch, not of all


@pytest.mark.skipif(not hasattr(keras, "StatelessScope"), reason="only Keras 3 has such scopes")
def test_an_own_loss_that_takes_part_in_the_step_is_adapted(expected):
    model = siamese(ScopedTracker)
    history, _ = train(model, model.own_loss)
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4, err_msg=name)


@pytest.mark.skipif(BACKEND != "jax", reason="elsewhere a step reads variables wherever it computes")
def test_jax_says_where_the_loss_must_be_computed():
    class Outside(EveryMetric):
        def stateless_loss_of(self, trainable, fixed, metrics, inputs, y, output, weight):
            return self.compute_loss(x=inputs, y=y, y_pred=output, sample_weight=weight), metrics

    with pytest.raises(ValueError, match=r"stateless_compute_loss.*Received: a training step"):
        train(siamese(Outside, loss=kbs.WeightedContrastiveLoss()))


def test_a_loss_that_the_step_does_not_call_is_refused():
    model = siamese(OwnTracker if BACKEND != "jax" else ScopedTracker)
    with pytest.raises(ValueError, match=r"recorded no pair.*Received: a target"):
        train(model, kbs.WeightedContrastiveLoss())
