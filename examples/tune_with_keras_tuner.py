"""Tune a Siamese network, its loss and its pairs with KerasTuner, on a verification metric.

    pip install -e ".[tensorflow,examples,recipes]"
    python examples/tune_with_keras_tuner.py

Random search over the size of the embedding, the learning rate, the margin of the loss and the share of each class
among the pairs, on the digits of scikit-learn with a long tail. The objective is the equal error rate of the rare
classes on validation pairs, which `VerificationReport` adds to the logs of each epoch.

What to expect (the figures differ by backend):

    embedding  learning rate  margin    shares  val_tail_eer
           32         0.0020    0.86  balanced         0.137
            8         0.0018    1.35  balanced         0.159
           64         0.0007    1.37      sqrt         0.164
            8         0.0053    1.15  balanced         0.165
           64         0.0003    1.18   natural         0.178
    Equal error rate of the rare classes, best model, validation, which chose it: 0.137
    Equal error rate of the rare classes, best model, test: 0.236
"""

import argparse
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

try:
    import keras_tuner
except ImportError:
    sys.exit('KerasTuner is missing: pip install -e ".[recipes]"')

OBJECTIVE = keras_tuner.Objective("val_tail_eer", "min")  # an error: the lowest is the best


class SiameseSearch(keras_tuner.HyperModel):
    """What is tuned: `build` makes the model of a trial, and `fit` draws its pairs."""

    def __init__(self, x: np.ndarray, y: np.ndarray, steps: int):
        super().__init__()
        self.x, self.y, self.steps = x, y, steps

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        layers = [
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Choice("embedding", [8, 16, 32, 64])),
            keras.layers.UnitNormalization(),
        ]
        model = kbs.siamese_model(keras.Sequential([keras.Input(self.x.shape[1:]), *layers], name="encoder"))
        rate = hp.Float("learning_rate", 3e-4, 1e-2, sampling="log")
        loss = kbs.WeightedContrastiveLoss(margin=hp.Float("margin", 0.4, 1.6))
        model.compile(keras.optimizers.Adam(rate), loss)
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, **options) -> keras.callbacks.History:
        shares = hp.Choice("shares", ["natural", "sqrt", "balanced"])
        augment = kbs.RandomAffine(rotation=0.1, scale=0.1)
        pairs = kbs.BalancedPairSequence(
            self.x, self.y, 64, steps_per_epoch=self.steps, class_sampling=shares, batch_transform=augment, seed=0
        )
        return model.fit(pairs, **options)


def main() -> None:
    """Search, print the trials, and test the best model."""
    options = read_options()
    (x, y), validation, test = long_tailed_digits()
    report = kbs.VerificationReport(validation, class_counts=y)  # KerasTuner copies it for each trial
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            SiameseSearch(x, y, options.steps), OBJECTIVE, max_trials=options.trials, seed=0, directory=folder
        )
        tuner.search(epochs=options.epochs, callbacks=[report], verbose=0)
        print_trials(tuner, options.trials)
        best = tuner.get_best_models()[0]  # with the weights of its best epoch
    for name, data in (("validation, which chose it", validation), ("test", test)):
        tail = kbs.evaluate_model(best, data, class_counts=y, n_resamples=0).groups["tail"]
        print(f"Equal error rate of the rare classes, best model, {name}: {tail['eer']:.3f}")


def print_trials(tuner: keras_tuner.Tuner, n: int) -> None:
    """The hyperparameters and the objective of each trial, the best first."""
    print("embedding  learning rate  margin    shares  val_tail_eer")
    for trial in tuner.oracle.get_best_trials(n):
        hp = trial.hyperparameters.values
        print(
            f"{hp['embedding']:9}  {hp['learning_rate']:13.4f}  {hp['margin']:6.2f}  {hp['shares']:>8}  "
            f"{trial.score:12.3f}"
        )


def long_tailed_digits() -> list[tuple[np.ndarray, np.ndarray]]:
    """Training digits, 100 zeros to 6 nines, and 35 validation and 35 test digits of each class."""
    digits = load_digits()
    x, y = digits.images.astype("float32")[..., None] / 16, digits.target
    sizes = np.geomspace(100, 6, 10).round().astype(int)
    parts = [np.split(np.flatnonzero(y == digit), [35, 70, 70 + size])[:3] for digit, size in enumerate(sizes)]
    validation, test, train = map(np.concatenate, zip(*parts, strict=True))
    return [(x[rows], y[rows]) for rows in (train, validation, test)]


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Tuning with KerasTuner")
    parser.add_argument("--trials", type=int, default=5, help="(%(default)d)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each trial (%(default)d)")
    parser.add_argument("--steps", type=int, default=20, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
