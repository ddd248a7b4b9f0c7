"""Probability that two items are of one class, from their distance."""

import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import ops, register, to_numpy
from keras_balanced_siamese._checks import at_least, finite, positive
from keras_balanced_siamese._typing import Tensor
from keras_balanced_siamese.layers._pair_distance import shapes_of

FARTHEST = 1e38  # larger distances count as this one, so that infinite ones have a gradient of 0 instead of NaN


@register
class DistanceToProbability(keras.layers.Layer):
    """Probability that two items are of one class, from their distance.

    ```
    p = sigmoid(slope * (threshold - d))
    ```

    `p` is 1/2 at the threshold and decreases with the distance. Slope and threshold are trained with the rest of the
    model, and the slope stays non-negative; `trainable=False` fixes both. `calibrate` fits such a layer to distances.

    `slope` and `threshold` are the current values. Assign a number to change one: models that contain the layer use it
    from the next call on, compiled ones too, and save it.

    Args:
        slope: Starting slope, positive, in 1 / distance.
        threshold: Starting threshold, a distance, at least 0.
        calibration: Record of how `calibrate` found slope and threshold; it is saved with the layer.
        **kwargs: See `keras.layers.Layer`; `dtype` has no effect.

    Call arguments:
        - `inputs`: distances of any shape.

    Returns:
        Probabilities of the same shape. Slope, threshold and probabilities are float32 under every policy and for every
        `dtype`: half precision would shift the threshold, and round probabilities near 1 to 1, where cross-entropy has
        no gradient.

    Raises:
        ValueError: If the slope is not positive, or the threshold negative or not finite, also when assigned or loaded
            from a file; if the layer is called on two embeddings instead of their distance.
        TypeError: If `calibration` is not a mapping.

    Examples:
        >>> head = keras.Sequential([keras.Input((1,)), DistanceToProbability(slope=4.0, threshold=0.5)])
        >>> [round(float(p), 3) for p in head.predict(np.array([[0.0], [0.5], [1.0]]), verbose=0)[:, 0]]
        [0.881, 0.5, 0.119]
        >>> head.layers[-1].threshold = 1.0
        >>> [round(float(p), 3) for p in head.predict(np.array([[0.0], [0.5], [1.0]]), verbose=0)[:, 0]]
        [0.982, 0.881, 0.5]
    """

    output_kind = "probability"

    def __init__(
        self,
        slope: float = 1.0,
        threshold: float = 1.0,
        calibration: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})  # half precision would round the threshold
        self.supports_masking = True
        if calibration is not None and not isinstance(calibration, Mapping):
            raise TypeError(f"`calibration` must be the record of `calibrate`. Received: calibration={calibration!r}")
        self._given_slope = positive("slope", slope)
        # a posterior of rare similar pairs may be below 1/2 at every distance
        posterior = calibration is not None and calibration.get("operating_point") == "posterior"
        self._given_threshold = finite("threshold", threshold) if posterior else _distance("threshold", threshold)
        self._record = json.dumps(None if calibration is None else dict(calibration))  # Keras would wrap a dict
        self._calibrated = (self._given_slope, self._given_threshold)  # the values that the record describes

    def build(self, input_shape: Any) -> None:
        self._slope = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self._given_slope),
            constraint=keras.constraints.NonNeg(),
            dtype="float32",
            name="slope",
        )
        self._threshold = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self._given_threshold), dtype="float32", name="threshold"
        )
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        _check_one_tensor(shapes_of(inputs))
        if training is True:  # the distances change, or slope and threshold
            self._record = "null"
        slope, threshold = ops.convert_to_tensor(self._slope), ops.convert_to_tensor(self._threshold)
        distance = ops.cast(inputs, "float32")
        distance = ops.where(distance > FARTHEST, FARTHEST, distance)
        return ops.sigmoid(slope * (threshold - distance))

    def compute_output_shape(self, input_shape: Any) -> Any:
        _check_one_tensor(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "slope": self._given_slope,
            "threshold": self._given_threshold,
            "calibration": self.calibration,
        }

    @property
    def slope(self) -> float:
        """The current slope; assign a positive number to change it."""
        return self._current("slope", self._given_slope)

    @slope.setter
    def slope(self, slope: float) -> None:
        self._given_slope = positive("slope", slope)
        if self.built:
            self._slope.assign(self._given_slope)

    @property
    def threshold(self) -> float:
        """The current threshold; assign a distance to change it."""
        return self._current("threshold", self._given_threshold)

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        self._given_threshold = _distance("threshold", threshold)
        if self.built:
            self._threshold.assign(self._given_threshold)

    @property
    def calibration(self) -> dict[str, Any] | None:
        """The record of `calibrate`, or `None` if there is none or it no longer applies.

        It no longer applies after a training, and while slope or threshold have other values.
        """
        values = np.array((self.slope, self.threshold), "float32")
        return json.loads(self._record) if (values == np.array(self._calibrated, "float32")).all() else None

    @property
    def current_slope(self) -> float:
        """The same as `slope`."""
        return self.slope

    @property
    def current_threshold(self) -> float:
        """The same as `threshold`."""
        return self.threshold

    def load_own_variables(self, store: Any) -> None:
        """Load slope and threshold.

        Raises:
            ValueError: If the slope in the file is negative, or a value not finite.
        """
        super().load_own_variables(store)
        at_least("slope", float(to_numpy(self._slope)), 0.0)  # training may reach 0
        finite("threshold", float(to_numpy(self._threshold)))

    def _current(self, name: str, given: float) -> float:
        """Return the value of a variable, with all digits of the given one if it is still that."""
        if not self.built:
            return given
        value = float(to_numpy(getattr(self, f"_{name}")))
        return given if value == np.float32(given) else value


def _distance(name: str, value: Any) -> float:
    number = finite(name, value)
    if number < 0:
        raise ValueError(
            f"`{name}` is a distance and must not be negative: the layer would accept no pair. For a cosine, place the "
            f"layer after `CosineDistance`, which is 1 - cosine. Received: {name}={value!r}"
        )
    return number


def _check_one_tensor(shapes: Any) -> None:
    if isinstance(shapes, list) and any(not (one is None or isinstance(one, int)) and len(one) for one in shapes):
        raise ValueError(
            "`DistanceToProbability` takes the distance of two embeddings, not the embeddings. Place it after a "
            "distance layer: `siamese_model(encoder, EuclideanDistance(), probability=layer)`. Received: a list of "
            f"{len(shapes)} tensors of the shapes {', '.join(map(str, shapes))}"
        )
