"""Distances of two embeddings against loops over the coordinates."""

import itertools
import math

import keras
import numpy as np
import pytest
from toy import gradient

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops, to_numpy


def slow_euclidean(u, v):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(u, v, strict=True)))


def slow_manhattan(u, v):
    total = 0.0
    for a, b in zip(u, v, strict=True):
        total += a - b if a > b else b - a
    return total


def slow_cosine(u, v):
    lengths = math.hypot(*u), math.hypot(*v)
    if min(lengths) < 1e-12:
        return 1.0
    return 1.0 - sum((a / lengths[0]) * (b / lengths[1]) for a, b in zip(u, v, strict=True))


SLOW = {
    kbs.EuclideanDistance: slow_euclidean,
    kbs.ManhattanDistance: slow_manhattan,
    kbs.CosineDistance: slow_cosine,
}
DISTANCES = list(SLOW)
every_distance = pytest.mark.parametrize("layer", DISTANCES)


def reference(left, right, layer=kbs.EuclideanDistance):
    return np.array([[SLOW[layer](*map(np.ndarray.tolist, rows))] for rows in zip(left, right, strict=True)])


@every_distance
@pytest.mark.parametrize("scale", [1e-15, 1e-11, 1e-6, 1e-4, 1.0, 1e4, 1e15, 1e17, 1e18, 1e19, 1e20, 1e30, 2e37])
def test_distance_equals_the_slow_one(layer, scale):
    left, right = (np.random.default_rng(0).normal(size=(2, 16, 5)) * scale).astype("float32")
    distance = to_numpy(layer()([left, right]))
    atol = 5e-7 if layer is kbs.CosineDistance else 0
    np.testing.assert_allclose(distance, reference(left, right, layer), rtol=1e-6, atol=atol)


@every_distance
def test_gradient_equals_finite_differences(layer):
    scales = np.array([1e-4, 1e-2, 1.0, 1.0, 1e2, 1e4])[:, None]
    left, right = (np.random.default_rng(2).normal(size=(2, 6, 3)) * scales).astype("float32").astype("float64")
    expected = np.zeros_like(left)
    for i, k in itertools.product(range(6), range(3)):
        step = np.zeros_like(left)
        step[i, k] = 1e-5 * scales[i, 0]
        rise = reference(left + step, right, layer)[i, 0] - reference(left - step, right, layer)[i, 0]
        expected[i, k] = rise / (2 * step[i, k])
    unit = scales if layer is kbs.CosineDistance else 1.0
    np.testing.assert_allclose(gradient(left, right, layer()) * unit, expected * unit, rtol=1e-4, atol=1e-5)


def test_nearby_points_far_from_the_origin_do_not_cancel():
    left, right = np.full((1, 2), 1000.0, "float32"), np.full((1, 2), 1000.1, "float32")
    distance = kbs.EuclideanDistance()([left, right])
    np.testing.assert_allclose(to_numpy(distance), reference(left, right), rtol=1e-6)


@every_distance
def test_swapped_sides_change_nothing_and_pairs_keep_their_order(layer):
    left, right = np.random.default_rng(1).normal(size=(2, 9, 3)).astype("float32")
    plain = to_numpy(layer()([left, right]))
    np.testing.assert_array_equal(plain, to_numpy(layer()([right, left])))
    order = np.random.default_rng(0).permutation(9)
    np.testing.assert_array_equal(plain[order], to_numpy(layer()([left[order], right[order]])))
    np.testing.assert_array_equal(plain[:1], to_numpy(layer()([left[:1], right[:1]])))


@pytest.mark.parametrize("layer", [kbs.EuclideanDistance, kbs.ManhattanDistance])
def test_equal_embeddings_have_distance_zero_and_gradient_zero(layer):
    same = [[1.0, 2.0], [0.0, 0.0]]
    assert to_numpy(layer()([np.array(same), np.array(same)])).tolist() == [[0.0], [0.0]]
    assert np.abs(gradient(same, same, layer())).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_an_equal_coordinate_has_no_manhattan_gradient():
    assert (gradient([[1.0, 5.0, -2.0]], [[1.0, 4.0, 3.0]], kbs.ManhattanDistance()) + 0.0).tolist() == [
        [0.0, 1.0, -1.0]
    ]


