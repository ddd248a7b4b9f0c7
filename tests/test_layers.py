import itertools

import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops, to_numpy


def gradient(left, right):
    """Gradient of the summed distances with respect to the left side, by one step of plain gradient descent."""
    left, right = np.asarray(left, "float32"), np.asarray(right, "float32")
    inputs = keras.Input((1,))
    shift = keras.layers.Embedding(len(left), left.shape[1], name="left")
    a = keras.layers.Flatten()(shift(inputs))
    b = keras.Input(right.shape[1:])
    model = keras.Model([inputs, b], kbs.EuclideanDistance()([a, b]))
    shift.set_weights([left])
    model.compile(keras.optimizers.SGD(1.0), lambda _, d: ops.sum(d), run_eagerly=False)
    model.train_on_batch([np.arange(len(left))[:, None], right], np.zeros((len(left), 1)))
    return left - shift.get_weights()[0]


def reference(left, right):
    return np.array(
        [
            [sum((float(a) - float(b)) ** 2 for a, b in zip(u, v, strict=True)) ** 0.5]
            for u, v in zip(left, right, strict=True)
        ]
    )


def test_distance_equals_the_slow_one():
    rng = np.random.default_rng(0)
    for scale in (1e-6, 1e-3, 1.0, 1e4):
        left, right = (rng.normal(size=(2, 16, 5)) * scale).astype("float32")
        distance = to_numpy(kbs.EuclideanDistance()([left, right]))
        np.testing.assert_allclose(distance, reference(left, right), rtol=1e-6)


def test_nearby_points_far_from_the_origin_do_not_cancel():
    left, right = np.full((1, 2), 1000.0, "float32"), np.full((1, 2), 1000.1, "float32")
    distance = kbs.EuclideanDistance()([left, right])
    np.testing.assert_allclose(to_numpy(distance), reference(left, right), rtol=1e-6)


def test_swapping_the_sides_changes_nothing():
    left, right = np.random.default_rng(1).normal(size=(2, 9, 3)).astype("float32")
    layer = kbs.EuclideanDistance()
    np.testing.assert_array_equal(to_numpy(layer([left, right])), to_numpy(layer([right, left])))


def test_equal_embeddings_have_distance_zero_and_gradient_zero():
    same = [[1.0, 2.0], [0.0, 0.0]]
    assert to_numpy(kbs.EuclideanDistance()([np.array(same), np.array(same)])).tolist() == [[0.0], [0.0]]
    assert gradient(same, same).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("distance", [1e-15, 1e-9, 1e-6, 1e-3, 1.0, 1e3])
def test_gradient_is_the_unit_vector_at_every_distance(distance):
    measured = gradient([[0.6 * distance, 0.8 * distance]], [[0.0, 0.0]])
    rounding = np.spacing(np.float32(distance))  # of the weights that the gradient is read off
    np.testing.assert_allclose(measured, [[0.6, 0.8]], atol=max(1e-6, rounding))


def test_a_nan_stays_a_nan():
    assert np.isnan(to_numpy(kbs.EuclideanDistance()([np.array([[np.nan, 0.0]]), np.zeros((1, 2))]))).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(policy):
    left, right = np.full((1, 4), 1e-4, "float32"), np.zeros((1, 4), "float32")  # the squares are 0 in float16
    distance = kbs.EuclideanDistance(dtype=policy)([left, right])
    assert policy.removeprefix("mixed_") in str(distance.dtype)
    np.testing.assert_allclose(to_numpy(ops.cast(distance, "float32")), [[2e-4]], rtol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_float32_embeddings_keep_their_digits_under_a_mixed_policy(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        encoder = keras.Sequential([keras.Input((2,)), keras.layers.Identity(dtype="float32")])
        model = kbs.siamese_model(encoder)
        points = np.array([[1000.0, 0.0]], "float32"), np.array([[1000.1, 0.0]], "float32")
        distance = model.predict(points, verbose=0).astype("float32")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(distance, [[0.1]], rtol=1e-2)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_confidently_wrong_pair_still_learns(policy):
    layer = kbs.DistanceToProbability(slope=10.0, threshold=1.0, dtype=policy)
    inputs = keras.Input((1,), dtype="float32")
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.1), kbs.WeightedBinaryCrossentropy())
    before = model.get_weights()
    model.train_on_batch(np.array([[0.2]]), np.array([[0.0]]))
    assert all(abs(new - old) > 1e-3 for new, old in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_a_half_is_at_the_threshold_under_every_policy(policy):
    for slope, threshold in ((1e3, 1.0003), (1e-4, 94857.0)):  # float16 has neither threshold
        layer = kbs.DistanceToProbability(slope, threshold, dtype=policy)
        assert "float32" in str(layer.compute_dtype)
        inputs = np.array([[0.9999], [1.0], [1.0007]], "float32") * threshold
        probability = to_numpy(layer(inputs))
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(-slope * (threshold - inputs))), rtol=1e-2)
        assert probability[1] == 0.5


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_float64_keeps_its_precision():
    left, right = np.array([[1.0, 0.0]]), np.array([[1.0 + 1e-12, 0.0]])
    distance = kbs.EuclideanDistance(dtype="float64")([left, right])
    if "float64" in str(distance.dtype):  # JAX has none unless it is switched on
        np.testing.assert_allclose(to_numpy(distance), [[1e-12]], rtol=1e-3)


