"""Layers between two embeddings and the loss: their distance, and the probability that it stands for."""

import json
from collections.abc import Mapping
from typing import Any

import keras

from keras_balanced_siamese._backend import PACKAGE, ops, register, to_numpy
from keras_balanced_siamese._checks import finite, positive
from keras_balanced_siamese._typing import Tensor


def euclidean_distance(left: Tensor, right: Tensor) -> Tensor:
    """Distance along the last axis, which is kept; exact 0 with a zero gradient where both are equal."""
    squared = ops.sum(ops.square(left - right), axis=-1, keepdims=True)  # (..., 1)
    coincident = ops.equal(squared, 0.0)  # false for NaN, which has to stay NaN
    # `where` twice: the gradient of the branch that is not taken must be finite too
    distance = ops.sqrt(ops.where(coincident, ops.ones_like(squared), squared))
    return ops.where(coincident, ops.zeros_like(squared), distance)


@register(package=PACKAGE)
class EuclideanDistance(keras.layers.Layer):
    """Euclidean distance of two embeddings.

    ```
    d = sqrt(sum over k of (left_k - right_k) ** 2)
    ```

    Equal embeddings have exactly the distance 0 and a zero gradient; every other pair has the true gradient, down to
    the smallest distance whose square float32 can hold (about 1e-19): there is no epsilon under the root. Under a
    float16 or bfloat16 policy the distance is computed in float32 and cast at the end.

    Call arguments:
        - `inputs`: list of two tensors of the same shape `(batch, dim)`. More axes, `(batch, time, dim)`, give one
          distance each; their masks are joined: a step counts where both sides have it.

    Returns:
        `(batch, 1)` distances (`(batch, time, 1)` for more axes), not negative.

    Raises:
        ValueError: If there are not two inputs, their shapes differ, or they have no `dim` axis.

    Examples:
        >>> distance = EuclideanDistance()([np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0], [1.0, 2.0]])])
        >>> np.asarray(distance).tolist()
        [[5.0], [0.0]]
    """

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # the inputs must not lose their digits before they are subtracted
        self.supports_masking = True

    def call(self, inputs: list[Tensor]) -> Tensor:
        left, right = _two_alike(inputs)
        left, right = _widen(left), _widen(right)
        return ops.cast(euclidean_distance(left, right), self.compute_dtype)

    def compute_mask(self, inputs: list[Tensor], previous_mask: Any = None) -> Tensor:
        given = [one for one in (previous_mask or []) if one is not None]
        if len(given) == 2:
            return ops.logical_and(*given)
        return given[0] if given else None

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*tuple(input_shape[0])[:-1], 1)


@register(package=PACKAGE)
class DistanceToProbability(keras.layers.Layer):
    """Probability that two items are of one class, from their distance.

    ```
    p = sigmoid(slope * (threshold - d))
    ```

    so `p` is 1/2 at the threshold and falls with the distance. Slope and threshold are learned with the rest of the
    model, the slope never below 0; `trainable=False` fixes them. `calibrate` makes such a layer from distances.

    Args:
        slope: Starting slope, positive, in 1 / distance.
        threshold: Starting threshold, a distance.
        calibration: What `calibrate` wrote down about how they came about; it is saved with the layer.
        **kwargs: See `keras.layers.Layer`; `dtype` has no effect.

    Call arguments:
        - `inputs`: distances of any shape.

    Returns:
        Probabilities of the same shape. Slope, threshold and probabilities are float32 under every policy and whatever
        `dtype` is passed: half precision would move the threshold, and rounds probabilities near 1 to 1, where
        cross-entropy has no gradient.

    Raises:
        ValueError: If the slope is not positive or the threshold not finite.

    Examples:
        >>> head = keras.Sequential([keras.Input((1,)), DistanceToProbability(slope=4.0, threshold=0.5)])
        >>> [round(float(p), 3) for p in head.predict(np.array([[0.0], [0.5], [1.0]]), verbose=0)[:, 0]]
        [0.881, 0.5, 0.119]
    """

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
        """What `calibrate` wrote down, or `None`."""
        return json.loads(self._record)

    @property
    def current_slope(self) -> float:
        """The slope as it is now, after training or loading."""
        return float(to_numpy(self._slope)) if self.built else self.slope

    @property
    def current_threshold(self) -> float:
        """The threshold as it is now, after training or loading."""
        return float(to_numpy(self._threshold)) if self.built else self.threshold


def _widen(x: Tensor) -> Tensor:
    """At least float32."""
    return x if "float64" in str(x.dtype) else ops.cast(x, "float32")


def _two_alike(inputs: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
        shape = getattr(inputs, "shape", None)
        received = f"{len(inputs)} inputs" if shape is None else f"one input of shape {tuple(shape)}"
        raise ValueError(f"A distance layer is called on a list of two embeddings, [left, right]. Received: {received}")
    left, right = (tuple(one.shape) for one in inputs)
    alike = len(left) == len(right) and all(a == b or a is None or b is None for a, b in zip(left, right, strict=True))
    if not alike or len(left) < 2:
        raise ValueError(
            "A distance layer needs two embeddings of the same shape, (batch, dim). To compare one item with many, "
            f"repeat it first. Received: left of shape {left}, right of shape {right}"
        )
    return inputs[0], inputs[1]