def test_cosine_of_equal_parallel_opposite_and_zero_vectors():
    left = [[1.0, 2.0], [1.0, 2.0], [3.0, -1.0], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0], [1e-40, 0.0]]
    right = [[1.0, 2.0], [4.0, 8.0], [-3.0, 1.0], [1.0, 2.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]
    expected = [[0.0], [0.0], [2.0], [1.0], [1.0], [1.0], [1.0]]
    for one, other in ((left, right), (right, left)):
        distance = to_numpy(kbs.CosineDistance()([np.array(one, "float32"), np.array(other, "float32")]))
        np.testing.assert_allclose(distance, expected, atol=1e-6)
        assert distance[[0, 1, 3, 4, 5]].tolist() == [[0.0], [0.0], [1.0], [1.0], [1.0]]
        assert distance.max() <= 2
        slopes = gradient(one, other, kbs.CosineDistance())
        assert np.abs(slopes[[0, 3, 4, 5]]).max() == 0
        assert np.abs(slopes).max() < 1e-6


@pytest.mark.parametrize("angle", [1e-5, 1e-4, 1e-3, 1e-2])
def test_cosine_of_nearly_parallel_vectors_keeps_its_digits(angle):
    left, right = np.array([[1.0, 0.0]], "float32"), np.array([[1.0, angle]], "float32")
    distance = to_numpy(kbs.CosineDistance()([left, right * 3]))
    np.testing.assert_allclose(distance, [[1 - math.cos(math.atan(angle))]], rtol=1e-3)


def test_cosine_of_very_long_and_very_short_vectors():
    scales = np.array([[1e-11], [1e-5], [1.0], [1e15], [1e17], [1e18], [1e30], [1e38], [3e38]], "float32")
    left, right = (np.tile(np.array(side, "float32"), (len(scales), 1)) for side in ([1.0, 0.0], [0.6, 0.8]))
    for factor in (1.0, scales):
        distance = to_numpy(kbs.CosineDistance()([left * scales, right * factor]))
        np.testing.assert_allclose(distance, np.full((len(scales), 1), 0.4), rtol=1e-6)
        slopes = gradient(left * scales, right * factor, kbs.CosineDistance()) * scales
        np.testing.assert_allclose(slopes[1:-2], [[0.0, -0.8]] * (len(scales) - 3), atol=1e-6)


@pytest.mark.parametrize("length", [1e-6, 1e-8, 1e-11, 1e-13, 1e-30, 1e-42])
def test_nearly_zero_vectors_do_not_throw_the_weights_away(length):
    left, right = np.array([[length, 0.0]], "float32"), np.array([[0.6, 0.8]], "float32")
    slope = gradient(left, right, kbs.CosineDistance())
    np.testing.assert_allclose(slope, [[0.0, -0.8e5 if length > 1e-12 else 0.0]], rtol=1e-5, atol=0.1)
    encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    encoder.set_weights([np.array([[1.0, 0.5], [-0.5, 1.0]]) * length])
    model = kbs.siamese_model(encoder, kbs.CosineDistance())
    model.compile(keras.optimizers.SGD(0.01), kbs.WeightedCosineLoss())
    for _ in range(3):
        model.train_on_batch((np.eye(2), np.ones((2, 2))), np.array([[1.0], [0.0]]))
    assert np.abs(encoder.get_weights()[0]).max() < 2e3


@pytest.mark.parametrize("layer", [kbs.EuclideanDistance, kbs.ManhattanDistance])
@pytest.mark.parametrize("scale", [1e18, 1e20, 1e30, 1e38])
def test_far_embeddings_have_finite_distances_and_gradients(layer, scale):
    left, right = np.array([[0.6, 0.8]]) * scale, np.zeros((1, 2))
    expected = {kbs.EuclideanDistance: [[0.6, 0.8]], kbs.ManhattanDistance: [[1.0, 1.0]]}[layer]
    np.testing.assert_allclose(gradient(left, right, layer()), expected, rtol=1e-6)


@pytest.mark.parametrize("layer", [kbs.EuclideanDistance, kbs.ManhattanDistance])
@pytest.mark.parametrize("scale", [1e25, 3e38])
def test_a_loss_is_finite_only_if_its_gradient_is(layer, scale):
    encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    encoder.set_weights([np.eye(2)])
    model = kbs.siamese_model(encoder, layer(), probability=True)
    model.compile(keras.optimizers.SGD(1e-3), kbs.WeightedBinaryCrossentropy())
    sides = np.array([[scale, scale], [1.0, 2.0]]), np.array([[0.0, 0.0], [1.0, 2.5]])
    value = model.train_on_batch(sides, np.array([[1.0], [0.0]]))
    assert np.isfinite(value) == all(np.isfinite(one).all() for one in model.get_weights())


@pytest.mark.parametrize("distance", [1e-15, 1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e19, 1e25, 1e38])
def test_gradient_is_the_unit_vector_at_every_distance(distance):
    measured = gradient([[0.6 * distance, 0.8 * distance]], [[0.0, 0.0]], kbs.EuclideanDistance())
    np.testing.assert_allclose(measured, [[0.6, 0.8]], atol=1e-6)


@every_distance
@pytest.mark.parametrize("bad", [[np.nan, 0.0], [0.0, np.nan], [np.nan, np.nan], [np.nan, 1.0]])
@pytest.mark.parametrize("other", [[0.0, 0.0], [1.0, 2.0]])
def test_a_nan_stays_a_nan(layer, bad, other):
    assert np.isnan(to_numpy(layer()([np.array([bad]), np.array([other])]))).all()
    assert np.isnan(to_numpy(layer()([np.array([other]), np.array([bad])]))).all()


@every_distance
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(layer, policy):
    # the squares are 0 in float16
    left, right = np.array([[1e-4] * 4, [0.0] * 4], "float32"), np.array([[1e-4, 1e-4, 0.0, 0.0], [0.0] * 4], "float32")
    distance = layer(dtype=policy)([left, right])
    assert policy.removeprefix("mixed_") in str(distance.dtype)
    np.testing.assert_allclose(to_numpy(ops.cast(distance, "float32")), reference(left, right, layer), rtol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_float32_embeddings_keep_their_digits_in_mixed_policies(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        encoder = keras.Sequential([keras.Input((2,)), keras.layers.Identity(dtype="float32")])
        model = kbs.siamese_model(encoder)
        points = np.array([[1000.0, 0.0]], "float32"), np.array([[1000.1, 0.0]], "float32")
        distance = model.predict(points, verbose=0).astype("float32")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(distance, [[0.1]], rtol=1e-2)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_float64_keeps_its_precision():
    left, right = np.array([[1.0, 0.0]]), np.array([[1.0 + 1e-12, 0.0]])
    distance = kbs.EuclideanDistance(dtype="float64")([left, right])
    if "float64" in str(distance.dtype):  # JAX has none unless it is switched on
        np.testing.assert_allclose(to_numpy(distance), [[1e-12]], rtol=1e-3)


@every_distance
def test_static_and_dynamic_shapes(layer):
    symbolic = layer()([keras.Input((3,)), keras.Input((3,))])
    fixed = layer()([keras.Input(batch_shape=(7, 3)), keras.Input(batch_shape=(7, 3))])
    assert tuple(symbolic.shape) == (None, 1)
    assert tuple(fixed.shape) == (7, 1)
    assert layer().compute_output_shape([(None, 5, 3), (None, 5, 3)]) == (None, 5, 1)


@every_distance
def test_masks_of_both_sides_are_joined(layer):
    tokens = np.array([[1, 2, 0, 0]]), np.array([[3, 0, 0, 0]])
    inputs = [keras.Input((4,)), keras.Input((4,))]
    embed = keras.layers.Embedding(5, 2, mask_zero=True)
    distance = layer()([embed(one) for one in inputs])
    pooled = keras.layers.GlobalAveragePooling1D()(distance)
    model = keras.Model(inputs, [distance, pooled])
    distances, mean = model.predict([*tokens], verbose=0)
    np.testing.assert_allclose(mean, distances[:, 0], rtol=1e-6)  # only the first step is there on both sides


@pytest.mark.parametrize(("left", "right"), [((2, 3), (2, 4)), ((2, 3), (1, 3)), ((2, 3), (2, 3, 1)), ((3,), (3,))])
@every_distance
def test_different_shapes_are_named(layer, left, right):
    with pytest.raises(ValueError, match="same shape") as error:
        layer()([np.zeros(left), np.zeros(right)])
    assert str(left) in str(error.value)
    assert str(right) in str(error.value)
    with pytest.raises(ValueError, match="same shape"):  # when a model is built
        layer()([keras.Input(batch_shape=left), keras.Input(batch_shape=right)])
    with pytest.raises(ValueError, match="same shape"):
        layer().compute_output_shape([left, right])


@pytest.mark.parametrize(
    ("left", "right"), [((4,), (5,)), ((4,), (3, 4)), ((), ()), ((None, 4), (None, 5)), ((1,), (4,))]
)
@every_distance
def test_models_of_different_shapes_are_not_built(layer, left, right):
    with pytest.raises(ValueError, match="same shape"):
        layer()([keras.Input(left), keras.Input(right)])


@every_distance
def test_unknown_sizes_may_be_equal(layer):
    for left, right in (((None,), (None,)), ((None,), (4,)), ((None, 4), (7, 4))):
        model = keras.Model(inputs := [keras.Input(left), keras.Input(right)], layer()(inputs))
        shape = (2, 7, 4) if len(left) == 2 else (2, 4)
        assert model.predict([np.ones(shape), np.zeros(shape)], verbose=0).shape == (*shape[:-1], 1)


@pytest.mark.parametrize("inputs", [np.zeros((2, 3)), [np.zeros((2, 3))], [np.zeros((2, 3))] * 3])
@every_distance
def test_two_inputs_are_needed(layer, inputs):
    with pytest.raises(ValueError, match="list of two embeddings"):
        layer()(inputs)
    symbolic = [keras.Input((3,)) for _ in inputs] if isinstance(inputs, list) else keras.Input((3,))
    with pytest.raises(ValueError, match="list of two embeddings"):
        layer()(symbolic)
