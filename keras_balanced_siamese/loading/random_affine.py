"""Random shifts, rotations, changes of size and flips of the images of a batch."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_balanced_siamese._checks import at_least, flag, whole

SHAPES = "`images` must be one array of shape (b, height, width) or (b, height, width, channels)"
CHANNELS = 4  # more are no channels of an image
PIXELS_AT_ONCE = 2**15  # so that the intermediate arrays stay in the cache of the processor


class RandomAffine:
    """Augmentation for `batch_transform`: moves each image of a batch a little, in its own random way.

    Use it with few samples in a class, and only with changes that keep the class: a mirrored digit is another digit,
    and a 6 turned by half a circle is a 9. Start with small changes that occur in real data: one pixel of shift is too
    much for images of 8x8 pixels. Look at a batch with `plot_pairs`, in which the class of each image must be as clear
    as before. Then train natural pairs without weights, with and without the augmentation, for the same number of
    steps: the error on validation data, which is not augmented, must not rise noticeably.

    A pixel at `(row, column)`, relative to the centre of the image, comes from this place in the original:

    ```
    R(angle) ((row, column) - shift) / zoom      with the sign of the column changed in mirrored images
    shift ~ whole pixels from -shift to shift    angle ~ U(-rotation, rotation)    zoom ~ U(1 - scale, 1 + scale)
    ```

    - Both sides of a pair, and several copies of a sample in a batch, move independently.
    - Places outside of the original take the nearest pixel of its edge.
    - Without rotation and scale, pixels only change their places. Otherwise values are interpolated bilinearly, and
      those of integers are rounded. A NaN reaches only the pixels next to it.
    - Batches are reproducible: the random numbers depend on the seed, the epoch and the batch.

    With all arguments at their defaults, images are returned unchanged. Layers at the front of the encoder are an
    alternative: `keras.layers.RandomFlip`, and `RandomTranslation`, `RandomRotation` (in parts of a full turn) and
    `RandomZoom` with `fill_mode="nearest"`. They are saved with the model, act in training only and run on the GPU if
    there is one. On a CPU they take much longer.

    Args:
        shift: Largest shift along each axis, in whole pixels, below the height and the width of the images.
        rotation: Largest angle in radians, from 0 to pi.
        scale: Largest relative change of size, at least 0 and below 1.
        flip: Whether to mirror half of the images left to right.

    Call arguments:
        - `images`: `(b, height, width)` or `(b, height, width, channels)`, integers or floats.
        - `rng`: The `numpy.random.Generator` that a sequence passes.

    Returns:
        The call returns the images in the same shape and dtype.

    Raises:
        ValueError: If an argument is out of its range, or, when called, if the images have a wrong shape.
        TypeError: If an argument is of the wrong type, or, when called, if there are several inputs or the images are
            not numeric.

    Examples:
        >>> x = np.random.default_rng(0).uniform(size=(40, 8, 8)).astype("float32")
        >>> augment = RandomAffine(rotation=0.12, scale=0.15)
        >>> pairs = BalancedPairSequence(x, np.arange(40) % 4, batch_size=10, batch_transform=augment, seed=0)
        >>> (left, right), similar, sample_weight = pairs[0]
        >>> left.shape, left.dtype
        ((10, 8, 8), dtype('float32'))

        Samples with several inputs, or vectors, need a function that calls it on the images:

        >>> def change(samples, rng):
        ...     return {**samples, "image": augment(samples["image"].reshape(-1, 8, 8), rng).reshape(-1, 64)}
        >>> x = {"image": x.reshape(40, 64), "age": np.arange(40)}
        >>> pairs = BalancedPairSequence(x, np.arange(40) % 4, batch_size=10, batch_transform=change, seed=0)
        >>> np.array_equal(left.reshape(10, 64), pairs[0][0][0]["image"])
        True
    """

    def __init__(self, shift: int = 0, rotation: float = 0.0, scale: float = 0.0, flip: bool = False):
        self.shift = whole("shift", shift, 0)
        self.rotation = at_least("rotation", rotation, 0)
        if not self.rotation <= math.pi:
            raise ValueError(
                "`rotation` must be at most pi: it is in radians, and `numpy.deg2rad` converts degrees. "
                f"Received: rotation={rotation!r}"
            )
        self.scale = at_least("scale", scale, 0)
        if not self.scale < 1:
            raise ValueError(f"`scale` must be below 1, for example 0.15 for 15 %. Received: scale={scale!r}")
        self.flip = flag("flip", flip)

    def __call__(self, images: Any, rng: np.random.Generator) -> np.ndarray:
        images = _checked(images, self.shift)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(
                "`rng` must be a `numpy.random.Generator`, such as `numpy.random.default_rng(0)`. "
                f"Received: rng={rng!r}"
            )
        n = len(images)
        # all are drawn in any case: an argument that is turned on does not change the effect of the others
        shift = rng.integers(-self.shift, self.shift + 1, (n, 2))
        mirrored = rng.random(n) < 0.5 * self.flip
        angle = rng.uniform(-self.rotation, self.rotation, n)
        zoom = rng.uniform(1.0 - self.scale, 1.0 + self.scale, n)
        if self.rotation or self.scale:
            return interpolate_pixels(images, shift, mirrored, angle, zoom)
        if self.shift or self.flip:
            return move_pixels(images, shift, mirrored)
        return images


def move_pixels(images: np.ndarray, shift: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Shift images by whole pixels after mirroring some of them; every value stays as it is.

    Args:
        images: `(n, h, w)` or `(n, h, w, c)`.
        shift: `(n, 2)` whole pixels down and to the right.
        mirrored: `(n,)` booleans.

    Returns:
        The images, in the same shape and dtype.
    """
    n, height, width = images.shape[:3]
    rows = np.clip(np.arange(height) - shift[:, :1], 0, height - 1)  # (n, h)
    columns = np.clip(np.arange(width) - shift[:, 1:], 0, width - 1)  # (n, w)
    columns = np.where(mirrored[:, None], width - 1 - columns, columns)
    rows += height * np.arange(n)[:, None]
    pixels = images.reshape(n * height * width, *images.shape[3:])
    return np.take(pixels, width * rows[:, :, None] + columns[:, None, :], axis=0)


