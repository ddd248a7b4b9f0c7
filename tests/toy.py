"""Small data and models that several tests use."""

import importlib

import keras
import numpy as np

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops

BACKEND = keras.backend.backend()
WAYS_TO_COMPILE = [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}]
if BACKEND == "torch":  # Keras refuses more than one step per execution there
    WAYS_TO_COMPILE.pop()
COUNTS = {"common": 40, "medium": 14, "rare": 5}


def clusters(counts=COUNTS, dim=4, seed=0):
    """One Gaussian cluster a class: x `(n, dim)` float32 and y `(n,)` strings."""
    rng = np.random.default_rng(seed)
    y = np.repeat(list(counts), list(counts.values()))
    centre = dict(zip(counts, rng.normal(size=(len(counts), dim)) * 2, strict=True))
    x = rng.normal(size=(len(y), dim)) + np.stack([centre[label] for label in y])
    return x.astype("float32"), y


def linear_encoder(dim=4, width=2, seed=1):
    """One Dense layer without bias, its weights drawn by NumPy, so that they are the same on every backend."""
    encoder = keras.Sequential([keras.Input((dim,)), keras.layers.Dense(width, use_bias=False)], name="encoder")
    encoder.set_weights([np.random.default_rng(seed).normal(size=(dim, width)).astype("float32") * 0.3])
    return encoder


def compiled(loss=None, optimizer="sgd", **kwargs):
    model = kbs.siamese_model(linear_encoder())
    model.compile(optimizer, loss or kbs.WeightedContrastiveLoss(), **kwargs)
    return model


def differentiate(function):
    """`(labels, x) -> (value, gradient in x)` of a function that gives one number, by the backend itself."""
    module = importlib.import_module(BACKEND)
    if BACKEND == "jax":
        both = module.jit(module.value_and_grad(lambda x, labels: function(labels, x)))
        return lambda labels, x: tuple(map(np.asarray, both(module.numpy.asarray(x), module.numpy.asarray(labels))))
    if BACKEND == "torch":

        def by_torch(labels, x):
            x = module.tensor(x, requires_grad=True)
            value = function(module.as_tensor(np.asarray(labels)), x)
            value.backward()
            return value.detach().numpy(), x.grad.numpy()

        return by_torch

    def by_tape(labels, x):
        x = module.constant(x)
        with module.GradientTape() as tape:
            tape.watch(x)
            value = function(module.constant(labels), x)
        return value.numpy(), module.convert_to_tensor(tape.gradient(value, x)).numpy()

    return by_tape


def gradient(values, others, function=None, loss=None):
    """Gradient of the sum of a loss of `function([values, others])`, or of `values` alone; one row an item.

    It is read off one compiled step of gradient descent on a shift of 0, so it has all its digits at any scale.
    """
    values, others = np.asarray(values, "float32"), np.asarray(others, "float32")
    index, base, fixed = keras.Input((1,)), keras.Input(values.shape[1:]), keras.Input(others.shape[1:])
    shift = keras.layers.Embedding(len(values), values.shape[1], embeddings_initializer="zeros")
    moved = keras.layers.Add()([base, keras.layers.Flatten()(shift(index))])
    if function is None:
        inputs, data, model = [index, base], [values], moved
    else:
        inputs, data, model = [index, base, fixed], [values, others], function([moved, fixed])
    model = keras.Model(inputs, model)
    model.compile(keras.optimizers.SGD(1.0), loss or (lambda _, output: ops.sum(output)), run_eagerly=False)
    model.train_on_batch([np.arange(len(values))[:, None], *data], others)
    return -shift.get_weights()[0]
