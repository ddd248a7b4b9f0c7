"""Name items of rare kinds that the encoder has never seen, or answer "unknown".

    pip install -e ".[tensorflow]"
    python examples/name_rare_items.py

An encoder is trained on 120 kinds of parts. Twenty rare kinds come later, with three images each: they are enrolled in
a `Gallery`, without new training. Forty more kinds are never enrolled and must come out as "unknown". The images are
synthetic: each kind has a pattern of grey squares, which moves, changes its contrast, and has noise.

What to expect (the figures differ by backend):

    Images of each part         1      3
    threshold               0.22   0.20
    common, right name      100%   100%
    rare, right name         98%   100%
    strange, unknown         93%    96%
    The three nearest images of a part of the kind R0: R0, R0, R0
    Saved and opened again: 140 kinds, and this part is R0
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

N_COMMON, N_RARE, N_STRANGE = 120, 20, 40  # kinds of parts
COMMON = np.array([f"C{k}" for k in range(N_COMMON)])
RARE = np.array([f"R{k}" for k in range(N_RARE)])
STRANGE = np.array([f"S{k}" for k in range(N_STRANGE)])  # half of them choose the threshold, the others test it


def main() -> None:
    """Train, enrol, choose a threshold, name new images, and save the gallery."""
    options = read_options()
    keras.utils.set_random_seed(0)
    encoder = train_encoder(options)

    enrolled, names = images(np.concatenate([COMMON, RARE]), 3, seed=1)
    gallery = kbs.Gallery(encoder.predict(enrolled, verbose=0), names, distance="cosine")  # as in training

    print("\nImages of each part         1      3")
    thresholds = {n: threshold_against(STRANGE[::2], gallery, encoder, n) for n in (1, 3)}
    print("threshold            " + "".join(f"{threshold:7.2f}" for threshold in thresholds.values()))
    for title, kinds in (
        ("common, right name", COMMON),
        ("rare, right name", RARE),
        ("strange, unknown", STRANGE[1::2]),
    ):
        shares = [share_right(kinds, gallery, encoder, n, threshold) for n, threshold in thresholds.items()]
        print(f"{title:<21}" + "".join(f"{share:7.0%}" for share in shares))

    gallery.threshold = thresholds[1]
    part, _ = embeddings(RARE[:1], 1, encoder, 1, seed=4)
    print("The three nearest images of a part of the kind R0:", ", ".join(gallery.search(part, k=3).labels[0]))
    with tempfile.TemporaryDirectory() as folder:
        gallery.save(Path(folder) / "parts.npz")
        again = kbs.Gallery.load(Path(folder) / "parts.npz")
    print(f"Saved and opened again: {len(again.classes)} kinds, and this part is {again.identify(part).labels[0]}")


def threshold_against(kinds: np.ndarray, gallery: kbs.Gallery, encoder: keras.Model, n_images: int) -> float:
    """The distance below which 5 % of the parts of other kinds than those of the gallery are."""
    strangers, _ = embeddings(kinds, 20, encoder, n_images, seed=2)
    return float(np.quantile(gallery.identify(strangers, threshold=np.inf).distances, 0.05))


def share_right(
    kinds: np.ndarray, gallery: kbs.Gallery, encoder: keras.Model, n_images: int, threshold: float
) -> float:
    """The share of new parts that get their name, or "unknown" if the gallery does not have it."""
    parts, names = embeddings(kinds, 10, encoder, n_images, seed=3)
    expected = np.where(np.isin(names, gallery.classes), names, "unknown")
    return float(np.mean(gallery.identify(parts, threshold=threshold).labels == expected))


def embeddings(
    kinds: np.ndarray, n: int, encoder: keras.Model, n_images: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of `n` parts of each kind, each the mean over its images, and the names."""
    x, names = images(kinds, n * n_images, seed)
    points = encoder.predict(x, verbose=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)  # the cosine distance ignores lengths, a mean does not
    return points.reshape(len(kinds) * n, n_images, -1).mean(axis=1), names[::n_images]


def train_encoder(options: argparse.Namespace) -> keras.Model:
    """The recipe of the README, on the common kinds."""
    x, y = images(COMMON, 10, seed=0)
    layers = keras.layers
    encoder = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(32),
        ],
        name="encoder",
    )
    augment = kbs.RandomAffine(shift=1)
    batches = kbs.BalancedBatchSequence(x, y, 32, 4, steps_per_epoch=options.steps, batch_transform=augment, seed=0)
    encoder.compile(keras.optimizers.Adam(1e-3), kbs.WeightedSupervisedContrastiveLoss())
    encoder.fit(batches, epochs=options.epochs, verbose=2)
    return encoder


def images(kinds: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`n` images of each kind, `(n * kinds, 16, 16, 1)` float32, and the names of the kinds."""
    rng = np.random.default_rng(seed)
    names = np.repeat(kinds, n)
    return np.stack([image(name, rng) for name in names]), names


def image(kind: str, rng: np.random.Generator) -> np.ndarray:
    """One image; the kind determines the pattern of 4 x 4 squares."""
    pattern = np.random.default_rng(list(kind.encode())).normal(size=(4, 4))
    picture = np.kron(pattern, np.ones((4, 4))) * rng.uniform(0.6, 1.4)
    moved = np.roll(picture, rng.integers(-1, 2, size=2), axis=(0, 1))
    return (moved + rng.normal(0, 0.4, moved.shape)).astype("float32")[..., None]


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Naming rare items with a gallery")
    parser.add_argument("--epochs", type=int, default=8, help="(%(default)d)")
    parser.add_argument("--steps", type=int, default=40, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
