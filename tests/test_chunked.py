"""Encoders in chunks: the training of the whole batch, with the activations of a part of it."""

import keras
import numpy as np
import pytest
from toy import WAYS_TO_COMPILE

import keras_balanced_siamese as kbs

layers = keras.layers
needs_stateless = pytest.mark.skipif(not hasattr(keras, "StatelessScope"), reason="refused there")
BATCH_LOSSES = [
    kbs.WeightedBatchContrastiveLoss,
    kbs.WeightedTripletLoss,
    kbs.WeightedSupervisedContrastiveLoss,
    kbs.WeightedMultiSimilarityLoss,
]
LABELS = np.random.default_rng(0).integers(0, 3, 30)
ITEMS = (np.random.default_rng(1).normal(size=(30, 4)) + LABELS[:, None]).astype("float32")


def network(*middle, dim=4):
    """Two Dense layers with weights drawn by NumPy, and other layers between them."""
    model = keras.Sequential(
        [keras.Input((dim,)), layers.Dense(6, "tanh"), *[cls(**options) for cls, options in middle], layers.Dense(2)]
    )
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(np.asarray(weight) + 0.5 * rng.normal(size=weight.shape))
        if len(weight.shape) == 2:
            weight.assign(0.5 * rng.normal(size=weight.shape))
    return model


def trained(model, x=ITEMS, loss=None, epochs=2, batch_size=30, **options):
    """The weights after some steps."""
    model.compile(keras.optimizers.SGD(0.2), loss or kbs.WeightedSupervisedContrastiveLoss(), **options)
    model.fit(x, LABELS, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0)
    return model.get_weights()


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@needs_stateless
@pytest.mark.parametrize("loss", BATCH_LOSSES)
def test_weights_after_steps_are_those_of_the_whole_batch(loss):
    weights = {0: 1.0, 1: 0.5, 2: 2.0}
    start = network().get_weights()
    expected = trained(network(), loss=loss(class_weight=weights))
    assert_same(trained(kbs.ChunkedEncoder(network(), 10), loss=loss(class_weight=weights)), expected)
    assert all(np.abs(one - before).max() > 1e-3 for one, before in zip(expected[:3], start, strict=False))


@needs_stateless
@pytest.mark.parametrize("chunk_size", [1, 4, 7, 29, 30, 1000])
def test_any_chunk_size(chunk_size):
    expected = trained(network(), batch_size=17)
    assert_same(trained(kbs.ChunkedEncoder(network(), chunk_size), batch_size=17), expected)


@needs_stateless
@pytest.mark.parametrize("options", WAYS_TO_COMPILE, ids=str)
def test_any_way_to_compile(options):
    expected = trained(network(), batch_size=15)
    assert_same(trained(kbs.ChunkedEncoder(network(), 4), batch_size=15, **options), expected)


@needs_stateless
def test_gradients_of_the_whole_batch_in_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        plain, chunked = network(), kbs.ChunkedEncoder(network(), 4)
        expected, found = trained(plain), trained(chunked)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert type(chunked.optimizer) is type(plain.optimizer) is keras.optimizers.LossScaleOptimizer
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@needs_stateless
def test_dropout_draws_the_same_mask_for_the_gradient():
    # the output is linear in the kernel, so that its gradient times the kernel is the output
    encoder = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5, seed=3), layers.Dense(1, use_bias=False)])
    chunked = kbs.ChunkedEncoder(encoder, 7)
    chunked.compile(keras.optimizers.SGD(1.0), lambda y_true, y_pred: keras.ops.sum(y_pred))
    kernel = np.array([[1.0], [10.0], [100.0], [1000.0]], "float32")
    encoder.trainable_variables[0].assign(kernel)
    total = chunked.train_on_batch(np.ones((30, 4), "float32"), np.zeros((30, 1)))
    gradient = kernel - keras.ops.convert_to_numpy(encoder.trainable_variables[0])
    assert np.sum(gradient * kernel) == pytest.approx(float(total), rel=1e-6)
    assert 0 < gradient.min() < gradient.max() < 60


