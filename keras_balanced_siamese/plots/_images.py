"""Arrays -> images as matplotlib shows them."""

from typing import Any, NamedTuple

import numpy as np


class Advice(NamedTuple):
    """What those are told whose images are none."""

    numbers: str  # that they must be numbers
    shape: str  # which shape they must have
    flat: str  # how vectors become images
    channels_first: str  # how channels come last
    transparent: str  # how the fourth channel is left out


def as_image(image: Any, name: str, advice: Advice) -> np.ndarray:
    """Check one image, `(h, w)`, `(h, w, 1)` or `(h, w, 3)` of numbers; drop a single channel."""
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{advice.numbers}. Received: {name} of type {type(image).__name__}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or 0 in array.shape:
        cure = f"Flat vectors become images by {advice.flat}"
        if array.ndim == 3 and array.shape[0] in (1, 3):
            cure = f"Channels must come last: {advice.channels_first}"
        if array.ndim == 3 and array.shape[2] == 4:
            cure = f"Leave out the transparency: {advice.transparent}"
        raise ValueError(f"{advice.shape}. {cure}. Received: {name} of shape {np.shape(image)}")
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
