"""Arrays -> images as matplotlib shows them."""

from typing import Any

import numpy as np


def as_image(image: Any, position: int) -> np.ndarray:
    """Check one image, `(h, w)`, `(h, w, 1)` or `(h, w, 3)` of numbers; drop a single channel."""
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise TypeError(
            "`images` must hold arrays of numbers; load files first. "
            f"Received: images[{position}] of type {type(image).__name__}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or 0 in array.shape:
        cure = "Flat vectors become images by `reshape(-1, height, width)`"
        if array.ndim == 3 and array.shape[0] in (1, 3):
            cure = "Channels must come last: `np.moveaxis(images, 1, -1)`"
        if array.ndim == 3 and array.shape[2] == 4:
            cure = "Leave out the transparency: `images[..., :3]`"
        raise ValueError(
            "`images` must have the shape (n, height, width), (n, height, width, 1) or (n, height, width, 3). "
            f"{cure}. Received: images[{position}] of shape {np.shape(image)}"
        )
    return array


def on_one_scale(images: list[np.ndarray]) -> list[np.ndarray]:
    """The images from 0 to 1, on the scale that fits all of them.

    Numbers from 0 to 1 stay as they are, and bytes are divided by 255. Others are stretched from the least to the
    greatest number, one of which may be 0. What is not finite is black.
    """
    finite = np.concatenate([[0.0], *(image[np.isfinite(image)].astype(np.float64) for image in images)])
    least, most = float(finite.min()), float(finite.max())
    if any(image.dtype == np.uint8 for image in images):
        most = max(most, 255.0)
    elif least == 0:
        most = max(most, 1.0)
    return [np.where(np.isfinite(image), (image - least) / (most - least), 0.0) for image in images]