@needs_stateless
def test_each_chunk_draws_another_mask_and_each_step_too():
    chunked = kbs.ChunkedEncoder(keras.Sequential([keras.Input((200,)), layers.Dropout(0.5, seed=3)]), 2)
    first, second = (
        np.asarray(keras.ops.convert_to_numpy(chunked(np.ones((6, 200)), training=True))) for _ in range(2)
    )
    rows = {row.tobytes() for row in (*first, *second)}
    assert len(rows) == 12


@needs_stateless
def test_moving_statistics_are_updated_once_per_chunk():
    encoder = network((layers.BatchNormalization, {"momentum": 0.5}))
    normalization = encoder.layers[1]
    chunked = kbs.ChunkedEncoder(encoder, 8)
    before = encoder.layers[0](ITEMS)
    hidden = keras.ops.convert_to_numpy(before)
    chunked.compile(keras.optimizers.SGD(0.0), kbs.WeightedTripletLoss())
    chunked.train_on_batch(ITEMS, LABELS)
    mean = np.zeros(6)
    for k in range(4):  # 30 items in chunks of 8, 8, 7, 7
        mean = 0.5 * mean + 0.5 * hidden[k::4].mean(axis=0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(normalization.moving_mean), mean, rtol=1e-4, atol=1e-6)
    chunked.predict(ITEMS, verbose=0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(normalization.moving_mean), mean, rtol=1e-4, atol=1e-6)


@needs_stateless
def test_layer_normalization_does_not_depend_on_the_chunks():
    normal = (layers.LayerNormalization, {})
    assert_same(trained(kbs.ChunkedEncoder(network(normal), 7)), trained(network(normal)))


