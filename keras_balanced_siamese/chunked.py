"""Encoder for training on batches whose activations do not fit into memory."""

from typing import Any

import keras

from keras_balanced_siamese._backend import call_in_chunks, check_stateless, register
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._typing import Tensor


@register
class ChunkedEncoder(keras.Model):
    """Encoder that holds the activations of only one chunk of the batch at a time.

    A loss on batches compares all items of a batch, so plain training holds the activations of all of them. This model
    calls `encoder` on one chunk after the other and keeps the embeddings alone. For the gradient, it calls the encoder
    on each chunk a second time (gradient caching), which is a third more work. Losses, optimizers, callbacks and
    `fit` work as with the plain encoder. Loss and gradients are those of the whole batch:

    ```
    dL/dw = sum over chunks of (dL/d embeddings of the chunk) * (d embeddings of the chunk / dw)
    ```

    - Chunk k of n holds the items k, k + n, k + 2 n and so on. The sizes of chunks differ by at most 1.
    - Dropout draws the same mask both times.
    - `BatchNormalization` uses the statistics of a chunk, and updates its moving statistics once per chunk. With
      `LayerNormalization` or `GroupNormalization`, the result does not depend on the chunks.
    - On a CPU, XLA takes several times as long for gradients of convolutions in a loop, as the chunks are. Compile with
      `jit_compile=False` there, if the backend has the choice.
    - `encoder` and its weights stay usable as they are, such as for `siamese_model(chunked.encoder)`.

    Args:
        encoder: A model from one item to its embedding `(batch, dim)`. It may have several inputs in a tuple, list or
            dict. It may not use `add_loss` or `activity_regularizer`, nor return a mask; regularizers of weights work.
        chunk_size: Largest number of items that go through the encoder at once.
        **kwargs: `name`, `trainable`, `dtype`: see `keras.Model`. The default `dtype` is that of the encoder, whose
            layers keep their own precision.

    Call arguments:
        - `inputs`: items as `encoder` takes them, `(batch, ...)` each.
        - `training`, `mask`: passed to the encoder.

    Returns:
        The embeddings `(batch, dim)`.

    Raises:
        TypeError: If `encoder` is not a model, or `chunk_size` not a whole number.
        ValueError: If `chunk_size` is below 1, or the encoder, at the latest when it is called, does not return one
            tensor `(batch, dim)`, returns a mask, or adds losses.
        NotImplementedError: In the addons lane, whose Keras can't call an encoder twice without changing its state.

    Examples:
        >>> encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
        >>> model = ChunkedEncoder(encoder, chunk_size=64)
        >>> model.compile("adam", WeightedTripletLoss())
        >>> x, y = np.random.default_rng(0).normal(size=(512, 8)), np.arange(512) % 5
        >>> history = model.fit(x, y, batch_size=512, verbose=0)
        >>> model.predict(x, verbose=0).shape, model.count_params()
        ((512, 4), 36)

    References:
        - [Gao et al. (2021), Scaling deep contrastive learning batch size under memory limited setup](
          https://arxiv.org/abs/2101.06983)
    """

    def __init__(self, encoder: keras.Model, chunk_size: int = 256, **kwargs: Any):
        check_stateless()
        if not isinstance(encoder, keras.Model):
            raise TypeError(
                "`encoder` must be a `keras.Model`. Wrap a single layer: `keras.Sequential([keras.Input(shape), "
                f"layer])`. Received: encoder={encoder!r}"
            )
        if len(outputs := getattr(encoder, "outputs", None) or ()) > 0:
            _check_embedding(outputs)
        super().__init__(autocast=False, **{"dtype": encoder.dtype_policy, **kwargs})  # the encoder casts its inputs
        self.supports_masking = True
        self.encoder = encoder
        self.chunk_size = whole("chunk_size", chunk_size, 1)
        self._is_traced = False
        self.built = len(outputs) > 0  # so that weights can be loaded at once

    @property
    def compute_dtype(self) -> str:
        return self.variable_dtype  # so that the gradients of chunks are added in the dtype of the weights

    @property
    def inputs(self) -> Any:
        return getattr(self.encoder, "inputs", None)

    @property
    def input(self) -> Any:
        return self.inputs[0] if isinstance(self.encoder, keras.Sequential) else self.encoder.input

    @property
    def outputs(self) -> Any:
        return getattr(self.encoder, "outputs", None)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Tensor:
        if not self._is_traced:
            self.compute_output_spec(inputs)  # creates the weights that are missing
            self._is_traced = True
        if all(one is None for one in keras.tree.flatten(mask)):
            mask = None
        return call_in_chunks(self.encoder, inputs, mask, training, self.chunk_size)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return no mask: embeddings have none."""

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        embedding = _check_embedding(self.encoder(keras.tree.map_structure(_symbol, inputs)))
        return keras.KerasTensor(embedding.shape, embedding.dtype)

    def get_config(self) -> dict[str, Any]:
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {**super().get_config(), "encoder": encoder, "chunk_size": self.chunk_size}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "ChunkedEncoder":
        encoder = keras.saving.deserialize_keras_object(config["encoder"], custom_objects)
        return cls(**{**config, "encoder": encoder})


def _symbol(x: Any) -> Any:
    return None if x is None else keras.KerasTensor((None, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype))


def _check_embedding(output: Any) -> Any:
    """Return the output of the encoder if it is one embedding per item."""
    leaves = keras.tree.flatten(output)
    if len(leaves) != 1:
        raise ValueError(
            "The encoder must return one embedding per item, shape (batch, dim). Choose one of its outputs: "
            f"`keras.Model(encoder.inputs, encoder.outputs[0])`. Received: an encoder with {len(leaves)} outputs"
        )
    if len(leaves[0].shape) != 2:
        raise ValueError(
            "The encoder must return one embedding per item, shape (batch, dim): end it with "
            "`GlobalAveragePooling2D()` or `Flatten()` and `Dense(dim)`. "
            f"Received: an output of shape {tuple(leaves[0].shape)}"
        )
    if getattr(leaves[0], "_keras_mask", None) is not None:
        raise ValueError(
            "An encoder in chunks must return embeddings without a mask: a layer such as `Masking` has to be followed "
            "by one that consumes its mask, such as `LSTM` or `GlobalAveragePooling1D`. "
            f"Received: a mask of shape {tuple(leaves[0]._keras_mask.shape)}"
        )
    return leaves[0]
