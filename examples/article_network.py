"""The network of the article that this package began with, corrected so that it runs and learns.

    python examples/article_network.py             # 48 x 48 pixels, under a minute
    python examples/article_network.py --size 224  # the article's size, much slower

The article shares one VGG-like tower between two images and trains it on the distance of their embeddings. As printed,
its code does not run; the comments that begin with "Article:" say what was wrong. The images here are coloured shapes
drawn with NumPy, many of some shapes and few of others.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

SHAPES = ("disc", "ring", "square", "cross")
TRAINING_IMAGES = (160, 60, 24, 8)  # of each shape


def main() -> None:
    """Train on imbalanced shapes, and print how far held-out pairs are apart before and after."""
    options = read_options()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = draw_images(TRAINING_IMAGES, options.size, rng)
    held_out = draw_images((16,) * len(SHAPES), options.size, rng)

    # Article: the imbalance was never computed from the data. Here it is: every shape gets the same share of the pairs
    pairs = kbs.BalancedPairSequence(x, y, options.batch_size, steps_per_epoch=options.steps, seed=0)
    test_pairs = kbs.BalancedPairSequence(*held_out, 32, steps_per_epoch=8, redraw=False, seed=1)
    print(pairs.describe())

    model = siamese_network(options.size)
    print(f"\n{options.size} x {options.size} x 3 pixels, {model.count_params():,} parameters")
    # Article: the loss created variables on every call, which compiled training refuses, and they were constant 1
    # Article: cross-entropy on a distance has no gradient from distance 1 on; a contrastive loss is made for distances
    # Article: its exact-equality masks gave soft labels the weight 0; here soft labels mix the two weights
    loss = kbs.WeightedContrastiveLoss(margin=1.0, class_weight={0: 1.0, 1: 1.0})  # different, similar pairs
    model.compile(keras.optimizers.Adam(options.learning_rate), loss)

    before = model.predict(test_pairs, verbose=0)
    model.fit(pairs, epochs=options.epochs, verbose=2)
    after = model.predict(test_pairs, verbose=0)
    report(test_pairs, before, after)
    save_and_reload(model, test_pairs, after)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The article's Siamese network, corrected")
    parser.add_argument("--size", type=int, default=48, help="height and width of the images (%(default)d)")
    parser.add_argument("--epochs", type=int, default=6, help="(%(default)d)")
    parser.add_argument("--steps", type=int, default=10, help="batches in an epoch (%(default)d)")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs in a batch (%(default)d)")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="(%(default)g)")
    options = parser.parse_args()
    if options.size < 16:
        parser.error(f"--size must be at least 16, not {options.size}")
    return options


def siamese_network(size: int) -> keras.Model:
    """Two images through one tower, then the distance of their embeddings."""
    tower = vgg_tower(size)
    left, right = keras.Input((size, size, 3), name="left"), keras.Input((size, size, 3), name="right")
    # Article: sqrt(max(s, eps)) has no gradient for near-identical pairs; this layer has the true one
    # Article: it used keras.backend functions, gone in Keras 3, in a Lambda, which does not survive saving
    distance = kbs.EuclideanDistance(name="distance")([tower(left), tower(right)])  # (batch, 1)
    return keras.Model([left, right], distance, name="siamese")


def vgg_tower(size: int) -> keras.Model:
    """The article's convolutions, from an image to its embedding `(batch, 512)`."""
    layers = keras.layers
    image = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)  # Article: pixels of 0 to 255 went in as they are
    for filters in (64, 128, 256):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(512, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)  # 28 x 28 x 512
    # Article: Flatten here put 205 of 207 million parameters into the one Dense layer below; pooling leaves 0.26
    x = layers.GlobalAveragePooling2D()(x)  # (batch, 512)
    return keras.Model(image, layers.Dense(512)(x), name="tower")


def draw_images(counts: tuple[int, ...], size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coloured shapes on coloured ground, anywhere and of any size: `(n, size, size, 3)` uint8 and their names."""
    names = np.repeat(SHAPES, counts)
    return np.stack([draw_shape(name, size, rng) for name in names]), names


def draw_shape(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """One image. Only the outline tells the class; colours, place and size are random."""
    radius = rng.uniform(0.2, 0.3) * size
    centre = rng.uniform(radius, size - radius, size=2)
    rows, columns = np.abs(np.indices((size, size)) - centre[:, None, None])
    distance = np.hypot(rows, columns)
    inside = {
        "disc": distance < radius,
        "ring": (distance < radius) & (distance > 0.6 * radius),
        "square": np.maximum(rows, columns) < 0.85 * radius,
        "cross": (np.maximum(rows, columns) < radius) & (np.minimum(rows, columns) < 0.25 * radius),
    }[name]
    ground, ink = rng.uniform(0, 90, 3), rng.uniform(150, 255, 3)
    picture = np.where(inside[..., None], ink, ground) + rng.normal(0, 8, (size, size, 3))
    return picture.clip(0, 255).astype("uint8")


def report(pairs: kbs.BalancedPairSequence, before: np.ndarray, after: np.ndarray) -> None:
    """Print mean distances before and after training, and how well the trained model tells the pairs apart."""
    batches = (pairs.indices(batch) for batch in range(len(pairs)))
    left, right, similar = map(np.concatenate, zip(*batches, strict=True))
    print("\nMean distance on held-out images   similar pairs  different pairs")
    for name, distances in (("before", before), ("after", after)):
        means = distances[similar == 1].mean(), distances[similar == 0].mean()
        print(f"{name + ' training':<33}  {means[0]:13.3f}  {means[1]:15.3f}")
    shapes = np.array(pairs.classes)[pairs.labels]
    print(f"\n{kbs.evaluate_pairs(after, similar, classes=np.stack([shapes[left], shapes[right]], axis=1))}")


def save_and_reload(model: keras.Model, pairs: kbs.BalancedPairSequence, distances: np.ndarray) -> None:
    """Write the model to a file, open it again and compare its distances."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "article.keras"
        model.save(path)
        again = keras.models.load_model(path)
    difference = np.abs(again.predict(pairs, verbose=0) - distances).max()
    print(f"\nSaved and opened again: distances differ by {difference:.1g} at most")


if __name__ == "__main__":
    main()
