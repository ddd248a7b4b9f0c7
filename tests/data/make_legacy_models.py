"""Writes the models in `legacy/` and `versions/`: saved by Keras 2 with tensorflow-addons, with what they predict.

Run it where both are installed: `python tests/data/make_legacy_models.py`. Each model is trained for two steps.
Names as arguments limit it to some models, and `--format` to some forms. It runs with TensorFlow 2.4 to 2.15, and says
which models a version cannot make. The files in `versions/` are written with `--folder tests/data/versions/2.4`.
"""

import argparse
import random
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

keras, layers, K = tf.keras, tf.keras.layers, tf.keras.backend
OLD_OPTIMIZERS = getattr(keras.optimizers, "legacy", keras.optimizers)
FOLDER = Path(__file__).parent / "legacy"
SIDE, STEPS, VOCABULARY = 6, 5, 9
MODELS = {}


def model(function):
    """Decorator: list a function without arguments that returns a compiled model."""
    MODELS[function.__name__] = function
    return function


@keras.utils.register_keras_serializable("Mine")
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
def operations_of_the_backend():
    """The functions of `keras.backend` that distances of tutorials use."""

    def distance(a, b):
        unit, other = K.l2_normalize(a, axis=-1), K.l2_normalize(b, axis=-1)
        cosine = K.sum(unit * other, axis=-1, keepdims=True)
        root = K.sqrt(K.maximum(K.sum(K.square(a - b), axis=1, keepdims=True), K.epsilon()))
        pieces = [cosine, root, K.batch_dot(a, b, axes=1), K.mean(K.abs(a - b), axis=1, keepdims=True)]
        pieces += [K.pow(K.max(a, axis=1, keepdims=True), 2), K.std(b, axis=1, keepdims=True), K.clip(root, 0.1, 2.0)]
        pieces += [K.expand_dims(K.var(a, axis=-1)), K.tanh(K.min(b, axis=-1, keepdims=True)), K.sigmoid(-cosine)]
        pieces += [K.squeeze(K.expand_dims(K.relu(root - 0.5), 2), 2), K.softplus(root), K.log(1.0 + K.square(root))]
        return K.mean(K.concatenate(pieces, axis=-1), axis=-1, keepdims=True)

    return distance_model(distance)


@model
def operations_of_keras_functions():
    def distance(a, b):
        similarity = keras.losses.cosine_similarity(a, b, axis=-1)
        return tf.expand_dims(similarity + tf.reduce_mean(keras.activations.relu(a - b, alpha=0.1), -1), -1)

    return distance_model(distance)


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
    return embedding_model(tfa.losses.triplet_semihard_loss, OLD_OPTIMIZERS.Adam(0.002))


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
    optimizer = tfa.optimizers.MovingAverage(OLD_OPTIMIZERS.SGD(0.05), average_decay=0.9)
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
    return compiled(x, outputs, tfa.losses.TripletHardLoss(), OLD_OPTIMIZERS.Adam(0.01, amsgrad=True))


@model
def plain_string():
    return plain("Addons>TripletHardLoss", "sgd")


@model
def small():
    """A shared tower in few bytes, also as a SavedModel: its layers write long graphs there."""
    x, sides = keras.Input((4,)), [keras.Input((4,), name=name) for name in ("left", "right")]
    h = layers.BatchNormalization()(layers.Dense(3, "relu", name="hidden")(x))
    tower = keras.Model(x, layers.Dense(2, name="embedding")(h), name="tower")
    return compiled(sides, layers.Dot(1)([tower(side) for side in sides]), tfa.losses.ContrastiveLoss(1.5))


@model
def flat():
    """A network whose layers are those of the model itself: a SavedModel keeps its weights under other keys."""
    x = keras.Input((4,))
    h = layers.LayerNormalization(name="norm")(layers.Dense(4, "relu", name="hidden")(x))
    return compiled(x, layers.Dense(4, name="embedding")(h), tfa.losses.TripletSemiHardLoss(0.5))


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


def written(found, folder, name, kind):
    """Save a model in one form; `"bare"` is a SavedModel without the metadata of Keras."""
    if kind in ("h5", "keras"):  # until TensorFlow 2.11, `.keras` is HDF5 too; 2.12 has to be told
        save_format = {"save_format": "keras_v3"} if kind == "keras" and tf.__version__.startswith("2.12") else {}
        found.save(str(folder / f"{name}.{kind}"), **save_format)
    elif kind == "saved_model":
        found.save(str(folder / name), save_format="tf", save_traces=False)
    else:
        tf.saved_model.save(found, str(folder / f"{name}_bare"))


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(MODELS))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--format", nargs="+", default=["h5", "keras"], help="h5, keras, saved_model, bare")
    return parser.parse_args()


def make(name, folder, kinds):
    """Train a model for two steps, save it, and record what it predicts."""
    keras.backend.clear_session()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - initializers of old versions of Keras draw from this state
    tf.random.set_seed(0)
    found = MODELS[name]()
    inputs = list(inputs_of(found, np.random.default_rng(0)))
    labels = labels_of(found)
    for _ in range(2):
        found.train_on_batch(inputs if len(inputs) > 1 else inputs[0], labels)
    predicted = found.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    arrays = {f"input_{k}": one for k, one in enumerate(inputs)}
    for k, one in enumerate(predicted if isinstance(predicted, list) else [predicted]):
        arrays[f"output_{k}"] = one
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    for kind in kinds:
        try:
            written(found, folder, name, kind)
        except (TypeError, NotImplementedError, ValueError) as error:  # not all can be saved in all forms
            print(f"{name}: no {kind}: {error}")
    print(name)


def main():
    warnings.simplefilter("ignore")
    chosen = options()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.names:
        try:
            make(name, chosen.folder, chosen.format)
        except (AttributeError, TypeError, NotImplementedError, ValueError) as error:
            print(f"{name}: TensorFlow {tf.__version__} cannot make it: {error}")


if __name__ == "__main__":
    main()
