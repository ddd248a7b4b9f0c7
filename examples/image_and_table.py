"""One encoder for several inputs: an image and a row of a table, with rare classes.

    pip install -e ".[tensorflow,examples]"
    python examples/image_and_table.py

An item is a part of a machine: its picture is one of five digits of scikit-learn, and its row of the table has three
measurements, which depend on the size of the part. A class is a digit and a size, so only both inputs together tell
the 20 classes apart. The most common class has 24 items for training, the rarest one three.

What to expect, in half a minute (EER is the equal error rate of new items):

    inputs             EER  error of rare classes  of common classes
    image            0.144                  0.148              0.121
    table            0.200                  0.205              0.191
    image and table  0.047                  0.065              0.035
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

SIZES = ("small", "medium", "large", "huge")
TEST_ITEMS = 10  # of each class


def main() -> None:
    """Train on the image alone, on the table alone and on both, and compare."""
    options = read_options()
    (x, y), test = split(*make_parts())
    counts = np.unique(y, return_counts=True)[1]
    print(f"{len(y)} items of {len(counts)} classes, {counts.min()} to {counts.max()} of a class")
    print("\ninputs             EER  error of rare classes  of common classes")
    for inputs in (["image"], ["table"], ["image", "table"]):
        model = train({name: x[name] for name in inputs}, y, options)
        report = kbs.evaluate_model(model, ({name: test[0][name] for name in inputs}, test[1]), class_counts=y)
        tail, head = report.groups["tail"]["error"], report.groups["head"]["error"]
        print(f"{' and '.join(inputs):<15}  {report.eer:.3f}  {tail:21.3f}  {head:17.3f}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A Siamese network for images with a row of a table")
    parser.add_argument("--epochs", type=int, default=10, help="of each training (%(default)d)")
    parser.add_argument("--steps", type=int, default=30, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


def train(x: dict[str, np.ndarray], y: np.ndarray, options: argparse.Namespace) -> keras.Model:
    """Train on balanced pairs: each side of a pair is a dict like `x`."""
    keras.utils.set_random_seed(0)
    move = kbs.RandomAffine(rotation=0.12, scale=0.15)

    def augment(items: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {name: move(values, rng) if name == "image" else values for name, values in items.items()}

    pairs = kbs.BalancedPairSequence(x, y, 64, steps_per_epoch=options.steps, batch_transform=augment, seed=0)
    model = kbs.siamese_model(build_encoder(x))
    rate = keras.optimizers.schedules.CosineDecay(3e-3, options.epochs * options.steps)
    model.compile(keras.optimizers.Adam(rate), kbs.WeightedContrastiveLoss())
    model.fit(pairs, epochs=options.epochs, verbose=0)
    return model


def build_encoder(x: dict[str, np.ndarray]) -> keras.Model:
    """A branch for each input, joined by a dense layer to one embedding of length 1."""
    layers = keras.layers
    inputs = {name: keras.Input(values.shape[1:], name=name) for name, values in x.items()}
    branches = []
    if "image" in inputs:
        image = layers.Rescaling(1 / 16)(inputs["image"])
        image = layers.Conv2D(32, 3, padding="same", activation="relu")(image)
        image = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(image)
        branches.append(layers.Dense(32, "relu")(layers.Flatten()(image)))
    if "table" in inputs:
        scale = layers.Normalization()  # columns in grams and in millimetres get the same influence
        scale.adapt(x["table"])
        branches.append(layers.Dense(32, "relu")(scale(inputs["table"])))
    joined = layers.Concatenate()(branches) if len(branches) > 1 else branches[0]
    return keras.Model(inputs, layers.UnitNormalization()(layers.Dense(32)(joined)), name="encoder")


def make_parts() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images `(n, 8, 8, 1)`, the table `(n, 3)` of weight, length and price, and the classes, such as "7 large"."""
    rng, digits = np.random.default_rng(0), load_digits(n_class=5)
    size = rng.integers(4, size=len(digits.target))
    mean, deviation = np.array([[120, 15, 3], [180, 19, 4], [260, 23, 5], [350, 27, 6]]), [20, 2, 1]
    table = mean[size] + deviation * rng.normal(size=(len(size), 3))
    images = digits.images[..., None]
    names = [f"{digit} {SIZES[k]}" for digit, k in zip(digits.target, size, strict=True)]
    return {"image": images.astype("float32"), "table": table.astype("float32")}, np.array(names)


def split(x: dict[str, np.ndarray], y: np.ndarray) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """A training set with a long tail, and a test set with as many items of each class."""
    rng, classes = np.random.default_rng(1), np.unique(y)
    train, test = [], []
    for label, count in zip(rng.permutation(classes), np.geomspace(24, 3, len(classes)), strict=True):
        rows = rng.permutation(np.flatnonzero(y == label))
        test.append(rows[:TEST_ITEMS])
        train.append(rows[TEST_ITEMS:][: round(count)])
    return [
        ({name: values[rows] for name, values in x.items()}, y[rows]) for rows in map(np.concatenate, (train, test))
    ]


if __name__ == "__main__":
    main()
