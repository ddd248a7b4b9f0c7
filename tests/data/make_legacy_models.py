"""Writes the models in `legacy/`: saved by Keras 2.15 with tensorflow-addons, and with what they predict.

Run it where both are installed: `python tests/data/make_legacy_models.py`. Each model is trained for two steps.
Names as arguments limit it to some models.
"""

import contextlib
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa
from keras import backend as K
from keras import layers

FOLDER = Path(__file__).parent / "legacy"
SIDE, STEPS, VOCABULARY = 6, 5, 9
MODELS = {}


def model(function):
    """Decorator: list a function without arguments that returns a compiled model."""
    MODELS[function.__name__] = function
    return function


@keras.saving.register_keras_serializable("Mine")
class Distance(layers.Layer):
    """The square root of a sum of squares, as in many tutorials."""

    def call(self, inputs):
        return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(inputs[0] - inputs[1]), 1, keepdims=True), 1e-7))


def image(name=None):
    return keras.Input((SIDE, SIDE, 1), name=name)


def convolutional(name="tower", **options):
    x = image()
    h = layers.Conv2D(3, 3, activation="relu", **options)(x)
    return keras.Model(x, layers.Dense(4)(layers.Flatten()(layers.MaxPooling2D()(h))), name=name)


def siamese(tower, distance, side=image):
    left, right = side("left"), side("right")
    return [left, right], distance(tower(left), tower(right))


def compiled(inputs, outputs, loss="mse", optimizer="adam", **options):
    found = keras.Model(inputs, outputs)
    found.compile(optimizer, loss, **options)
    return found


def euclidean(a, b):
    return tf.norm(a - b, axis=1, keepdims=True)


def contrastive(*ends, **options):
    return compiled(*ends, loss=tfa.losses.ContrastiveLoss(1.5), **options)


# towers


@model
def nested_batch_normalization():
    x = image()
    h = layers.BatchNormalization()(layers.Conv2D(3, 3, use_bias=False)(x))
    tower = keras.Model(x, layers.Dense(4, "tanh")(layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(h))), name="tower")
    return contrastive(*siamese(tower, lambda a, b: layers.Lambda(_distance_of_list, name="d")([a, b])))


def _distance_of_list(both):
    return K.sqrt(K.maximum(K.sum(K.square(both[0] - both[1]), axis=1, keepdims=True), K.epsilon()))


@model
def flat_shared_layers():
    left, right = image("left"), image("right")
    convolution, flat, dense = layers.SeparableConv2D(3, 3, activation="relu"), layers.Flatten(), layers.Dense(4)
    a, b = (dense(flat(convolution(side))) for side in (left, right))
    return contrastive([left, right], Distance(name="d")([a, b]))


@model
def sequential_built():
    tower = keras.Sequential([image(), layers.Conv2D(3, 3), layers.LeakyReLU(0.2), layers.Flatten(), layers.Dense(4)])
    return contrastive(*siamese(tower, lambda a, b: Distance(name="d")([a, b])))


@model
def sequential_deferred():
    tower = keras.Sequential([layers.Flatten(), layers.Dense(5, "elu"), layers.Dropout(0.1), layers.Dense(4)])
    return contrastive(*siamese(tower, lambda a, b: layers.Lambda(lambda x: tf.abs(x[0] - x[1]), name="d")([a, b])))


@model
def sequential_alone():
    found = keras.Sequential([layers.Conv2D(3, 3, input_shape=(SIDE, SIDE, 1)), layers.Flatten(), layers.Dense(4)])
    found.add(layers.Lambda(lambda x: tf.math.l2_normalize(x, axis=1), name="unit"))
    found.compile("adam", tfa.losses.TripletSemiHardLoss())
    return found


@model
def two_levels():
    x = image()
    inner = convolutional("inner")
    tower = keras.Model(x, layers.Dense(3)(layers.LayerNormalization()(inner(x))), name="tower")
    return contrastive(*siamese(tower, euclidean))


@model
def frozen_base():
    x, base = image(), convolutional("base")
    base.trainable = False
    tower = keras.Model(x, layers.Dense(3)(layers.BatchNormalization()(base(x))), name="tower")
    return contrastive(*siamese(tower, euclidean))


