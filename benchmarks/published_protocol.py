"""The recipe in a published protocol: classification of imbalanced Fashion-MNIST by the nearest class mean.

    python benchmarks/published_protocol.py --data fashion_mnist.npz

Training counts in class order: 4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40. The test is balanced, and the figure
is the mean recall of the classes. Dablain, Krawczyk and Chawla, "DeepSMOTE: Fusing Deep Learning and SMOTE for
Imbalanced Data", IEEE TNNLS 2022, report SMOTE 70.58, BAGAN 81.48, GAMO 83.03 and DeepSMOTE 83.63, with a classifier.

Here the file need not separate Fashion-MNIST's own test images: 1,000 others of each class are held out, different ones
for each seed. An image gets the class whose mean training embedding has the largest cosine with its own.
"""

import argparse
import time

import keras
import numpy as np
from does_balancing_help import Samples, make_encoder

import keras_balanced_siamese as kbs

COUNTS = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)


def split(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[Samples, Samples]:
    """Training and test images."""
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(y == label)) for label in range(10)]
    train = np.concatenate([rows[:count] for rows, count in zip(members, COUNTS, strict=True)])
    test = np.concatenate([rows[-1000:] for rows in members])
    return tuple(Samples(x[rows].astype("float32")[..., None] / 255, y[rows].astype(int)) for rows in (train, test))


def recalls(encoder: keras.Model, train: Samples, test: Samples) -> np.ndarray:
    """The recall of each class."""

    def unit(points: np.ndarray) -> np.ndarray:
        return points / np.linalg.norm(points, axis=-1, keepdims=True)

    known, points = (unit(encoder.predict(one.x, batch_size=1000, verbose=0)) for one in (train, test))
    means = unit(np.stack([known[train.y == label].mean(axis=0) for label in range(10)]))
    right = (points @ means.T).argmax(axis=1) == test.y
    return np.array([right[test.y == label].mean() for label in range(10)])


def main() -> None:
    """Train for each seed and print the recalls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FILE.npz", help="Fashion-MNIST: x and y")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--shift", type=int, default=2)
    options = parser.parse_args()
    with np.load(options.data) as file:
        x, y = file["x"], file["y"]
    for seed in options.seeds:
        train, test = split(x, y, seed)
        keras.utils.set_random_seed(seed)
        encoder, augment = make_encoder((28, 28, 1), unit_length=False), kbs.RandomAffine(options.shift, flip=True)
        batches = kbs.BalancedBatchSequence(
            *train, 10, 13, steps_per_epoch=options.steps // 10, batch_transform=augment, seed=seed
        )
        rate = keras.optimizers.schedules.CosineDecay(2e-3, options.steps)
        encoder.compile(keras.optimizers.Adam(rate), kbs.WeightedSupervisedContrastiveLoss(feature_transfer=3))
        began = time.perf_counter()
        encoder.fit(batches, epochs=10, verbose=0)
        seconds, found = time.perf_counter() - began, 100 * recalls(encoder, train, test)
        print(
            f"seed {seed}: mean recall {found.mean():.2f}, by class {found.round(1).tolist()}, {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