def test_static_and_dynamic_shapes():
    symbolic = kbs.EuclideanDistance()([keras.Input((3,)), keras.Input((3,))])
    fixed = kbs.EuclideanDistance()([keras.Input(batch_shape=(7, 3)), keras.Input(batch_shape=(7, 3))])
    assert tuple(symbolic.shape) == (None, 1)
    assert tuple(fixed.shape) == (7, 1)
    assert kbs.EuclideanDistance().compute_output_shape([(None, 5, 3), (None, 5, 3)]) == (None, 5, 1)


def test_masks_of_both_sides_are_joined():
    tokens = np.array([[1, 2, 0, 0]]), np.array([[3, 0, 0, 0]])
    inputs = [keras.Input((4,)), keras.Input((4,))]
    embed = keras.layers.Embedding(5, 2, mask_zero=True)
    distance = kbs.EuclideanDistance()([embed(one) for one in inputs])
    pooled = keras.layers.GlobalAveragePooling1D()(distance)
    model = keras.Model(inputs, [distance, pooled])
    distances, mean = model.predict([*tokens], verbose=0)
    np.testing.assert_allclose(mean, distances[:, 0], rtol=1e-6)  # only the first step is there on both sides


@pytest.mark.parametrize(("left", "right"), [((2, 3), (2, 4)), ((2, 3), (1, 3)), ((2, 3), (2, 3, 1)), ((3,), (3,))])
def test_different_shapes_are_named(left, right):
    with pytest.raises(ValueError, match="same shape") as error:
        kbs.EuclideanDistance()([np.zeros(left), np.zeros(right)])
    assert str(left) in str(error.value)
    assert str(right) in str(error.value)


@pytest.mark.parametrize("inputs", [np.zeros((2, 3)), [np.zeros((2, 3))], [np.zeros((2, 3))] * 3])
def test_two_inputs_are_needed(inputs):
    with pytest.raises(ValueError, match="list of two embeddings"):
        kbs.EuclideanDistance()(inputs)


def test_probability_is_a_half_at_the_threshold_and_falls():
    layer = kbs.DistanceToProbability(slope=3.0, threshold=0.7)
    probability = to_numpy(layer(np.array([[0.0], [0.7], [1.4]]))).ravel()
    np.testing.assert_allclose(probability, [1 / (1 + np.exp(-2.1)), 0.5, 1 / (1 + np.exp(2.1))], rtol=1e-6)
    assert all(a > b for a, b in itertools.pairwise(probability))


def test_probability_layer_learns_unless_fixed():
    for trainable, expected in ((True, 2), (False, 0)):
        layer = kbs.DistanceToProbability(trainable=trainable)
        layer(np.zeros((1, 1)))
        assert len(layer.trainable_weights) == expected


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
def test_slope_must_be_positive(bad):
    with pytest.raises(ValueError, match=r"positive.*Received"):
        kbs.DistanceToProbability(slope=bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_threshold_must_be_finite(bad):
    with pytest.raises(ValueError, match=r"finite.*Received"):
        kbs.DistanceToProbability(threshold=bad)


def test_current_values_are_those_after_training():
    layer = kbs.DistanceToProbability(slope=3.0, threshold=0.5)
    assert (layer.current_slope, layer.current_threshold) == (3.0, 0.5)
    layer.build((None, 1))
    layer.set_weights([np.float32(2.0), np.float32(0.75)])
    assert (layer.current_slope, layer.current_threshold) == (2.0, 0.75)
    assert (layer.slope, layer.threshold) == (3.0, 0.5)
