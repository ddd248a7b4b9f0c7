"""`evaluate_model`: scores and truth of the same pairs, for each kind of model and data."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from toy import clusters, linear_encoder

import keras_balanced_siamese as kbs


def verifier(**options):
    return kbs.siamese_model(linear_encoder(), **options)


def ready(n=200, seed=0):
    """Pairs of `toy.clusters`, half of them similar: sides, truth and classes of both sides."""
    x, y = clusters()
    rng = np.random.default_rng(seed)
    left = rng.permutation(np.tile(np.arange(len(y)), 4))[:n]
    right = np.array([rng.choice(np.flatnonzero((y == y[k]) == (i % 2))) for i, k in enumerate(left)])
    return (x[left], x[right]), (y[left] == y[right]).astype("float32"), np.stack([y[left], y[right]], 1)


def distances(sides, cosine=False):
    left, right = (linear_encoder().predict(side, verbose=0).astype("float64") for side in sides)
    if cosine:
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        return 1 - np.einsum("ij,ij->i", left, right) / norms
    return np.linalg.norm(left - right, axis=1)


def same(report, expected):
    assert report.micro == pytest.approx(expected.micro, rel=1e-4, abs=5e-3, nan_ok=True)
    assert (report.n_similar, report.n_different) == (expected.n_similar, expected.n_different)
    assert list(report.per_class) == list(expected.per_class)


@pytest.mark.parametrize("redraw", [True, False])
@pytest.mark.parametrize("epoch", [0, 3])
def test_a_sequence_is_scored_with_its_own_truth(x, y, redraw, epoch):
    pairs = kbs.BalancedPairSequence(x, y, 16, steps_per_epoch=6, redraw=redraw, seed=4)
    pairs.set_epoch(epoch)
    first = kbs.BalancedPairSequence(x, y, 16, steps_per_epoch=6, redraw=False, seed=4)
    left, right, similar = (np.concatenate(part) for part in zip(*map(first.indices, range(6)), strict=True))
    expected = kbs.evaluate_pairs(distances([x[left], x[right]]), similar, classes=y[np.stack([left, right], 1)])
    for model in (verifier(), linear_encoder()):
        for _ in range(2):
            same(kbs.evaluate_model(model, pairs, n_resamples=0), expected)
    assert pairs.epoch == epoch


def test_predicting_first_changes_nothing(x, y):
    pairs = kbs.BalancedPairSequence(x, y, 16, steps_per_epoch=6, seed=4)
    model = verifier()
    before = kbs.evaluate_model(model, pairs, n_resamples=0)
    model.predict(pairs, verbose=0)
    same(kbs.evaluate_model(model, pairs, n_resamples=0), before)


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize("labels", ["float32", "bool", "int64"])
def test_ready_pairs(as_array, labels):
    sides, similar, classes = ready()
    given = np.stack(sides, axis=1) if as_array else sides
    similar = similar.astype(labels)
    if as_array and labels == "int64":
        similar = similar[:, None]
    expected = kbs.evaluate_pairs(distances(sides), similar, classes=classes)
    for model in (verifier(), linear_encoder()):
        found = kbs.evaluate_model(model, (given, similar), classes=classes, n_resamples=0)
        same(found, expected)
        assert kbs.evaluate_model(model, (given, similar), n_resamples=0).per_class == {}
    cosine = kbs.evaluate_model(linear_encoder(), (given, similar), distance="cosine", n_resamples=0)
    same(cosine, kbs.evaluate_pairs(distances(sides, cosine=True), similar))


def test_samples_are_embedded_by_an_encoder_and_paired_for_a_verifier(x, y):
    points = linear_encoder().predict(x, verbose=0)
    found = kbs.evaluate_model(linear_encoder(), (x, y), n_resamples=0)
    same(found, kbs.evaluate_embeddings(points, y, n_resamples=0))
    assert found.micro["recall@1"] == kbs.evaluate_embeddings(points, y, n_resamples=0).micro["recall@1"]
    trained = linear_encoder()
    trained.compile("sgd", kbs.WeightedSupervisedContrastiveLoss())  # angles
    same(
        kbs.evaluate_model(trained, (x, y), n_resamples=0),
        kbs.evaluate_embeddings(points, y, distance="cosine", n_resamples=0),
    )
    found = kbs.evaluate_model(verifier(), (x, y), n_resamples=0)
    assert found.n_similar == found.n_different >= 300
    assert sorted(found.per_class) == ["common", "medium", "rare"]


def test_scores_that_grow_are_turned_and_so_is_the_threshold():
    sides, similar, _ = ready()
    model = verifier(probability=kbs.DistanceToProbability(slope=2.0, threshold=0.75))
    expected = kbs.evaluate_pairs(distances(sides), similar, threshold=0.75)
    found = kbs.evaluate_model(model, (sides, similar), threshold=0.5, n_resamples=0)
    same(found, expected)
    assert found.threshold == -0.5
    distance_model = kbs.evaluate_model(verifier(), (sides, similar), threshold=0.75, n_resamples=0)
    same(distance_model, expected)


def test_a_direction_that_the_model_does_not_tell_is_asked_for():
    sides, similar, _ = ready()
    model = verifier()
    model = keras.Model(model.inputs, keras.layers.Dense(1, kernel_initializer="ones")(model.output))
    with pytest.raises(ValueError, match="do not show it: pass `higher_is_similar`"):
        kbs.evaluate_model(model, (sides, similar))
    same(
        kbs.evaluate_model(model, (sides, similar), higher_is_similar=False, n_resamples=0),
        kbs.evaluate_pairs(distances(sides), similar),
    )


def test_an_encoder_with_several_inputs(x, y):
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
    encoder = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()(list(inputs.values()))))
    samples = {"a": x, "b": x[:, ::-1].copy()}
    points = encoder.predict(samples, verbose=0)
    expected = kbs.evaluate_embeddings(points, y, n_resamples=0)
    same(kbs.evaluate_model(encoder, (samples, y), n_resamples=0), expected)
    one = keras.Model(list(inputs.values()), encoder(inputs))
    assert kbs.evaluate_model(one, ((x, samples["b"]), y), n_resamples=0).micro["recall@1"] > 0
    binary = (y == "rare").astype("float32")  # class labels that look like pair labels
    with pytest.raises(ValueError, match="give the labels names"):
        kbs.evaluate_model(one, ((x, samples["b"]), binary))
    inputs = [keras.Input((4,)), keras.Input((1,))]
    encoder = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()(inputs)))
    found = kbs.evaluate_model(encoder, ((x, x[:, :1]), binary), n_resamples=0)
    assert list(found.per_class) == [0.0, 1.0]


def test_pairs_as_the_model_takes_them():
    sides, similar, _ = ready()
    expected = kbs.evaluate_pairs(distances(sides), similar)
    named = {"left": keras.Input((4,), name="left"), "right": keras.Input((4,), name="right")}
    model = keras.Model(named, verifier()(list(named.values())))
    same(kbs.evaluate_model(verifier(), [list(sides), similar], n_resamples=0), expected)
    given = dict(zip(named, sides, strict=True))
    same(kbs.evaluate_model(model, (given, similar.astype(int)), n_resamples=0), expected)
    stacked = keras.Input((2, 4))
    both = keras.layers.Reshape((4,))(stacked[:, :1]), keras.layers.Reshape((4,))(stacked[:, 1:])
    encoder = linear_encoder()
    model = keras.Model(stacked, kbs.EuclideanDistance()([encoder(side) for side in both]))
    same(kbs.evaluate_model(model, (np.stack(sides, 1), similar), n_resamples=0), expected)


def test_a_classifier_of_single_items_is_no_verifier():
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    with pytest.warns(UserWarning, match="each row of `x` is taken as a pair"):
        kbs.evaluate_model(classifier, (x, np.arange(40) % 2), n_resamples=0)


def test_a_classifier_with_a_softmax_is_no_encoder(x, y):
    for end in ([keras.layers.Dense(3, "softmax")], [keras.layers.Dense(3), keras.layers.Softmax()]):
        classifier = keras.Sequential([keras.Input((4,)), *end])
        with pytest.warns(UserWarning, match=r"ends in a softmax.*model.layers\[-2\]"):
            kbs.evaluate_model(classifier, (x, y), n_resamples=0)


@pytest.mark.parametrize(
    "kind",
    [list, tuple, np.array, pd.Series, lambda paths: np.array(paths, object), lambda paths: list(map(Path, paths))],
)
def test_paths_are_no_samples(kind, y):
    paths = kind([f"{k}.png" for k in range(len(y))])
    with pytest.raises(ValueError, match=r"`BalancedPairSequence\(paths, y, transform=load\)`.*0\.png"):
        kbs.evaluate_model(linear_encoder(), (paths, y))


def test_labels_of_integers_for_a_model_without_known_inputs():
    class Verifier(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = verifier()

        def call(self, inputs):
            return self.inner(inputs)

    sides, similar, _ = ready()
    found = kbs.evaluate_model(Verifier(), (sides, similar.astype(int)), higher_is_similar=False, n_resamples=0)
    same(found, kbs.evaluate_pairs(distances(sides), similar))


def test_a_model_of_pairs_with_a_wide_output_is_refused():
    sides, similar, _ = ready()
    model = verifier()
    model = keras.Model(model.inputs, keras.layers.Dense(2, "softmax")(model.output))
    with pytest.raises(ValueError, match="does not return one score per pair"):
        kbs.evaluate_model(model, (sides, similar))


@pytest.mark.parametrize(
    ("model", "data", "options", "error", "match"),
    [
        (verifier, lambda: ready()[0], {}, TypeError, r"ready pairs\s+\(\(left, right\), similar\)"),
        (verifier, lambda: None, {}, TypeError, "BalancedPairSequence"),
        (
            linear_encoder,
            lambda: (clusters()[0], np.eye(3)[np.arange(len(clusters()[1])) % 3]),
            {},
            TypeError,
            r"one-hot ones as `y.argmax\(axis=1\)`.*ndarray \(\d+, 4\), ndarray \(\d+, 3\)",
        ),
        (
            verifier,
            lambda: kbs.BalancedBatchSequence(*clusters(), 3, 4, seed=0),
            {},
            TypeError,
            "Received: BalancedBatchSequence",
        ),
        (linear_encoder, clusters, {"classes": [["a", "b"]]}, ValueError, "`classes` is for ready pairs"),
        (linear_encoder, clusters, {"higher_is_similar": True}, ValueError, "returns embeddings"),
        (verifier, lambda: ready()[:2], {"distance": "cosine"}, ValueError, "`distance` is for encoders"),
        (linear_encoder, clusters, {"distance": "l1"}, ValueError, "must be one of"),
        (
            lambda: verifier(probability=True),
            lambda: ready()[:2],
            {"threshold": kbs.DistanceToProbability()},
            ValueError,
            "pass the score from which pairs are accepted",
        ),
        (lambda: keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2))]), clusters, {}, ValueError, "dim"),
    ],
)
def test_what_does_not_fit_is_refused(model, data, options, error, match):
    with pytest.raises(error, match=match):
        kbs.evaluate_model(model(), data(), **options)


def test_outputs_that_are_not_finite_are_refused():
    sides, similar, _ = ready()
    model = verifier()
    model.set_weights([np.full_like(one, np.nan) for one in model.get_weights()])
    with pytest.raises(ValueError, match="must not be NaN"):
        kbs.evaluate_model(model, (sides, similar))


@pytest.mark.parametrize("every_class", [True, False])
def test_reversed_scores_or_labels_warn(every_class):
    _, similar, classes = ready()
    found = np.random.default_rng(0).random(len(similar)) + 0.3 * (1 - similar)
    options = {"classes": classes if every_class else None, "n_resamples": 0}
    kbs.evaluate_pairs(found, similar, **options)
    with pytest.warns(UserWarning, match="Different pairs are closer than similar ones"):
        kbs.evaluate_pairs(-found, similar, **options)
    with pytest.warns(UserWarning, match="is 1 the label of similar pairs"):
        kbs.evaluate_pairs(found, 1 - similar, n_resamples=0)


def test_chance_does_not_warn():
    rng = np.random.default_rng(0)
    for n in (4, 20, 400):
        for _ in range(50):
            kbs.evaluate_pairs(rng.random(n), np.arange(n) % 2, n_resamples=0)


def test_a_verification_report_of_ready_pairs():
    sides, similar, _ = ready()
    model = verifier()
    model.compile(keras.optimizers.SGD(0.0), kbs.WeightedContrastiveLoss())
    report = kbs.VerificationReport((sides, similar))
    history = model.fit(sides, similar, epochs=2, verbose=0, callbacks=[report]).history
    expected = kbs.evaluate_pairs(distances(sides), similar)
    assert history["val_eer"] == pytest.approx([expected.eer] * 2, abs=5e-3)
    assert "val_macro_eer" not in history
