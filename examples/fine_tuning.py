"""Fine-tune a pretrained network of `keras.applications`: first with frozen weights, then with all of them.

    pip install -e ".[tensorflow,examples]"
    python examples/fine_tuning.py

So that nothing is downloaded, the script begins with random weights and pretrains the network itself, on the digits 0
to 4 of scikit-learn. The network then learns to compare the digits 5 to 9, with 60 to 4 training images of each.

What to expect, in half a minute (EER is the equal error rate of the new digits):

    Frozen network: EER 0.181, error of each class  5: 0.237  6: 0.075  7: 0.157  8: 0.138  9: 0.297
    All layers: EER 0.136, error of each class  5: 0.119  6: 0.049  7: 0.128  8: 0.113  9: 0.273
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

SIZE = 32  # height and width of an image; a ResNet takes no smaller ones
COUNTS = {5: 60, 6: 30, 7: 15, 8: 8, 9: 4}  # training images of each new class
TEST_IMAGES = 100  # of each new class


def main() -> None:
    """Train the new layer on top of the frozen network, then all layers, and print the error after each stage."""
    options = read_options()
    keras.utils.set_random_seed(0)
    x, y = load_images()
    backbone = pretrained(x[y < 5], y[y < 5], options.pretraining_epochs)
    train, test = split(y)
    batches = kbs.BalancedBatchSequence(
        x[train],
        y[train],
        classes_per_batch=len(COUNTS),
        samples_per_class=12,
        steps_per_epoch=options.steps,
        batch_transform=kbs.RandomAffine(shift=1, rotation=0.12, scale=0.15),
        seed=0,
    )
    encoder = build_encoder(backbone)
    test_data = x[test], y[test]

    backbone.trainable = False
    fit(encoder, batches, options.epochs, learning_rate=3e-3)
    report("Frozen network", encoder, *test_data)

    backbone.trainable = True
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # it keeps its means; in `fit`, Keras 3 ignores `backbone(image, training=False)`
    fit(encoder, batches, options.epochs, learning_rate=5e-4)  # it compiles again: this makes `trainable` effective
    report("All layers", encoder, *test_data)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fine-tune a network of keras.applications")
    parser.add_argument("--pretraining-epochs", type=int, default=4, help="(%(default)d)")
    parser.add_argument("--epochs", type=int, default=4, help="of each stage (%(default)d)")
    parser.add_argument("--steps", type=int, default=15, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


def pretrained(x: np.ndarray, y: np.ndarray, epochs: int) -> keras.Model:
    """The beginning of a ResNet, trained to tell some classes apart.

    For images as large as photographs, take the whole network, with weights that Keras downloads:
    `keras.applications.ResNet50V2(include_top=False, pooling="avg", weights="imagenet")`.
    """
    whole = keras.applications.ResNet50V2(input_shape=(SIZE, SIZE, 3), include_top=False, weights=None)
    features = whole.get_layer("conv2_block2_preact_relu").output  # (batch, 8, 8, 256); at the end it is 1 x 1
    backbone = keras.Model(whole.input, keras.layers.GlobalAveragePooling2D()(features), name="backbone")
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.99 needs hundreds of steps until the moving averages fit
    classifier = keras.Sequential([backbone, keras.layers.Dense(5, "softmax")])
    classifier.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    classifier.fit(x, y, batch_size=64, epochs=epochs, verbose=2)
    return backbone


def build_encoder(backbone: keras.Model) -> keras.Model:
    """The network, and a new layer on top of it."""
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, keras.layers.Dense(32)(backbone(image)), name="encoder")


def fit(encoder: keras.Model, batches: kbs.BalancedBatchSequence, epochs: int, learning_rate: float) -> None:
    """One stage of the training."""
    loss = kbs.WeightedSupervisedContrastiveLoss(feature_transfer=3)
    encoder.compile(keras.optimizers.Adam(learning_rate), loss)
    encoder.fit(batches, epochs=epochs, verbose=2)


def report(stage: str, encoder: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Print the equal error rate, and the error of each class at that threshold."""
    figures = kbs.evaluate_model(encoder, (x, y), n_resamples=0)
    errors = "  ".join(f"{digit}: {row['error']:.3f}" for digit, row in figures.per_class.items())
    print(f"{stage}: EER {figures.eer:.3f}, error of each class  {errors}")


def load_images() -> tuple[np.ndarray, np.ndarray]:
    """The digits of scikit-learn as colour images `(n, 32, 32, 3)` from -1 to 1, as ResNet50V2 takes them."""
    digits = load_digits()
    images = digits.images.repeat(4, axis=1).repeat(4, axis=2)[..., None].repeat(3, axis=3)
    return (images / 8 - 1).astype("float32"), digits.target


def split(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the new classes for training, and for the test."""
    rows = {digit: np.flatnonzero(y == digit) for digit in COUNTS}
    train = [rows[digit][TEST_IMAGES:][:count] for digit, count in COUNTS.items()]
    return np.concatenate(train), np.concatenate([some[:TEST_IMAGES] for some in rows.values()])


if __name__ == "__main__":
    main()
