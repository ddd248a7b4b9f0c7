"""Losses that do not fit the model or the data are refused when training begins, and those that fit are not."""

import keras
import numpy as np
import pytest
from toy import linear_encoder

import keras_balanced_siamese as kbs

LEFT, RIGHT = np.random.default_rng(0).normal(size=(2, 12, 4)).astype("float32")
SIMILAR = np.arange(12) % 2.0


def ending_in(*layers, distance=None):
    """A siamese model whose distance passes through more layers."""
    model = kbs.siamese_model(linear_encoder(), distance)
    output = model.output
    for layer in layers:
        output = layer(output)
    return keras.Model(model.inputs, output)


def sigmoid():
    return keras.layers.Dense(1, "sigmoid")


def cast():
    return keras.layers.Activation("linear", dtype="float32")


def two_inputs(layer):
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, layer(inputs))


ON_CLASSES = [
    kbs.WeightedBatchContrastiveLoss,
    kbs.WeightedMultiSimilarityLoss,
    kbs.WeightedSupervisedContrastiveLoss,
    kbs.WeightedTripletLoss,
]


@pytest.mark.parametrize(
    ("model", "loss", "match"),
    [
        (ending_in, kbs.WeightedBinaryCrossentropy, "takes probabilities.*ends in the layer 'distance'"),
        (lambda: ending_in(cast()), kbs.WeightedBinaryCrossentropy, "takes probabilities.*'distance'"),
        (
            lambda: ending_in(distance=kbs.CosineDistance(name="cosine")),
            lambda: kbs.WeightedBinaryCrossentropy(from_logits=True),
            "takes logits.*'cosine'",
        ),
        (
            lambda: ending_in(sigmoid()),
            lambda: kbs.WeightedBinaryCrossentropy(from_logits=True),
            "from_logits=False.*returns a probability",
        ),
        (lambda: ending_in(sigmoid()), kbs.WeightedContrastiveLoss, "takes distances.*returns a probability"),
        (
            lambda: ending_in(kbs.DistanceToProbability(name="p"), cast()),
            kbs.WeightedContrastiveLoss,
            "`WeightedBinaryCrossentropy.*'p', which returns a probability",
        ),
        (
            lambda: two_inputs(ending_in(sigmoid())),
            kbs.WeightedCosineLoss,
            "takes distances.*returns a probability",
        ),
        (
            lambda: two_inputs(keras.layers.Dot(1, normalize=True)),
            kbs.WeightedContrastiveLoss,
            "distance layer.*returns a similarity",
        ),
        *((ending_in, loss, "compile the encoder itself.*returns a distance") for loss in ON_CLASSES),
    ],
)
@pytest.mark.parametrize("method", ["fit", "train_on_batch", "evaluate"])
def test_a_model_that_returns_something_else_is_refused(model, loss, match, method):
    model = model()
    model.compile("sgd", loss())
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"(?s){match}"):
        getattr(model, method)([LEFT, RIGHT], SIMILAR)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (ending_in, kbs.WeightedContrastiveLoss),
        (lambda: ending_in(cast()), kbs.WeightedContrastiveLoss),
        (lambda: ending_in(distance=kbs.CosineDistance()), kbs.WeightedCosineLoss),
        (lambda: ending_in(sigmoid()), kbs.WeightedBinaryCrossentropy),
        (lambda: ending_in(kbs.DistanceToProbability()), kbs.WeightedBinaryCrossentropy),
        (lambda: ending_in(keras.layers.Dense(1)), lambda: kbs.WeightedBinaryCrossentropy(from_logits=True)),
        (lambda: ending_in(keras.layers.Dense(1, "softplus")), kbs.WeightedContrastiveLoss),
    ],
)
@pytest.mark.parametrize("labels", [SIMILAR, SIMILAR[:, None], SIMILAR.astype("int64"), 0.1 + 0.8 * SIMILAR])
def test_a_model_that_fits_trains(model, loss, labels):
    model = model()
    model.compile("sgd", loss(), run_eagerly=True)
    history = model.fit([LEFT, RIGHT], labels, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_steps_train(jit_compile):
    model = ending_in(kbs.DistanceToProbability())
    model.compile("sgd", kbs.WeightedBinaryCrossentropy(), metrics=[kbs.EqualErrorRate()], jit_compile=jit_compile)
    history = model.fit([LEFT, RIGHT], SIMILAR, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["equal_error_rate"]).all()


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (2 * SIMILAR - 1, r"pass `\(y \+ 1\) / 2`.*-1.0, 1.0"),
        (SIMILAR + 1, r"pass `y - 1`.*1.0, 2.0"),
        (np.arange(12) % 3, "class labels.*0, 1, 2"),
        (np.stack([3 * SIMILAR, SIMILAR, SIMILAR], 1), "0.0, 3.0"),
    ],
)
@pytest.mark.parametrize("eagerly", [False, True])
def test_other_pair_labels_are_refused(labels, match, eagerly):
    model = ending_in()
    model.compile("sgd", kbs.WeightedContrastiveLoss(), run_eagerly=eagerly)
    with pytest.raises(ValueError, match=f"(?s)Pair labels must be 0 and 1.*{match}"):
        model.fit([LEFT, RIGHT], labels, verbose=0)


