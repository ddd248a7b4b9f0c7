"""Metrics in `fit`, `evaluate`, callbacks and saved models."""

import math

import keras
import numpy as np
import pytest
from metrics.exact_values import CLASSES, EXACT, exact_auc, make, pairs_of_clusters, value
from toy import COUNTS, WAYS_TO_COMPILE, linear_encoder

import keras_balanced_siamese as kbs


def loss_of_first_column(labels, distance):
    return (distance - labels[:, :1]) ** 2


def metrics_of_fit(classes=(*COUNTS, "unseen")):
    return [
        kbs.EqualErrorRate(resolution=64),
        kbs.VerificationAUC(name="auc", classes=classes, resolution=64),
        kbs.BalancedPairAccuracy(1.0, classes=classes),
    ]


def model_of_fit(loss=loss_of_first_column, metrics=None, **kwargs):
    model = kbs.siamese_model(linear_encoder())
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=metrics or metrics_of_fit(), **kwargs)
    return model


def distances_of(sides):
    """The distances that all models of this file give, since none of them learns."""
    return kbs.siamese_model(linear_encoder()).predict_on_batch(sides)


@pytest.mark.parametrize("how", [{}, *WAYS_TO_COMPILE], ids=str)
def test_fit_evaluate_and_history_show_the_value_of_all_pairs(how):
    left, right, labels = pairs_of_clusters()
    # XLA compiles each batch size anew, for many seconds: there, no last batch of another size
    valid = pairs_of_clusters(48 if "jit_compile" in how else 50, seed=1)
    model = model_of_fit(**how)
    history = model.fit(
        [left, right], labels, batch_size=16, epochs=2, verbose=0, validation_data=([*valid[:2]], valid[2])
    ).history
    for prefix, (*sides, truth) in {"": (left, right, labels), "val_": valid}.items():
        distances = distances_of(sides)
        expected = {}
        for metric in metrics_of_fit():
            metric.update_state(truth, distances)
            result = metric.result()
            expected.update(result if isinstance(result, dict) else {metric.name: result})
        assert math.isnan(expected["balanced_pair_accuracy/unseen"])
        for key, exact in expected.items():
            np.testing.assert_allclose(history[prefix + key], [float(exact)] * 2, atol=1e-6, err_msg=key)
    found = model.evaluate([*valid[:2]], valid[2], batch_size=16, verbose=0, return_dict=True)
    for key in found:
        np.testing.assert_allclose(found[key], history["val_" + key][-1], atol=1e-6, err_msg=key)
    as_list = model.evaluate([*valid[:2]], valid[2], batch_size=16, verbose=0)
    assert len(as_list) == len(found)


def test_callbacks_know_which_way_is_better():
    lower = {"EqualErrorRate", "FalseAcceptRate", "FalseRejectRate"}
    for name in EXACT:
        assert make(name)._direction == ("down" if name in lower else "up")
    pytest.importorskip("keras", minversion="3", reason="Keras 2 goes by the name")
    left, right, labels = pairs_of_clusters()
    model = model_of_fit(metrics=[make("EqualErrorRate", resolution=1), make("TrueAcceptRate", resolution=1)])
    for name in ("val_equal_error_rate", "val_tar_at_far_0_01"):
        stop = keras.callbacks.EarlyStopping(monitor=name, patience=0)
        data = ([left, right], labels)
        epochs = model.fit(*data, validation_data=data, batch_size=80, epochs=3, verbose=0, callbacks=[stop]).epoch
        assert epochs == [0, 1]  # nothing is learned, so nothing gets better


def test_weighted_metrics_get_the_sample_weights():
    left, right, labels = pairs_of_clusters()
    model = kbs.siamese_model(linear_encoder())
    model.compile(
        "sgd",
        loss_of_first_column,
        metrics=[kbs.VerificationAUC(name="plain")],
        weighted_metrics=[kbs.VerificationAUC()],
    )
    weight = np.arange(len(labels)) % 3
    found = model.evaluate([left, right], labels, batch_size=32, sample_weight=weight, verbose=0, return_dict=True)
    distances = model.predict([left, right], verbose=0)
    assert found["plain"] == pytest.approx(value(kbs.VerificationAUC(), labels, distances), abs=1e-6)
    assert found["verification_auc"] == pytest.approx(value(kbs.VerificationAUC(), labels, distances, weight), abs=1e-6)


def test_half_precision_scores():
    left, right, labels = pairs_of_clusters()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_of_fit(metrics=[kbs.VerificationAUC()])
        history = model.fit([left, right], labels, batch_size=16, verbose=0).history
        distances = model.predict([left, right], verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    exact = exact_auc(distances[labels[:, 0] == 1, 0].tolist(), distances[labels[:, 0] == 0, 0].tolist(), None)
    assert history["verification_auc"][0] == pytest.approx(exact, abs=1e-2)


def test_saved_models_give_the_same_values(tmp_path):
    left, right, labels = pairs_of_clusters()
    metrics = [make(name, classes=list(COUNTS), resolution=8) for name in ("EqualErrorRate", "TrueAcceptRate")]
    metrics += [make("VerificationPRAUC", resolution=8), make("MatthewsCorrelation")]
    model = model_of_fit("mean_absolute_error", metrics, jit_compile=False)
    model.fit([left, right], labels, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    objects = {f"keras_balanced_siamese>{name}": cls for name, cls in CLASSES.items()}
    again = keras.models.load_model(tmp_path / "model.keras", custom_objects={**CLASSES, **objects})
    found = [one.evaluate([left, right], labels, verbose=0, return_dict=True) for one in (model, again)]
    assert "tar_at_far_0_01/rare" in found[0]
    assert found[0] == pytest.approx(found[1], nan_ok=True)
