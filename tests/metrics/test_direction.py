"""Metrics take the direction of the scores from the model: distances fall with similarity, probabilities grow."""

import keras
import numpy as np
import pytest
from metrics.exact_values import CLASSES, EXACT, every_metric, make, pairs_of_clusters
from toy import WAYS_TO_COMPILE, linear_encoder

import keras_balanced_siamese as kbs


def pairs(n=80):
    left, right, labels = pairs_of_clusters(n)
    return left, right, labels[:, 0]


def verifier(*layers):
    model = kbs.siamese_model(linear_encoder())
    output = model.output
    for layer in layers:
        output = layer(output)
    return keras.Model(model.inputs, output)


def probability():
    return kbs.DistanceToProbability(slope=2.0, threshold=1.0)


def falling_sigmoid():
    layer = keras.layers.Dense(1, "sigmoid")
    layer.build((None, 1))
    layer.set_weights([np.array([[-2.0]]), np.array([2.0])])
    return layer


def exact(name, model, growing):
    left, right, labels = pairs()
    scores = model.predict([left, right], verbose=0)[:, 0] * (-1 if growing else 1)
    threshold = -0.5 if growing else 0.5
    return EXACT[name](scores[labels == 1].tolist(), scores[labels == 0].tolist(), threshold)


def measured(name, model, loss, **options):
    left, right, labels = pairs()
    metric = make(name, **options)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=[metric])
    return model.evaluate([left, right], labels, verbose=0, return_dict=True)[metric.name]


@every_metric
@pytest.mark.parametrize(
    ("layers", "loss", "growing"),
    [
        ((), kbs.WeightedContrastiveLoss, False),
        ((), lambda: "mse", False),
        ((probability,), kbs.WeightedBinaryCrossentropy, True),
        ((falling_sigmoid,), lambda: "binary_crossentropy", True),
        ((falling_sigmoid,), keras.losses.MeanSquaredError, True),
    ],
)
def test_every_metric_follows_the_model(name, layers, loss, growing):
    model = verifier(*(layer() for layer in layers))
    assert measured(name, model, loss()) == pytest.approx(exact(name, model, growing), abs=2e-3)


@pytest.mark.parametrize("how", [{}, *WAYS_TO_COMPILE], ids=str)
def test_it_follows_in_fit_too(how):
    left, right, labels = pairs(48)
    model = verifier(probability())
    model.compile(keras.optimizers.SGD(0.0), kbs.WeightedBinaryCrossentropy(), metrics=[kbs.EqualErrorRate()], **how)
    history = model.fit([left, right], labels, batch_size=16, epochs=2, verbose=0).history
    scores = model.predict([left, right], verbose=0)
    assert history["equal_error_rate"] == pytest.approx([kbs.evaluate_pairs(-scores, labels).eer] * 2, abs=1e-3)


def test_one_metric_object_follows_each_model():
    left, right, labels = pairs()
    metric = kbs.VerificationAUC()
    for layers, loss in (((), kbs.WeightedContrastiveLoss()), ((probability(),), kbs.WeightedBinaryCrossentropy())):
        model = verifier(*layers)
        model.compile("sgd", loss, metrics=[metric])
        found = model.evaluate([left, right], labels, verbose=0, return_dict=True)
        assert found["verification_auc"] > 0.5


def test_a_given_direction_stays():
    model = verifier(probability())
    right = measured("VerificationAUC", model, kbs.WeightedBinaryCrossentropy())
    wrong = measured("VerificationAUC", model, kbs.WeightedBinaryCrossentropy(), higher_is_similar=False)
    assert right > 0.55
    assert wrong == pytest.approx(1 - right, abs=2e-3)


@pytest.mark.parametrize(
    ("layers", "loss", "match"),
    [
        ([keras.layers.Dense(1)], "mse", "do not show it"),
        ([], "binary_crossentropy", "contradict each other.*returns a distance"),
    ],
)
def test_an_unknown_direction_is_asked_for(layers, loss, match):
    with pytest.raises(ValueError, match=f"(?s){match}"):
        measured("EqualErrorRate", verifier(*layers), loss)
    assert 0 < measured("EqualErrorRate", verifier(*layers), loss, higher_is_similar=False) < 1


def test_several_outputs_must_agree():
    left, right, labels = pairs()
    distance = verifier()
    both = keras.Model(distance.inputs, [distance.output, probability()(distance.output)])
    metrics = [[kbs.EqualErrorRate(name="first")], [kbs.EqualErrorRate(name="second")]]
    both.compile("sgd", [kbs.WeightedContrastiveLoss(), kbs.WeightedBinaryCrossentropy()], metrics=metrics)
    with pytest.raises(ValueError, match="contradict each other"):
        both.evaluate([left, right], [labels, labels], verbose=0)


def test_outside_of_a_model_scores_are_distances_again():
    left, right, labels = pairs()
    metric, model = kbs.EqualErrorRate(), verifier(probability())
    model.compile("sgd", kbs.WeightedBinaryCrossentropy(), metrics=[metric], run_eagerly=True)
    model.evaluate([left, right], labels, verbose=0)
    metric.reset_state()
    metric.update_state([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9])
    assert float(metric.result()) == 0.0


def test_reversed_labels_and_a_sequence_are_refused(x, y):
    model = verifier()
    model.compile("sgd", "mse", metrics=[kbs.EqualErrorRate(similar_label=0)])
    with pytest.raises(ValueError, match="leave out `similar_label`"):
        model.fit(kbs.BalancedPairSequence(x, y, seed=0), verbose=0)


@every_metric
def test_the_config_keeps_what_was_given(name):
    for given in (None, True, False):
        config = make(name, higher_is_similar=given).get_config()
        assert config["higher_is_similar"] is given
        assert CLASSES[name].from_config(config).higher_is_similar is given
