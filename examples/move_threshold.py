"""Choose the threshold of a verifier, and move it after deployment without training again.

    pip install -e ".[tensorflow]"
    python examples/move_threshold.py

A verifier is an encoder, a distance and a calibrated threshold in one file. This script

1. trains an encoder, chooses the threshold with 1 % false accepts on validation pairs, and saves the verifier;
2. opens the file and looks at labelled pairs from the field, where the sensor has more noise;
3. replaces the calibrated layer by one for the field, for two aims: again 1 % false accepts, and the least cost if one
   pair in a hundred is similar and a miss costs as much as 50 false accepts;
4. opens the new file and moves the threshold by hand.

The data are synthetic vectors. Training, validation and field have different classes.

What to expect (the figures differ by backend):

                                  threshold  false accepts  false rejects  cost of 1,000 pairs
    validation                        0.600           1.0%           4.1%                 30.6
    field, old threshold              0.600           0.6%          26.6%                139.2
    field, 1 % false accepts          0.637           0.9%          21.5%                116.7
    field, least cost                 0.796           4.7%           6.7%                 79.3
    moved by hand                     0.750           3.3%           9.8%                 81.7
    The weights of the encoder are the same in both files: True
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

CENTRES = np.random.default_rng(7).normal(0, 2, size=(250, 32))  # of the classes
CENTRES[:, 8:] = 0  # where nothing but noise is, which the encoder learns to ignore
PRIOR, MISS, FALSE_ACCEPT = 0.01, 50, 1  # one pair in a hundred is similar; the costs of both errors
AIMS = {"1 % false accepts": {"far": 0.01}, "least cost": {"cost": (MISS, FALSE_ACCEPT)}}


def main() -> None:
    """Deploy, look at the field, and move the threshold."""
    options = read_options()
    keras.utils.set_random_seed(0)
    encoder = train_encoder(options)
    validation = labelled_pairs(range(100, 150), noise=0.5, seed=1)
    field = labelled_pairs(range(150, 200), noise=0.8, seed=2)  # choose the new threshold
    test = labelled_pairs(range(200, 250), noise=0.8, seed=3)  # show its errors: never on the pairs that chose it

    print(f"\n{'':<30}threshold  false accepts  false rejects  cost of 1,000 pairs")
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "verifier.keras", Path(folder) / "moved.keras"
        layer = calibrated(kbs.siamese_model(encoder), validation, operating_point={"far": 0.01})
        kbs.siamese_model(encoder, probability=layer).save(old)

        deployed = keras.models.load_model(old)
        show("validation", deployed, validation)
        show("field, old threshold", deployed, test)
        distance = distance_of(deployed)
        for title, aim in AIMS.items():
            layer = calibrated(distance, field, operating_point=aim, prior=PRIOR)
            moved = keras.Model(deployed.inputs, layer(distance.output), name="siamese")
            show(f"field, {title}", moved, test)
        moved.save(new)

        by_hand = keras.models.load_model(new)
        by_hand.get_layer("probability").threshold = 0.75
        show("moved by hand", by_hand, test)
        weights = [model.get_layer("encoder").get_weights() for model in (deployed, by_hand)]
    same = all(np.array_equal(*both) for both in zip(*weights, strict=True))
    print(f"The weights of the encoder are the same in both files: {same}")


def distance_of(verifier: keras.Model) -> keras.Model:
    """The verifier without its last layer: from pairs to distances, which `calibrate` needs."""
    return keras.Model(verifier.inputs, verifier.get_layer("probability").input)


def calibrated(distance: keras.Model, data: tuple, **options) -> keras.layers.Layer:
    """The layer with the threshold for an aim."""
    pairs, similar = data
    return kbs.calibrate(distance.predict(pairs, verbose=0), similar, **options)


def show(title: str, verifier: keras.Model, data: tuple) -> None:
    """Print the errors of the decisions, and what they cost if one pair in a hundred is similar."""
    pairs, similar = data
    accepted = verifier.predict(pairs, verbose=0)[:, 0] >= 0.5
    false_accepts, false_rejects = accepted[similar == 0].mean(), 1 - accepted[similar == 1].mean()
    cost = 1000 * (PRIOR * MISS * false_rejects + (1 - PRIOR) * FALSE_ACCEPT * false_accepts)
    threshold = verifier.get_layer("probability").threshold
    print(f"{title:<30}{threshold:9.3f}  {false_accepts:13.1%}  {false_rejects:13.1%}  {cost:19.1f}")


def labelled_pairs(classes: range, noise: float, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """`((left, right), similar)`: 2,000 similar and 2,000 different pairs of new samples of these classes."""
    x, y = samples(np.repeat(classes, 20), noise, seed)
    pairs = kbs.BalancedPairSequence(x, y, batch_size=4000, steps_per_epoch=1, redraw=False, seed=seed)
    left, right, similar = pairs.indices(0)
    return (x[left], x[right]), similar


def samples(y: np.ndarray, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around the centres of the classes `y`."""
    x = CENTRES[y] + np.random.default_rng(seed).normal(0, noise, size=(len(y), 32))
    return x.astype("float32"), y


def train_encoder(options: argparse.Namespace) -> keras.Model:
    """Balanced pairs of 100 classes."""
    x, y = samples(np.repeat(np.arange(100), 20), noise=0.5, seed=0)
    layers = [keras.layers.Dense(32), keras.layers.UnitNormalization()]
    encoder = keras.Sequential([keras.Input((32,)), *layers], name="encoder")
    model = kbs.siamese_model(encoder)
    model.compile(keras.optimizers.Adam(1e-3), kbs.WeightedContrastiveLoss())
    pairs = kbs.BalancedPairSequence(x, y, 128, steps_per_epoch=options.steps, seed=0)
    model.fit(pairs, epochs=options.epochs, verbose=2)
    return encoder


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Choose and move the threshold of a verifier")
    parser.add_argument("--epochs", type=int, default=5, help="(%(default)d)")
    parser.add_argument("--steps", type=int, default=200, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