def test_sequences_are_checked_against_the_loss(x, y):
    pairs, batches = kbs.BalancedPairSequence(x, y, seed=0), kbs.BalancedBatchSequence(x, y, 3, 4, seed=0)
    reversed_labels = ending_in()
    reversed_labels.compile("sgd", kbs.WeightedContrastiveLoss(similar_label=0))
    with pytest.raises(ValueError, match="leave out `similar_label`"):
        reversed_labels.fit(pairs, verbose=0)
    narrow = linear_encoder(width=1)  # distances and embeddings of one dimension have the same shape
    narrow.compile("sgd", kbs.WeightedContrastiveLoss())
    with pytest.raises(ValueError, match=r"takes pair labels.*BalancedBatchSequence, which yields class labels"):
        narrow.fit(batches, verbose=0)
    both = two_inputs(keras.layers.Concatenate())
    both.compile("sgd", kbs.WeightedTripletLoss())
    with pytest.raises(ValueError, match=r"takes class labels.*BalancedPairSequence, which yields pair labels"):
        both.fit(pairs, verbose=0)


def test_a_loss_is_checked_again_with_another_model():
    loss = kbs.WeightedContrastiveLoss()
    for _ in range(2):
        right = ending_in()
        right.compile("sgd", loss)
        right.train_on_batch([LEFT, RIGHT], SIMILAR)
        wrong = ending_in(sigmoid())
        wrong.compile("sgd", loss)
        with pytest.raises(ValueError, match="takes distances"):
            wrong.train_on_batch([LEFT, RIGHT], SIMILAR)


@pytest.mark.parametrize("metric", ["accuracy", keras.metrics.AUC])
def test_metrics_for_high_scores_warn_on_distances(metric):
    model = ending_in()
    model.compile("sgd", kbs.WeightedContrastiveLoss(), metrics=[metric if isinstance(metric, str) else metric()])
    with pytest.warns(UserWarning, match="take a high output for 'similar'.*VerificationAUC"):
        model.fit([LEFT, RIGHT], SIMILAR, verbose=0)


def test_metrics_for_high_scores_do_not_warn_on_probabilities():
    model = ending_in(sigmoid())
    model.compile("sgd", kbs.WeightedBinaryCrossentropy(), metrics=["accuracy"])
    model.fit([LEFT, RIGHT], SIMILAR, verbose=0)


def test_a_loss_in_other_places_is_not_compared_with_the_model():
    """In a training step, a callback or a layer, a loss may get anything."""

    class Distances(keras.layers.Layer):
        def __init__(self, loss):
            super().__init__()
            self.loss = loss

        def call(self, inputs):
            distance, labels = inputs
            self.add_loss(kbs._backend.ops.mean(self.loss(labels, distance)))
            return distance

    loss = kbs.WeightedContrastiveLoss()
    labels, model = keras.Input((1,)), ending_in()
    distance = Distances(loss)([model.output, labels])
    model = keras.Model([*model.inputs, labels], kbs.DistanceToProbability()(distance))
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(float(loss(SIMILAR, SIMILAR)))
            seen.append(value(kbs.EqualErrorRate(), 1 - SIMILAR))

    def value(metric, scores):
        metric.update_state(SIMILAR, scores)
        return float(metric.result())

    model.compile("sgd", kbs.WeightedBinaryCrossentropy(), run_eagerly=True)
    model.fit([LEFT, RIGHT, SIMILAR[:, None]], SIMILAR, epochs=2, verbose=0, callbacks=[Look()])
    assert seen == [1.0, 0.0] * 2  # in a callback, scores are distances


