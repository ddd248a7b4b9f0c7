"""Random movements of images: references in loops over pixels, laws, bad input."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence, RandomAffine
from keras_balanced_siamese.loading.random_affine import PIXELS_AT_ONCE, interpolate_pixels, move_pixels

pytestmark = pytest.mark.numpy_only
SHAPES = [(4, 6, 6), (4, 5, 8), (4, 7, 4, 3), (4, 5, 5, 1)]
SETTINGS = [
    {"shift": 2, "flip": True},
    {"flip": True},
    {"rotation": 0.4, "scale": 0.3},
    {"shift": 1, "rotation": math.pi, "scale": 0.9, "flip": True},
]


def dice(seed=0):
    return np.random.default_rng(seed)


def pictures(shape, dtype="float64"):
    return dice(7).uniform(0, 200, shape).astype(dtype)


def still(n):
    """The arguments after the images that leave all of them where they are."""
    return {
        "shift": np.zeros((n, 2), int),
        "mirrored": np.zeros(n, bool),
        "angle": np.zeros(n),
        "zoom": np.ones(n),
    }


def moved_one_pixel_at_a_time(image, down, right, mirrored):
    """The image after a flip and then a shift, pixel by pixel, with the edge outside."""
    height, width = len(image), len(image[0])
    if mirrored:
        image = [row[::-1] for row in image]
    result = np.empty_like(np.asarray(image))
    for i in range(height):
        for j in range(width):
            row, column = i - down, j - right
            while row < 0:
                row += 1
            while row >= height:
                row -= 1
            while column < 0:
                column += 1
            while column >= width:
                column -= 1
            result[i, j] = image[row][column]
    return result


def value_at(image, row, column):
    """The bilinear value of an image at one place: the nearest pixels, each with the area of the opposite part."""
    height, width = image.shape[:2]
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    total = 0.0
    for i in range(height):
        for j in range(width):
            total = total + image[i, j] * max(0.0, 1 - abs(row - i)) * max(0.0, 1 - abs(column - j))
    return total


def rotated_one_pixel_at_a_time(image, shift, mirrored, angle, zoom):
    """The image after a flip, a rotation about its centre, a zoom and a shift, by complex numbers."""
    height, width = image.shape[:2]
    result = np.empty(image.shape)
    for i in range(height):
        for j in range(width):
            place = complex(j - (width - 1) / 2 - shift[1], (height - 1) / 2 - i + shift[0])  # y points up
            place *= np.exp(-1j * angle) / zoom
            column, row = place.real + (width - 1) / 2, (height - 1) / 2 - place.imag
            result[i, j] = value_at(image, row, width - 1 - column if mirrored else column)
    return result


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_shifts_and_flips_are_those_of_a_loop_over_pixels(shape, dtype):
    images = pictures(shape, dtype)
    shift, mirrored = np.array([[1, -2], [0, 3], [-3, 0], [9, -9]]), np.array([True, False, True, False])
    moved = move_pixels(images, shift, mirrored)
    assert moved.dtype == images.dtype
    for k, (down, right) in enumerate(shift.tolist()):
        expected = moved_one_pixel_at_a_time(images[k].tolist(), down, right, mirrored[k])
        np.testing.assert_array_equal(moved[k], expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_movements_together_are_those_of_a_loop_over_pixels(shape):
    images = pictures(shape)
    shift, mirrored = np.array([[1, -2], [0, 0], [-1, 0], [2, 1]]), np.array([True, False, True, False])
    angle, zoom = np.array([0.3, -1.2, 2.5, -0.1]), np.array([1.1, 0.7, 1.6, 0.25])
    moved = interpolate_pixels(images, shift, mirrored, angle, zoom)
    for k, image in enumerate(images):
        expected = rotated_one_pixel_at_a_time(image, shift[k], mirrored[k], angle[k], zoom[k])
        np.testing.assert_allclose(moved[k], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(2, 6, 6), (2, 7, 7, 3)])
@pytest.mark.parametrize("quarters", [1, 2, -1, -2])
def test_a_square_image_turned_by_quarters_is_that_of_rot90(dtype, shape, quarters):
    images = pictures(shape, dtype) / 200
    turned = interpolate_pixels(images, **{**still(2), "angle": np.full(2, quarters * np.pi / 2)})
    np.testing.assert_allclose(turned, np.rot90(images, quarters, axes=(1, 2)), rtol=0, atol=1e-6)


def test_half_a_turn_of_an_image_that_is_not_square():
    images = pictures((2, 5, 8))
    turned = interpolate_pixels(images, **{**still(2), "angle": np.full(2, np.pi)})
    np.testing.assert_allclose(turned, images[:, ::-1, ::-1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("angle", [0.5, -0.9])
def test_rotation_keeps_lengths_in_an_image_that_is_not_square(angle):
    rows, columns = np.indices((41, 81), float)
    blobs = [np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 4) for r, c in [(20, 40), (20, 50), (10, 40)]]
    turned = interpolate_pixels(np.stack(blobs), **{**still(3), "angle": np.full(3, angle)})
    centres = [[(blob * axis).sum() / blob.sum() for axis in (rows, columns)] for blob in turned]
    middle, right, above = np.array(centres)
    np.testing.assert_allclose(middle, [20, 40], atol=1e-6)
    assert np.hypot(*(right - middle)) == pytest.approx(10, abs=0.02)
    assert np.hypot(*(above - middle)) == pytest.approx(10, abs=0.02)
    assert np.dot(right - middle, above - middle) == pytest.approx(0, abs=0.2)
    assert math.atan2(-(right - middle)[0], (right - middle)[1]) == pytest.approx(angle, abs=0.01)  # anticlockwise


def test_a_zoom_changes_sizes_by_its_factor():
    rows, columns = np.indices((41, 41), float)
    blob = np.exp(-((rows - 20) ** 2 + (columns - 20) ** 2) / 40)
    zoomed = interpolate_pixels(np.stack([blob] * 2), **{**still(2), "zoom": np.array([0.5, 1.5])})
    np.testing.assert_allclose(zoomed.sum(axis=(1, 2)) / blob.sum(), [0.25, 2.25], rtol=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_to_do_leaves_images_unchanged(shape):
    images = pictures(shape)
    np.testing.assert_array_equal(RandomAffine()(images, dice()), images)
    np.testing.assert_array_equal(interpolate_pixels(images, **still(4)), images)
    np.testing.assert_array_equal(move_pixels(images, still(4)["shift"], still(4)["mirrored"]), images)


@pytest.mark.parametrize("shape", SHAPES)
def test_flipping_twice_gives_the_images_again(shape):
    images = pictures(shape)
    once = RandomAffine(flip=True)(images, dice(2))
    same = [np.array_equal(a, b) for a, b in zip(once, images, strict=True)]
    assert 0 < sum(same) < 4
    np.testing.assert_array_equal(RandomAffine(flip=True)(once, dice(2)), images)


def test_the_distribution_of_shifts_and_flips():
    n, middle = 20_000, 4
    images = np.zeros((n, 9, 9), "uint8")
    images[:, middle, middle] = 1
    found = np.argwhere(RandomAffine(shift=2)(images, dice()))[:, 1:] - middle
    assert len(found) == n
    counts = np.array([[((found == (i, j)).all(axis=1)).sum() for j in range(-3, 4)] for i in range(-3, 4)])
    assert (counts[[0, -1]] == 0).all()
    assert (counts[:, [0, -1]] == 0).all()
    np.testing.assert_allclose(counts[1:-1, 1:-1], n / 25, rtol=0.15)  # five standard deviations

    images[:, middle, middle], images[:, middle, 0] = 0, 1
    mirrored = RandomAffine(flip=True)(images, dice())[:, middle, 8]
    assert mirrored.mean() == pytest.approx(0.5, abs=0.02)


def test_the_distribution_of_angles_and_sizes():
    n, size, length = 4000, 41, 10
    rows, columns = np.indices((size, size), float)
    blob = np.exp(-((rows - 20) ** 2 + (columns - 20 - length) ** 2) / 4)
    turned = RandomAffine(rotation=0.6, scale=0.3)(np.broadcast_to(blob, (n, size, size)), dice())
    mass = turned.sum(axis=(1, 2))
    y, x = (20 - (turned * rows).sum(axis=(1, 2)) / mass), (turned * columns).sum(axis=(1, 2)) / mass - 20
    for values, low, high in [(np.arctan2(y, x), -0.6, 0.6), (np.hypot(x, y) / length, 0.7, 1.3)]:
        assert low - 0.01 < values.min() < low + 0.01
        assert high - 0.01 < values.max() < high + 0.01
        counts = np.histogram(values, bins=5, range=(low, high))[0]
        np.testing.assert_allclose(counts, n / 5, rtol=0.15)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "uint64", "float16", ">f4", "float64"])
def test_the_dtype_and_the_shape_stay(settings, dtype):
    images = pictures((4, 5, 8, 3), dtype)
    moved = RandomAffine(**settings)(images, dice())
    assert (moved.dtype, moved.shape) == (images.dtype, images.shape)


def test_interpolated_integers_are_rounded_to_the_nearest():
    images = pictures((4, 6, 7), "uint8")
    augment = RandomAffine(rotation=1.0, scale=0.4)
    exact = augment(images.astype("float64"), dice())
    found = augment(images, dice())
    assert (found.astype(float) != exact).any()
    assert np.abs(found.astype(float) - exact).max() <= 0.5001


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "uint64"])
def test_interpolated_integers_stay_in_the_range_of_the_dtype(dtype):
    least, largest = np.iinfo(dtype).min, np.iinfo(dtype).max
    images = dice(1).choice(np.array([least, largest], dtype), (6, 6, 6))
    images[0], images[1] = least, largest
    moved = RandomAffine(rotation=3.0)(images, dice())
    assert (moved[0] == least).all()
    assert (moved[1].astype(float) == float(largest)).mean() > 0.9 or dtype.endswith("64")
    np.testing.assert_allclose(moved[1].astype(float), float(largest), rtol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_nan_stays_in_its_image_and_near_its_place(settings):
    images = pictures((3, 9, 9, 2))
    clean = RandomAffine(**settings)(images, dice())
    images[1, 4, 5, 0] = np.nan
    moved = RandomAffine(**settings)(images, dice())
    touched = np.isnan(moved)
    assert not touched[[0, 2]].any()
    assert not touched[..., 1].any()
    rows, columns = np.nonzero(touched[1, ..., 0])
    # its neighbours lie in a square of 2 x 2 pixels, which is then turned and scaled
    limit = 2 * math.sqrt(2) * (1 + settings["scale"]) if "scale" in settings else 0
    assert max(np.ptp(rows), np.ptp(columns)) <= limit
    np.testing.assert_array_equal(moved[~touched], clean[~touched])


def test_a_nan_reaches_no_pixel_that_it_has_no_part_in():
    images = pictures((1, 6, 6))
    images[0, 2, 3] = np.nan
    assert np.isnan(interpolate_pixels(images, **still(1))).sum() == 1


def test_infinite_pixels_raise_no_warning():
    images = pictures((8, 6, 6), "float32")
    images[:, 1:3, 2:4] = np.inf, -np.inf
    assert np.isfinite(RandomAffine(rotation=0.1)(images, dice())[:, 5]).all()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_same_generator_gives_the_same_images(settings):
    images = pictures((6, 8, 8))
    first = RandomAffine(**settings)(images, dice(3))
    np.testing.assert_array_equal(RandomAffine(**settings)(images, dice(3)), first)
    assert not np.array_equal(RandomAffine(**settings)(images, dice(4)), first)
    generator = dice(3)
    RandomAffine(**settings)(images, generator)
    assert not np.array_equal(RandomAffine(**settings)(images, generator), first)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_given_images_are_not_changed(settings):
    images = pictures((6, 8, 8))
    before = images.copy()
    RandomAffine(**settings)(images, dice())
    np.testing.assert_array_equal(images, before)


def test_copies_of_one_image_move_differently():
    images = np.broadcast_to(pictures((12, 12)), (50, 12, 12))
    for settings, different in [({"shift": 3}, 25), ({"rotation": 0.2}, 50), ({"scale": 0.2}, 50), ({"flip": True}, 2)]:
        moved = RandomAffine(**settings)(images, dice())
        assert len({image.tobytes() for image in moved}) >= different, settings


@pytest.mark.parametrize("settings", SETTINGS)
@given(seed=st.integers(0, 1000), height=st.integers(3, 9), width=st.integers(3, 9))
def test_laws_of_values(settings, seed, height, width):
    images = dice(seed).uniform(-1, 1, (3, height, width))
    augment = RandomAffine(**settings)
    moved = augment(images, dice(seed))
    assert moved.min() >= images.min() - 1e-12
    assert moved.max() <= images.max() + 1e-12
    # movements do not depend on the values: sums of images move to sums of moved images
    np.testing.assert_allclose(augment(2 * images + 3, dice(seed)), 2 * moved + 3, atol=1e-12)
    # channels move together
    both = augment(np.stack([images, -images], axis=-1), dice(seed))
    np.testing.assert_allclose(both, np.stack([moved, -moved], axis=-1), atol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_constant_image_stays_exactly_constant(settings):
    images = np.full((5, 6, 7), 0.1, "float32")
    np.testing.assert_array_equal(RandomAffine(**settings)(images, dice()), images)


def test_without_rotation_and_scale_no_value_is_new():
    images = np.arange(4 * 8 * 8.0).reshape(4, 8, 8)
    for image, moved in zip(images, RandomAffine(shift=3, flip=True)(images, dice()), strict=True):
        assert set(moved.ravel()) <= set(image.ravel())


def test_an_argument_that_is_turned_on_does_not_change_the_others():
    images = pictures((40, 8, 8))
    shifted = RandomAffine(shift=2)(images, dice())
    both = RandomAffine(shift=2, flip=True)(images, dice())
    same = [np.array_equal(a, b) for a, b in zip(shifted, both, strict=True)]
    assert 10 < sum(same) < 30


def test_many_images_move_as_if_they_were_few():
    n = 3 * PIXELS_AT_ONCE // 64 + 5  # more than the code takes at once
    images = pictures((n, 8, 8), "float32")
    shift, mirrored = dice(1).integers(-2, 3, (n, 2)), dice(2).random(n) < 0.5
    angle, zoom = dice(3).uniform(-1, 1, n), dice(4).uniform(0.5, 1.5, n)
    moved = interpolate_pixels(images, shift, mirrored, angle, zoom)
    for k in (0, n // 2, n - 1):
        one = slice(k, k + 1)
        alone = interpolate_pixels(images[one], shift[one], mirrored[one], angle[one], zoom[one])
        np.testing.assert_array_equal(moved[one], alone)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (4, 0, 8), (4, 8, 0), (4, 8, 8, 0)])
def test_a_batch_without_pixels_stays_empty(settings, shape):
    assert RandomAffine(**settings)(np.zeros(shape), dice()).shape == shape


@pytest.mark.parametrize("settings", SETTINGS)
def test_images_in_any_memory_order(settings):
    images = pictures((4, 8, 8))
    turned = np.asfortranarray(images)
    np.testing.assert_array_equal(RandomAffine(**settings)(turned, dice()), RandomAffine(**settings)(images, dice()))


def test_a_pickled_copy_does_the_same():
    images, augment = pictures((4, 8, 8)), RandomAffine(shift=1, rotation=0.2, scale=0.1, flip=True)
    copied = pickle.loads(pickle.dumps(augment))
    np.testing.assert_array_equal(copied(images, dice()), augment(images, dice()))


def build(kind=BalancedPairSequence, x=None, **kwargs):
    x = pictures((24, 8, 8), "float32") if x is None else x
    return kind(x, np.arange(24) % 3, seed=1, **kwargs)


def test_batches_of_a_sequence_are_the_same_for_any_number_of_processes():
    augment = RandomAffine(shift=1, rotation=0.2, flip=True)
    plain, again = build(batch_size=6), build(batch_size=6, batch_transform=augment)
    workers = build(batch_size=6, batch_transform=augment, workers=2, use_multiprocessing=True)
    for k in range(len(plain)):
        (left, right), _, _ = again[k]
        for side, other in zip((left, right), workers[k][0], strict=True):
            np.testing.assert_array_equal(side, other)
        assert not np.array_equal(left, plain[k][0][0])


def test_copies_of_a_sample_in_a_batch_move_differently():
    batches = build(
        BalancedBatchSequence,
        np.broadcast_to(pictures((8, 8)), (24, 8, 8)),
        classes_per_batch=3,
        samples_per_class=8,
        batch_transform=RandomAffine(rotation=0.3),
    )
    images = batches[0][0]
    assert len({image.tobytes() for image in images}) == len(images) == 24


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"shift": -1}, ValueError, "`shift` must be at least 0. Received: shift=-1"),
        ({"shift": 1.5}, TypeError, "`shift` must be a whole number. Received: shift=1.5"),
        ({"shift": True}, TypeError, "`shift` must be a whole number"),
        ({"rotation": -0.1}, ValueError, "`rotation` must be at least 0 and finite. Received: rotation=-0.1"),
        ({"rotation": 15}, ValueError, "must be at most pi.* radians.*numpy.deg2rad.*Received: rotation=15"),
        ({"rotation": math.nan}, ValueError, "`rotation` must be at least 0 and finite. Received: rotation=nan"),
        ({"rotation": "0.1"}, TypeError, "`rotation` must be a number"),
        ({"scale": 1.0}, ValueError, "`scale` must be below 1, for example 0.15 for 15 %. Received: scale=1.0"),
        ({"scale": -0.1}, ValueError, "`scale` must be at least 0"),
        ({"scale": math.nan}, ValueError, "`scale` must be at least 0 and finite. Received: scale=nan"),
        ({"scale": (0.9, 1.1)}, TypeError, "`scale` must be a number"),
        ({"flip": "horizontal"}, TypeError, "`flip` must be True or False. Received: flip='horizontal'"),
    ],
)
def test_bad_arguments(settings, error, message):
    with pytest.raises(error, match=message):
        RandomAffine(**settings)


def test_the_limits_of_the_arguments_are_allowed():
    augment = RandomAffine(shift=7, rotation=np.pi, scale=0.999, flip=np.True_)
    assert np.isfinite(augment(pictures((50, 8, 9)), dice())).all()


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((4, 64)), ValueError, r"reshape.*def change\(x, rng\).*Received: images of shape \(4, 64\)"),
        (np.zeros((4, 2, 8, 8, 1)), ValueError, r"must be one array of shape \(b, height, width\)"),
        ((np.zeros((4, 8, 8)), np.zeros(4)), TypeError, r"def change\(samples, rng\).*Received: a tuple of 2 inputs"),
        ({"image": np.zeros((4, 8, 8))}, TypeError, "samples with several inputs.*Received: a dict of 1 inputs"),
        ([np.zeros((8, 8))] * 4, TypeError, "Received: a list of 4 inputs"),
        (np.zeros((4, 8, 8), bool), TypeError, r"astype\('uint8'\).*Received: images of dtype bool"),
        (np.zeros((4, 8, 8), object), TypeError, "must be integers or floats.*Received: images of dtype object"),
        (np.zeros((4, 8, 8), complex), TypeError, "Received: images of dtype complex128"),
        (np.zeros((4, 1, 8, 8)), ValueError, "channels come last.*Received: shift=1, images of shape"),
        (np.zeros((4, 3, 8, 8)), ValueError, r"channels.*last.*np.moveaxis.*images of shape \(4, 3, 8, 8\)"),
        (np.zeros((4, 8, 1)), ValueError, "`shift` must be below the height and the width"),
    ],
)
def test_bad_images(images, error, message):
    with pytest.raises(error, match=message):
        RandomAffine(shift=1)(images, dice())


def test_images_are_checked_without_any_movement_too():
    with pytest.raises(ValueError, match="reshapes them"):
        RandomAffine()(np.zeros((4, 64)), dice())


@pytest.mark.parametrize("rng", [0, None, np.random])
def test_bad_generators(rng):
    with pytest.raises(TypeError, match=r"`rng` must be a `numpy.random.Generator`.*Received: rng="):
        RandomAffine(shift=1)(np.zeros((4, 8, 8)), rng)


def test_the_cures_in_the_messages_work():
    augment = RandomAffine(rotation=0.2)
    vectors, age = pictures((24, 64), "float32"), np.arange(24)

    def change(x, rng):
        return augment(x.reshape(-1, 8, 8), rng).reshape(x.shape)

    reshaped = build(x=vectors, batch_transform=change)
    images = build(x=vectors.reshape(24, 8, 8), batch_transform=augment)
    np.testing.assert_array_equal(reshaped[0][0][0], images[0][0][0].reshape(-1, 64))

    def change_channels(x, rng):
        return np.moveaxis(augment(np.moveaxis(x, 1, -1), rng), -1, 1)

    first = np.moveaxis(vectors.reshape(24, 8, 8, 1), -1, 1)  # (24, 1, 8, 8)
    np.testing.assert_array_equal(build(x=first, batch_transform=change_channels)[0][0][0], images[0][0][0][:, None])

    def change_image(samples, rng):
        return {**samples, "image": augment(samples["image"], rng)}

    several = build(x={"image": vectors.reshape(24, 8, 8), "age": age}, batch_transform=change_image)
    (left, _), _, _ = several[0]
    np.testing.assert_array_equal(left["image"], images[0][0][0])
    np.testing.assert_array_equal(left["age"], several.indices(0)[0])
    with pytest.raises(
        RuntimeError, match=r"`batch_transform` failed on batch 0 of epoch 0 with TypeError.*a dict of 2"
    ):
        build(x={"image": vectors.reshape(24, 8, 8), "age": age}, batch_transform=augment)[0]
