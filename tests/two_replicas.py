"""Trainings that one and two devices do alike.

As a script: all of them on two devices of the CPU, printed as JSON in the last line.
"""

import importlib
import json

import keras
import numpy as np
from toy import BACKEND, COUNTS, clusters, compiled, linear_encoder

import keras_balanced_siamese as kbs


def tensorflow_scope():
    tf = importlib.import_module("tensorflow")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()


def jax_scope():
    devices = importlib.import_module("jax").devices("cpu")
    assert len(devices) == 2
    return keras.distribution.DataParallel(devices=devices).scope()


SCOPES = {"tensorflow": tensorflow_scope, "jax": jax_scope}  # other backends train on one device only
# read when the backend starts; NPROC: threads of XLA (with one for each core, devices can wait for each other for ever)
VARIABLES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "NPROC": "16"}


def pairs(**options):
    x, y = clusters()
    return kbs.BalancedPairSequence(x, y, batch_size=8, steps_per_epoch=6, seed=0, **options)


def history(model, *data, **options):
    found = model.fit(*data, verbose=0, **options).history
    return {key: [float(value) for value in values] for key, values in found.items()}


def adapted():
    """Weights of a loss and of a sequence, both adapted."""
    data = pairs(class_sampling="natural")
    callbacks = [kbs.AdaptiveClassWeight(), kbs.AdaptiveClassWeight(data, validation_data=clusters())]
    return history(compiled(), data, epochs=4, shuffle=False, callbacks=callbacks)


def adapted_in_batch():
    """Weights of a loss that forms the pairs of all devices."""
    x, y = clusters()
    data = kbs.BalancedBatchSequence(x, y, classes_per_batch=2, samples_per_class=4, redraw=False, seed=0)
    encoder = linear_encoder()
    loss = kbs.WeightedSupervisedContrastiveLoss(class_weight=dict.fromkeys(COUNTS, 1.0))
    encoder.compile(keras.optimizers.SGD(0.1), loss)
    return history(encoder, data, epochs=4, shuffle=False, callbacks=[kbs.AdaptiveClassWeight()])


def plain():
    """Keras's own loss and no callback: the epochs are those that `fit` begins, however much is read before."""
    data = pairs()
    return {**history(compiled("mse"), data, epochs=3, shuffle=False), "epoch": data.epoch}


def counted():
    """Metrics of all pairs and of each class, in a model that does not learn."""
    x, y = clusters()
    codes = np.array([list(COUNTS).index(label) for label in y])
    rng = np.random.default_rng(0)
    left = rng.integers(0, len(y), 80)
    right = np.array([rng.choice(np.flatnonzero((codes == codes[k]) == (i % 2))) for i, k in enumerate(left)])
    labels = np.stack([codes[left] == codes[right], codes[left], codes[right]], 1).astype("float32")
    classes = [*COUNTS, "unseen"]
    metrics = [kbs.VerificationAUC(classes=classes, resolution=64), kbs.BalancedPairAccuracy(1.0, classes=classes)]
    model = kbs.siamese_model(linear_encoder())
    model.compile(keras.optimizers.SGD(0.0), lambda labels, distance: (distance - labels[:, :1]) ** 2, metrics=metrics)
    return history(model, [x[left], x[right]], labels, batch_size=16, epochs=2)


def encoder_weights(one_pass):
    """The weights after some steps, each pair with its own label, so that a lost order would be seen."""
    encoder = linear_encoder()
    model = kbs.siamese_model(encoder, one_pass=one_pass)
    model.compile(keras.optimizers.SGD(0.1), kbs.WeightedContrastiveLoss(), jit_compile=False)
    left, right = np.random.default_rng(0).normal(size=(2, 32, 4)).astype("float32")
    model.fit((left, right), np.arange(32)[:, None] % 2, batch_size=8, shuffle=False, verbose=0)
    return encoder.get_weights()[0].tolist()


def in_one_pass():
    return {"one": encoder_weights(True), "two": encoder_weights(False)}


TRAININGS = (adapted, adapted_in_batch, plain, counted, in_one_pass)

if __name__ == "__main__":
    with SCOPES[BACKEND]():
        print(json.dumps({train.__name__: train() for train in TRAININGS}))  # noqa: T201