def interpolate_pixels(
    images: np.ndarray, shift: np.ndarray, mirrored: np.ndarray, angle: np.ndarray, zoom: np.ndarray
) -> np.ndarray:
    """Mirror, rotate, scale and shift images, in this order, with bilinear interpolation.

    Args:
        images: `(n, h, w)` or `(n, h, w, c)`.
        shift: `(n, 2)` pixels down and to the right.
        mirrored: `(n,)` booleans.
        angle: `(n,)` radians, anticlockwise, about the centre of the image.
        zoom: `(n,)` factors of the size, above 0.

    Returns:
        The images, in the same shape and dtype.
    """
    n, height, width = images.shape[:3]
    cosine, sine = (np.cos(angle) / zoom)[:, None, None], (np.sin(angle) / zoom)[:, None, None]  # (n, 1, 1)
    sign = np.where(mirrored, -1.0, 1.0)[:, None, None]
    y = (np.arange(height) - (height - 1) / 2 - shift[:, :1])[:, :, None]  # (n, h, 1)
    x = (np.arange(width) - (width - 1) / 2 - shift[:, 1:])[:, None, :]  # (n, 1, w)
    moved = np.empty_like(images)
    step = max(1, PIXELS_AT_ONCE // max(1, height * width))
    for start in range(0, n, step):
        k = slice(start, start + step)
        rows = (cosine[k] * y[k] + (height - 1) / 2) + sine[k] * x[k]  # (step, h, w)
        columns = (-sign[k] * sine[k] * y[k] + (width - 1) / 2) + sign[k] * cosine[k] * x[k]
        moved[k] = _values_at(images[k], rows, columns)
    return moved


def _values_at(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The bilinear values of images at places `(n, h, w)` in them, rounded if the images are integers."""
    n, height, width = images.shape[:3]
    kind = np.result_type(images.dtype, np.float32)
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = rows - top, columns - left  # at least 0 and below 1
    # the same pixel where a neighbour has no part: no index beyond the edge, and no NaN times 0
    below, beside = width * (down > 0), 1 * (right > 0)
    corner = width * (height * np.arange(n)[:, None, None] + top) + left
    down, right = (part.astype(kind).reshape(*part.shape, *[1] * (images.ndim - 3)) for part in (down, right))
    pixels = images.reshape(n * height * width, *images.shape[3:]).astype(kind)

    def between(first: np.ndarray, second: np.ndarray, part: np.ndarray) -> np.ndarray:
        second -= first
        second *= part
        second += first
        return second

    def along_row(start: np.ndarray) -> np.ndarray:
        return between(np.take(pixels, start, axis=0), np.take(pixels, start + beside, axis=0), right)

    with np.errstate(invalid="ignore", over="ignore"):  # infinite pixels
        values = between(along_row(corner), along_row(corner + below), down)
    if images.dtype.kind in "iu":
        return _within(np.rint(values), images.dtype)
    return values


def _within(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values clipped to the range of an integer dtype."""
    least, largest = np.iinfo(dtype).min, np.iinfo(dtype).max
    top = values.dtype.type(largest)
    if int(top) > largest:  # 64 bits: the nearest float is beyond the range
        top = np.nextafter(top, values.dtype.type(0))
    return np.clip(values, values.dtype.type(least), top)


def _checked(images: Any, shift: int) -> np.ndarray:
    """The images as an array, if they are images that can be moved by `shift`."""
    if isinstance(images, (tuple, list, Mapping)):
        raise TypeError(
            f"{SHAPES}. For samples with several inputs, pass a function that changes the images only, such as "
            "`def change(samples, rng): return {**samples, 'image': augment(samples['image'], rng)}` with "
            f"`augment = RandomAffine(...)`. Received: a {type(images).__name__} of {len(images)} inputs"
        )
    images = np.asarray(images)
    if images.ndim not in (3, 4):
        raise ValueError(
            f"{SHAPES}. For images stored as vectors, pass a function that reshapes them, such as "
            "`def change(x, rng): return augment(x.reshape(-1, height, width), rng).reshape(x.shape)` with "
            f"`augment = RandomAffine(...)`. Received: images of shape {images.shape}"
        )
    if images.dtype.kind not in "iuf":
        raise TypeError(
            "`images` must be integers or floats; convert masks with `images.astype('uint8')`. "
            f"Received: images of dtype {images.dtype}"
        )
    if images.size and not shift < min(images.shape[1:3]):
        raise ValueError(
            "`shift` must be below the height and the width of the images, whose channels come last. "
            f"Received: shift={shift}, images of shape {images.shape}"
        )
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > CHANNELS:
        raise ValueError(
            "The channels of the images must come last: pass a function that moves them, such as "
            "`def change(x, rng): return np.moveaxis(augment(np.moveaxis(x, 1, -1), rng), -1, 1)` with "
            f"`augment = RandomAffine(...)`. Received: images of shape {images.shape}"
        )
    return images