@model
def two_towers():
    left, right = image("left"), image("right")
    return contrastive([left, right], euclidean(convolutional("first")(left), convolutional("second")(right)))


@model
def tower_called_three_times():
    sides, tower = [image(name) for name in ("anchor", "positive", "negative")], convolutional()
    a, p, n = map(tower, sides)
    return compiled(sides, [tf.reduce_sum((a - p) ** 2, -1), tf.reduce_sum((a - n) ** 2, -1)])


def words(name=None):
    return keras.Input((STEPS,), name=name)


@model
def embedding_lstm():
    x = words()
    h = layers.LSTM(4)(layers.Embedding(VOCABULARY, 3, mask_zero=True)(x))
    return contrastive(*siamese(keras.Model(x, h, name="tower"), euclidean, words))


@model
def embedding_average():
    x = keras.Input((STEPS,), dtype="int32")
    tower = keras.Model(x, layers.GlobalAveragePooling1D()(layers.Embedding(VOCABULARY, 4)(x)), name="tower")
    side = lambda name: keras.Input((STEPS,), dtype="int32", name=name)  # noqa: E731
    return contrastive(*siamese(tower, lambda a, b: layers.Dot(axes=1, normalize=True)([a, b]), side))


def series(name=None):
    return keras.Input((STEPS, 3), name=name)


@model
def bidirectional_gru():
    x = series()
    h = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    h = layers.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False)(h)
    return contrastive(*siamese(keras.Model(x, h, name="tower"), euclidean, series))


@model
def stacked_cells():
    x = series()
    h = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])(layers.Masking()(x))
    return contrastive(*siamese(keras.Model(x, layers.Dense(2)(h), name="tower"), euclidean, series))


@model
def simple_rnn_with_state():
    x = series()
    h, state = layers.SimpleRNN(3, return_state=True)(x)
    h = layers.SimpleRNN(3)(x, initial_state=[state]) + h
    return contrastive(*siamese(keras.Model(x, h, name="tower"), euclidean, series))


@model
def convolution_1d():
    x = series()
    h = layers.GlobalMaxPooling1D()(layers.SeparableConv1D(4, 2, activation="swish")(layers.ZeroPadding1D(1)(x)))
    return contrastive(*siamese(keras.Model(x, layers.Dense(3, "selu")(h), name="tower"), euclidean, series))


@model
def attention():
    x = series()
    h = layers.MultiHeadAttention(2, 3)(x, x)
    h = layers.LayerNormalization()(layers.Add()([h, x]))
    tower = keras.Model(x, layers.Flatten()(layers.TimeDistributed(layers.Dense(2, "gelu"))(h)), name="tower")
    return contrastive(*siamese(tower, euclidean, series))


@model
def attention_of_two():
    x = series()
    h = layers.GlobalAveragePooling1D()(layers.Attention(use_scale=True)([x, layers.Dense(3)(x)]))
    return contrastive(*siamese(keras.Model(x, h, name="tower"), euclidean, series))


@model
def residual_depthwise():
    x = image()
    h = layers.DepthwiseConv2D(3, padding="same", kernel_regularizer="l2")(layers.PReLU()(x))
    h = layers.GroupNormalization(1)(layers.Concatenate()([h, x]))
    h = layers.Conv2DTranspose(2, 2)(layers.UpSampling2D()(layers.AveragePooling2D()(h)))
    tower = keras.Model(x, layers.Dense(3, activity_regularizer="l2")(layers.Flatten()(h)), name="tower")
    return contrastive(*siamese(tower, euclidean))


@model
def image_and_table():
    x, table = image(), keras.Input((3,))
    both = layers.Concatenate()([layers.Flatten()(x), layers.Dense(4, kernel_constraint="non_neg")(table)])
    tower = keras.Model([x, table], layers.Dense(3)(both), name="tower")
    sides = [(image(f"image_{k}"), keras.Input((3,), name=f"table_{k}")) for k in range(2)]
    a, b = (tower(list(side)) for side in sides)
    return contrastive([*sides[0], *sides[1]], euclidean(a, b))


