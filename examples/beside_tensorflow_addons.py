"""Train with tensorflow-addons beside this package, on Keras 2.15, and open the result on Keras 3.

    pip install -e ".[addons]"
    python examples/beside_tensorflow_addons.py --output old.keras

The optimizer and a callback are those of tensorflow-addons; pairs, loss and the other callback are of this package.
Then, in an environment with Keras 3:

    python -m keras_balanced_siamese.addons old.keras new.keras

What to expect: the weights of both kinds of pairs in each epoch, and an equal error rate of about 0.1.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

COUNTS = (200, 80, 20, 8)  # samples of each class


def main() -> None:
    """Train, save, and evaluate."""
    options = read_options()
    try:
        import tensorflow_addons as tfa
    except ImportError:
        sys.exit('tensorflow-addons is missing: pip install -e ".[addons]" in Python 3.11')
    keras.utils.set_random_seed(0)
    x, y = samples(COUNTS, seed=0)
    pairs = kbs.BalancedPairSequence(x, y, batch_size=32, steps_per_epoch=20, seed=0)

    encoder = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(8)], name="encoder"
    )
    model = kbs.siamese_model(encoder)
    model.compile(tfa.optimizers.LazyAdam(0.01), kbs.WeightedContrastiveLoss())
    adapting, stopping = kbs.AdaptiveClassWeight(), tfa.callbacks.TimeStopping(seconds=options.seconds)
    history = model.fit(pairs, epochs=options.epochs, verbose=0, callbacks=[adapting, stopping]).history
    print("epoch   loss  weight of different pairs  of similar pairs")
    for epoch, row in enumerate(
        zip(history["loss"], history["class_weight/0"], history["class_weight/1"], strict=True)
    ):
        print(f"{epoch:5}  {row[0]:.3f}  {row[1]:25.3f}  {row[2]:16.3f}")

    report = kbs.evaluate_model(model, kbs.BalancedPairSequence(*samples((30,) * 4, seed=1), seed=1), n_resamples=0)
    print(f"equal error rate of new samples: {report.eer:.3f}")
    model.save(options.output)
    print(
        f"{options.output}: convert it with Keras 3, python -m keras_balanced_siamese.addons {options.output} new.keras"
    )


def samples(counts: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of vectors around the same centres."""
    y = np.repeat(np.arange(len(counts)), counts)
    centres = np.random.default_rng(7).normal(size=(len(counts), 8))
    return (centres[y] + np.random.default_rng(seed).normal(size=(len(y), 8)) / 2).astype(np.float32), y


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("old.keras"), help="an .h5 or .keras file")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=60, help="time after which the training ends")
    return parser.parse_args()


if __name__ == "__main__":
    main()
