"""Probability that two items are of one class, from their distance."""

import json
from collections.abc import Mapping
from typing import Any

import keras

from keras_balanced_siamese._backend import ops, register, to_numpy
from keras_balanced_siamese._checks import finite, positive
from keras_balanced_siamese._typing import Tensor


@register
class DistanceToProbability(keras.layers.Layer):
    """Probability that two items are of one class, from their distance.

    ```
    p = sigmoid(slope * (threshold - d))
    ```

    `p` is 1/2 at the threshold and decreases with the distance. Slope and threshold are trained with the rest of the
    model, and the slope stays non-negative; `trainable=False` fixes both. `calibrate` fits such a layer to distances.

    Args:
        slope: Starting slope, positive, in 1 / distance.
        threshold: Starting threshold, a distance.
        calibration: Record of how `calibrate` found slope and threshold; it is saved with the layer.
        **kwargs: See `keras.layers.Layer`; `dtype` has no effect.

    Call arguments:
        - `inputs`: distances of any shape.

    Returns:
        Probabilities of the same shape. Slope, threshold and probabilities are float32 under every policy and for every
        `dtype`: half precision would shift the threshold, and round probabilities near 1 to 1, where cross-entropy has
        no gradient.

    Raises:
        ValueError: If the slope is not positive or the threshold not finite.

    Examples:
        >>> head = keras.Sequential([keras.Input((1,)), DistanceToProbability(slope=4.0, threshold=0.5)])
        >>> [round(float(p), 3) for p in head.predict(np.array([[0.0], [0.5], [1.0]]), verbose=0)[:, 0]]
        [0.881, 0.5, 0.119]
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
        self.slope = positive("slope", slope)
        self.threshold = finite("threshold", threshold)
        self._record = json.dumps(None if calibration is None else dict(calibration))  # Keras would wrap a dict

    def build(self, input_shape: Any) -> None:
        self._slope = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.slope),
            constraint=keras.constraints.NonNeg(),
            dtype="float32",
            name="slope",
        )
        self._threshold = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self.threshold), dtype="float32", name="threshold"
        )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        slope, threshold = ops.convert_to_tensor(self._slope), ops.convert_to_tensor(self._threshold)
        return ops.sigmoid(slope * (threshold - ops.cast(inputs, "float32")))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "slope": self.slope,
            "threshold": self.threshold,
            "calibration": self.calibration,
        }

    @property
    def calibration(self) -> dict[str, Any] | None:
        """The record of `calibrate`, or `None`."""
        return json.loads(self._record)

    @property
    def current_slope(self) -> float:
        """The current slope, for example after training or loading."""
        return float(to_numpy(self._slope)) if self.built else self.slope

    @property
    def current_threshold(self) -> float:
        """The current threshold, for example after training or loading."""
        return float(to_numpy(self._threshold)) if self.built else self.threshold