@model
def several_outputs():
    inputs, tower = [image("left"), image("right")], convolutional()
    a, b = map(tower, inputs)
    outputs = [euclidean(a, b), layers.Dense(2, "softmax", name="classes")(a)]
    losses = [tfa.losses.ContrastiveLoss(), "categorical_crossentropy"]
    return compiled(inputs, outputs, loss=losses, loss_weights=[1.0, 0.5])


@model
def mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs, distance = siamese(convolutional(), lambda a, b: Distance(name="d")([a, b]))
        return contrastive(inputs, layers.Activation("linear", dtype="float32")(distance))
    finally:
        keras.mixed_precision.set_global_policy("float32")


# distances of TensorFlow operations


def distance_model(distance, **options):
    return contrastive(*siamese(convolutional(), distance), **options)


@model
def operations_cosine():
    return distance_model(
        lambda a, b: 1.0 - tf.reduce_sum(tf.nn.l2_normalize(a, -1) * tf.math.l2_normalize(b, axis=1), -1, keepdims=True)
    )


@model
def operations_manhattan():
    return distance_model(lambda a, b: tf.reduce_sum(tf.abs(tf.subtract(a, b)), axis=[1], keepdims=True))


@model
def operations_backend():
    return distance_model(lambda a, b: K.exp(-K.sum(K.abs(a - b), axis=1, keepdims=True)))


@model
def operations_stacked():
    return distance_model(lambda a, b: tf.math.reduce_std(tf.stack([a, b], axis=1), axis=[1, 2])[:, None])


@model
def operations_matrix():
    return distance_model(lambda a, b: tf.squeeze(tf.matmul(a[:, None], b[:, :, tf.newaxis], transpose_b=False), -1))


@model
def operations_similarity_of_all():
    return distance_model(lambda a, b: tf.reduce_mean(tf.matmul(a, b, transpose_b=True), axis=1, keepdims=True))


@model
def operations_where():
    return distance_model(
        lambda a, b: tf.reduce_max(tf.where(a > b, a / (tf.abs(b) + 1e-3), tf.clip_by_value(b - a, 0.1, 2)), 1, True)
    )


@model
def operations_slices():
    return distance_model(
        lambda a, b: tf.concat([a[:, :2], b[..., -1:]], axis=1)[:, ::2] ** 2 - 2 * tf.sqrt(abs(a[:, 1:3]))
    )


@model
def operations_reshape():
    return distance_model(
        lambda a, b: tf.reduce_sum(tf.reshape(a, (-1, 2, 2)) @ tf.reshape(b, [tf.shape(b)[0], 2, 2]), [1, 2])[:, None]
    )


@model
def operations_comparisons():
    def distance(a, b):
        equal = tf.cast(tf.logical_and(a >= b, tf.logical_not(a < 0.0)), tf.float32)
        return tf.reduce_mean(equal * tf.math.squared_difference(a, b) + tf.math.rsqrt(1.0 + b * b), 1, keepdims=True)

    return distance_model(distance)


@model
def operations_split():
    def distance(a, b):
        first, second = tf.split(tf.tanh(a), 2, axis=1)
        return tf.math.reduce_euclidean_norm(first - tf.unstack(b, axis=1)[0][:, None] + tf.sigmoid(second), 1, True)

    return distance_model(distance)


@model
def operations_maximum_norm():
    return distance_model(
        lambda a, b: tf.norm(a - b, ord=np.inf, axis=-1, keepdims=True) + tf.norm(a, ord=1, axis=-1)[:, None]
    )


@model
def core_layers():
    def distance(a, b):
        difference = layers.Subtract()([a, b])
        return layers.Dense(1, "sigmoid")(layers.Multiply()([difference, difference]))

    return distance_model(distance)


# losses, metrics and optimizers


def embedding_model(loss, optimizer="adam", **options):
    x = image()
    return compiled(x, tf.math.l2_normalize(convolutional()(x), axis=1), loss, optimizer, **options)


@model
def loss_semi_hard_squared():
    loss = tfa.losses.TripletSemiHardLoss(0.7, distance_metric="squared-L2")
    return embedding_model(loss, tfa.optimizers.AdamW(1e-4, 2e-3, beta_1=0.8))