def test_several_outputs_are_not_compared():
    model = kbs.siamese_model(linear_encoder())
    classes = keras.layers.Dense(3, "softmax", name="classes")(model.inputs[0])
    model = keras.Model(model.inputs, [model.output, classes])
    model.compile("sgd", [kbs.WeightedContrastiveLoss(), "sparse_categorical_crossentropy"])
    history = model.fit([LEFT, RIGHT], [SIMILAR, np.arange(12) % 3], verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_sequence_with_batches_of_its_own_may_label_as_it_likes(x, y):
    class Reversed(kbs.BalancedPairSequence):
        def __getitem__(self, index):
            sides, similar, weight = super().__getitem__(index)
            return sides, 1 - similar, weight

    model = ending_in()
    model.compile("sgd", kbs.WeightedContrastiveLoss(similar_label=0))
    model.fit(Reversed(x, y, seed=0), verbose=0)


def test_a_sigmoid_may_end_an_encoder(x, y):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", kbs.WeightedTripletLoss())
    with pytest.warns(UserWarning, match="one dimension"):
        model.fit(kbs.BalancedBatchSequence(x, y, 3, 4, seed=0), verbose=0)


def test_a_refused_fit_can_be_repeated_with_other_labels():
    model = ending_in()
    model.compile("sgd", kbs.WeightedContrastiveLoss())
    with pytest.raises(ValueError, match="Pair labels must be 0 and 1"):
        model.fit([LEFT, RIGHT], 2 * SIMILAR - 1, verbose=0)
    assert np.isfinite(model.fit([LEFT, RIGHT], SIMILAR, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("wrong", [1.5, -0.5])
def test_numbers_that_are_no_probabilities_have_no_loss(wrong):
    loss = kbs.WeightedBinaryCrossentropy(reduction=None)
    found = np.asarray(loss([1.0, 0.0, 1.0, 0.0], [wrong, 0.25, 1.0, 0.0]))
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()


# --- weights of classes -----------------------------------------------------------------------------------------------


def fit_batches(x, y, class_weight, **options):
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight=class_weight))
    return encoder.fit(kbs.BalancedBatchSequence(x, y, 3, 4, seed=0, **options), verbose=0).history["loss"]


NAMES = np.repeat(["a", "b", "c", "d"], [40, 20, 10, 5])
ITEMS = np.random.default_rng(1).normal(size=(75, 4)).astype("float32")


@pytest.mark.parametrize(
    "weights",
    [
        {"a": 1.0, "b": 1.0, "c": 2.0, "d": 3.0},  # of all data, of which the class "b" is held out
        {"a": 1.0, "c": 2.0, "z": 3.0},
        dict.fromkeys(range(4), 1.0),
    ],
)
def test_weights_of_other_classes_than_those_of_the_sequence_are_refused(weights):
    kept = NAMES != "b"
    with pytest.raises(ValueError, match=r"must have the classes of the sequence.*enumerate.*'a', 'c', 'd'"):
        fit_batches(ITEMS[kept], NAMES[kept], weights)


@pytest.mark.parametrize("keys", [["a", "b", "c", "d"], [0, 1, 2, 3]])
def test_weights_of_the_classes_of_the_sequence_are_taken(keys):
    assert np.isfinite(fit_batches(ITEMS, NAMES, dict(zip(keys, [1.0, 1.0, 2.0, 2.0], strict=True)))).all()


def test_weights_by_integers_are_those_of_positions():
    labels = np.repeat([3, 7, 9], 25)
    with pytest.raises(ValueError, match="must have the classes of the sequence"):
        fit_batches(ITEMS, labels, dict.fromkeys([3, 7, 9], 1.0))
    assert np.isfinite(fit_batches(ITEMS, labels, dict.fromkeys(range(3), 1.0))).all()


def test_labels_without_a_weight_are_refused():
    encoder = linear_encoder()
    encoder.compile("sgd", kbs.WeightedTripletLoss(class_weight={0: 1.0, 1: 2.0}))
    with pytest.raises(ValueError, match=r"a weight for each label of `y`.*\[2, 5\]"):
        encoder.fit(LEFT, np.array([0, 1, 2, 5] * 3), verbose=0)


def test_class_frequency_is_not_corrected_twice():
    weights = kbs.class_weights(NAMES)
    with pytest.warns(UserWarning, match="corrected twice, by the batches and by the weights of the loss"):
        fit_batches(ITEMS, NAMES, weights)
    fit_batches(ITEMS, NAMES, dict(weights))  # chosen by the user, for hard classes
    fit_batches(ITEMS, NAMES, weights, class_sampling="natural")
    fit_batches(ITEMS, NAMES, kbs.class_weights(NAMES, "sqrt"), class_sampling="natural")