@needs_stateless
@pytest.mark.parametrize("kind", ["dict", "tuple"])
def test_several_inputs(kind):
    def model():
        inputs = [keras.Input((4,), name="a"), keras.Input((1,), name="b", dtype="int32")]
        found = layers.Add()([network()(inputs[0]), layers.Flatten()(layers.Embedding(3, 2)(inputs[1]))])
        return keras.Model(dict(zip("ab", inputs, strict=True)) if kind == "dict" else tuple(inputs), found)

    data = (ITEMS, LABELS[:, None].astype("int32"))
    x = dict(zip("ab", data, strict=True)) if kind == "dict" else data
    plain, other = model(), model()
    other.set_weights(plain.get_weights())
    assert_same(trained(kbs.ChunkedEncoder(other, 7), x), trained(plain, x))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """Creates its weights when it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers.Dense(5, "relu"), layers.Dense(2)

    def call(self, inputs):
        return self.last(self.first(inputs))


@needs_stateless
@pytest.mark.parametrize("make", [Subclassed, lambda: keras.Sequential([layers.Dense(5, "relu"), layers.Dense(2)])])
def test_an_encoder_without_weights_yet_and_saving_it(make, tmp_path):
    chunked = kbs.ChunkedEncoder(make(), 7)
    chunked.compile("adam", kbs.WeightedTripletLoss())
    chunked.fit(ITEMS, LABELS, verbose=0)
    assert chunked.count_params() == chunked.encoder.count_params() == 37
    chunked.save(path := tmp_path / "model.keras")
    opened = keras.models.load_model(path)
    np.testing.assert_allclose(opened.predict(ITEMS, verbose=0), chunked.encoder.predict(ITEMS, verbose=0), rtol=1e-5)
    assert opened.chunk_size == 7
    chunked.save_weights(path := tmp_path / "model.weights.h5")
    chunked.fit(ITEMS, LABELS, verbose=0)
    chunked.load_weights(path)
    assert_same(chunked.get_weights(), opened.get_weights())


@needs_stateless
def test_weights_are_loaded_before_the_first_call(tmp_path):
    kbs.ChunkedEncoder(saved := network(), 7).save_weights(path := tmp_path / "model.weights.h5")
    kbs.ChunkedEncoder(opened := network(), 7).load_weights(path)
    assert_same(opened.get_weights(), saved.get_weights())


@needs_stateless
def test_adapted_class_weights_and_balanced_batches():
    def history(model):
        model.compile("sgd", kbs.WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0, 2: 1.0}))
        batches = kbs.BalancedBatchSequence(ITEMS, LABELS, classes_per_batch=3, samples_per_class=5, seed=0)
        return model.fit(batches, epochs=4, shuffle=False, verbose=0, callbacks=[kbs.AdaptiveClassWeight()]).history

    expected, found = history(network()), history(kbs.ChunkedEncoder(network(), 4))
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-5, err_msg=key)


@needs_stateless
def test_frozen_layers_stay():
    encoder = network()
    encoder.layers[0].trainable = False
    before = encoder.get_weights()
    after = trained(kbs.ChunkedEncoder(encoder, 7))
    assert [np.array_equal(*both) for both in zip(before, after, strict=True)] == [True, True, False, False]


@needs_stateless
@pytest.mark.parametrize("one_pass", [False, True])
def test_as_the_encoder_of_a_siamese_model(one_pass):
    found = []
    for encoder in (network(), kbs.ChunkedEncoder(network(), 7)):
        model = kbs.siamese_model(encoder, one_pass=one_pass)
        model.compile(keras.optimizers.SGD(0.2), kbs.WeightedContrastiveLoss())
        similar = (LABELS[::-1] == LABELS).astype("float32")
        model.fit((ITEMS, ITEMS[::-1].copy()), similar, batch_size=30, verbose=0)
        found.append(model.get_weights())
    assert_same(*found)


@needs_stateless
def test_regularizers_of_weights_count_once():
    found = []
    for wrap in (lambda model: model, lambda model: kbs.ChunkedEncoder(model, 7)):
        model = wrap(network((layers.Dense, {"units": 6, "kernel_regularizer": "l2", "kernel_initializer": "ones"})))
        model.compile("sgd", kbs.WeightedTripletLoss())
        found.append(model.evaluate(ITEMS, LABELS, batch_size=30, verbose=0))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@needs_stateless
@pytest.mark.parametrize("encoder", [layers.Dense(2), None, keras.Sequential])
def test_only_models_are_encoders(encoder):
    with pytest.raises(TypeError, match=r"`encoder` must be a `keras.Model`"):
        kbs.ChunkedEncoder(encoder)


@needs_stateless
@pytest.mark.parametrize(
    ("chunk_size", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, TypeError)]
)
def test_chunks_hold_a_whole_number_of_items(chunk_size, error):
    with pytest.raises(error, match="`chunk_size` must be"):
        kbs.ChunkedEncoder(network(), chunk_size)


@needs_stateless
def test_the_encoder_returns_one_embedding_per_item():
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="an encoder with 2 outputs"):
        kbs.ChunkedEncoder(keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)]))
    with pytest.raises(ValueError, match=r"an output of shape \(None, 2, 2\)"):
        kbs.ChunkedEncoder(keras.Model(inputs, layers.Reshape((2, 2))(inputs)))
    with pytest.raises(ValueError, match=r"an output of shape \(None, 2, 2\)"):
        kbs.ChunkedEncoder(keras.Sequential([layers.Reshape((2, 2))])).predict(ITEMS, verbose=0)


@needs_stateless
def test_losses_and_masks_of_the_encoder_are_refused():
    active = keras.Sequential([keras.Input((4,)), layers.Dense(2, activity_regularizer="l2")])
    with pytest.raises(ValueError, match="can't use `add_loss` or `activity_regularizer`"):
        trained(kbs.ChunkedEncoder(active, 7))
    masking = keras.Sequential([keras.Input((4,)), layers.Masking(), layers.Dense(2)])
    with pytest.raises(ValueError, match="must return embeddings without a mask"):
        kbs.ChunkedEncoder(masking, 7)(ITEMS)


@pytest.mark.skipif(hasattr(keras, "StatelessScope"), reason="works")
def test_an_older_keras_is_refused():
    with pytest.raises(NotImplementedError, match="needs Keras 3"):
        kbs.ChunkedEncoder(network())