@model
def loss_hard_soft():
    return embedding_model(tfa.losses.TripletHardLoss(soft=True), tfa.optimizers.LazyAdam(0.01))


@model
def loss_hard_angular():
    loss = tfa.losses.TripletHardLoss(0.3, distance_metric="angular")
    return embedding_model(loss, keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True))


@model
def loss_function():
    return embedding_model(tfa.losses.triplet_semihard_loss, tf.keras.optimizers.legacy.Adam(0.002))


@model
def loss_string():
    return embedding_model("Addons>triplet_hard_loss", keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True))


@model
def loss_lifted():
    return embedding_model(tfa.losses.LiftedStructLoss(), tfa.optimizers.RectifiedAdam(0.01))


@model
def metrics_and_schedule():
    x = image()
    rate = keras.optimizers.schedules.CosineDecay(0.01, 10)
    metrics = [tfa.metrics.F1Score(2, average="macro"), "accuracy", keras.metrics.AUC(name="area")]
    outputs = layers.Dense(2, "softmax")(convolutional()(x))
    return compiled(x, outputs, "categorical_crossentropy", keras.optimizers.AdamW(rate, 0.01), metrics=metrics)


@model
def moving_average():
    optimizer = tfa.optimizers.MovingAverage(tf.keras.optimizers.legacy.SGD(0.05), average_decay=0.9)
    return distance_model(euclidean, optimizer=optimizer)


def plain(loss, optimizer, **options):
    """A network that Keras 3 opens too, from the `.h5` file."""
    x = keras.Input((4,))
    return compiled(x, layers.UnitNormalization()(layers.Dense(4)(x)), loss, optimizer, **options)


@model
def plain_class():
    return plain(tfa.losses.TripletSemiHardLoss(0.5), tfa.optimizers.AdamW(1e-4, 2e-3, beta_1=0.8))


@model
def plain_function():
    return plain(tfa.losses.triplet_hard_loss, tfa.optimizers.LazyAdam(0.01))


@model
def plain_equal_shapes():
    """All weights have one shape, so that a wrong order of the optimizer's state would fit too."""
    x = keras.Input((4,))
    outputs = layers.Dense(4, use_bias=False)(layers.Dense(4, use_bias=False)(x))
    return compiled(x, outputs, tfa.losses.TripletHardLoss(), tf.keras.optimizers.legacy.Adam(0.01, amsgrad=True))


@model
def plain_string():
    return plain("Addons>TripletHardLoss", "sgd")


def inputs_of(found, rng):
    for one in found.inputs:
        shape = (8, *one.shape[1:])
        words_only = len(shape) == 2 and shape[1] == STEPS
        yield (
            rng.integers(0, VOCABULARY, shape).astype("int32")
            if words_only
            else rng.normal(size=shape).astype("float32")
        )


def labels_of(found):
    classes = np.arange(8) % 2
    if len(found.inputs) == 1 and found.output_shape[-1] == 4:  # embeddings
        return classes
    by_width = {1: classes, 2: np.eye(2, dtype="float32")[classes]}
    shapes = [tuple(one.shape[1:]) for one in found.outputs]
    labels = [by_width.get(shape[-1] if shape else 1, np.zeros((8, *shape))) for shape in shapes]
    return labels if len(labels) > 1 else labels[0]


def main():
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    for name, build in MODELS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        found = build()
        inputs = list(inputs_of(found, np.random.default_rng(0)))
        labels = labels_of(found)
        for _ in range(2):
            found.train_on_batch(inputs if len(inputs) > 1 else inputs[0], labels)
        for suffix in (".h5", ".keras"):
            with contextlib.suppress(TypeError, NotImplementedError):  # not all can be saved in both forms
                found.save(FOLDER / f"{name}{suffix}")
        predicted = found.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
        arrays = {f"input_{k}": one for k, one in enumerate(inputs)}
        for k, one in enumerate(predicted if isinstance(predicted, list) else [predicted]):
            arrays[f"output_{k}"] = one
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
        print(name)


if __name__ == "__main__":
    main()
