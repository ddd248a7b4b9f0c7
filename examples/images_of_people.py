"""Images in one folder for each person: read while the model trains, and tested on people it has never seen.

    pip install -e ".[tensorflow,examples]"
    python examples/images_of_people.py

The faces are drawn and saved as PNG files: up to 20 images of a person, but only two or three of many. For your own
images, replace the first lines of `main`: all that the rest needs is a list of paths and the name of each person.

What to expect, in half a minute (EER is the equal error rate):

    training    60 people,  472 images, 2 to 20 of a person
    validation  20 people,  157 images, 2 to 20 of a person
    test        20 people,  155 images, 2 to 19 of a person
    EER of unseen people before training: 0.452
    EER of validation people after each epoch: 0.161 0.134 0.062 0.045 0.048 0.037 0.036 0.034
    EER of unseen people after training:  0.041
    At the threshold for 1 % false accepts: 0.6% false accepts, 14.7% false rejects
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

SIZE = 48  # height and width of an image


def main() -> None:
    """Train on some people, choose the threshold on others, and test on the rest."""
    options = read_options()
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        draw_people(Path(folder), options.people)
        paths = np.array(sorted(map(str, Path(folder).glob("*/*.png"))))
        names = np.array([Path(path).parent.name for path in paths])
        train, validation, test = split(names)

        batches = balanced_batches(paths[train], names[train], options.steps)
        pairs, test_pairs = fixed_pairs(paths[validation], names[validation]), fixed_pairs(paths[test], names[test])

        encoder = build_encoder()
        verifier = kbs.siamese_model(encoder, kbs.CosineDistance())
        print(f"EER of unseen people before training: {kbs.evaluate_model(verifier, test_pairs).eer:.3f}")
        rate = keras.optimizers.schedules.CosineDecay(2e-3, options.epochs * options.steps)
        encoder.compile(keras.optimizers.Adam(rate), kbs.WeightedSupervisedContrastiveLoss(feature_transfer=3))
        watch = kbs.VerificationReport(pairs)
        encoder.fit(batches, epochs=options.epochs, verbose=0, callbacks=[watch])
        print("EER of validation people after each epoch:", *(f"{entry['val_eer']:.3f}" for entry in watch.history_))

        distances, similar = verifier.predict(pairs, verbose=0), pairs.indices()[2]
        threshold = kbs.calibrate(distances, similar, operating_point={"far": 0.01})
        report = kbs.evaluate_model(verifier, test_pairs, threshold=threshold)
    print(f"EER of unseen people after training:  {report.eer:.3f}")
    rates = report.micro["false_accept_rate"], report.micro["false_reject_rate"]
    print(f"At the threshold for 1 % false accepts: {rates[0]:.1%} false accepts, {rates[1]:.1%} false rejects")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Verify people from images in folders")
    parser.add_argument("--people", type=int, default=100, help="(%(default)d)")
    parser.add_argument("--epochs", type=int, default=8, help="(%(default)d)")
    parser.add_argument("--steps", type=int, default=40, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


def split(names: np.ndarray) -> list[np.ndarray]:
    """Rows for training, validation and test. All images of a person are in the same part."""
    train, rest = kbs.split_by_class(names, test_size=0.4, seed=0)
    validation, test = kbs.split_by_class(names[rest], test_size=0.5, seed=0)
    parts = {"training": train, "validation": rest[validation], "test": rest[test]}
    for part, rows in parts.items():
        people, counts = np.unique(names[rows], return_counts=True)
        print(f"{part:<10} {len(people):3} people, {len(rows):4} images, {counts.min()} to {counts.max()} of a person")
    return list(parts.values())


def load(path: str) -> np.ndarray:
    """Read one image, when a batch needs it: `(48, 48, 1)`, 0 to 255."""
    return keras.utils.img_to_array(keras.utils.load_img(path, color_mode="grayscale", target_size=(SIZE, SIZE)))


def balanced_batches(paths: np.ndarray, names: np.ndarray, steps: int) -> kbs.BalancedBatchSequence:
    """Batches with four images of each person, however many there are."""
    return kbs.BalancedBatchSequence(
        paths,
        names,
        classes_per_batch=min(32, len(np.unique(names))),
        samples_per_class=4,  # two images of a rare person come twice, and the augmentation makes the copies differ
        steps_per_epoch=steps,
        transform=load,
        batch_transform=kbs.RandomAffine(shift=2, rotation=0.1),
        workers=2,  # threads that read ahead
        seed=0,
    )


def fixed_pairs(paths: np.ndarray, names: np.ndarray) -> kbs.BalancedPairSequence:
    """Pairs for validation and test: the same ones every time, half of them of one person."""
    return kbs.BalancedPairSequence(paths, names, 128, steps_per_epoch=10, transform=load, redraw=False, seed=1)


def build_encoder() -> keras.Model:
    """A small network from an image to its embedding."""
    layers = keras.layers
    convolutions = [layers.Conv2D(n, 3, strides=2, padding="same", activation="relu") for n in (16, 32, 64)]
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 1)), layers.Rescaling(1 / 64, -2), *convolutions, layers.Flatten(), layers.Dense(32)],
        name="encoder",
    )


def draw_people(folder: Path, people: int) -> None:
    """Save 20 images of the first person, fewer of each next one, and two of the last."""
    rng = np.random.default_rng(0)
    for person, count in enumerate(np.geomspace(20, 2, people).round().astype(int)):
        face = rng.uniform(size=9)
        (folder / f"person-{person:03}").mkdir()
        for number in range(count):
            image = photograph(face, rng)
            keras.utils.save_img(folder / f"person-{person:03}" / f"{number:02}.png", image[..., None], scale=False)


def photograph(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One image of a face. Its place, the light and the background change from image to image."""
    head, hair, skin, eye_row, eye_gap, eye, nose, mouth_row, mouth = face
    ovals = [  # row, column, half height, half width, brightness
        (-0.06, 0, 0.42, 0.19 + 0.1 * head, 40 + 90 * hair),
        (0.06, 0, 0.38, 0.16 + 0.1 * head, 130 + 90 * skin),
        (0.12, 0, 0.04 + 0.08 * nose, 0.02, 110),
        (0.24 + 0.08 * mouth_row, 0, 0.025, 0.05 + 0.09 * mouth, 60),
        *((0.1 * eye_row - 0.05, side * (0.06 + 0.06 * eye_gap), 0.02 + 0.02 * eye, 0.035, 20) for side in (-1, 1)),
    ]
    rows, columns = np.indices((SIZE, SIZE)) / SIZE - 0.5 - rng.uniform(-0.06, 0.06, (2, 1, 1))
    image = np.full((SIZE, SIZE), rng.uniform(0, 60))
    for row, column, height, width, brightness in ovals:
        image[np.hypot((rows - row) / height, (columns - column) / width) < 1] = brightness
    light = rng.uniform(0.8, 1.2) + rng.uniform(-0.6, 0.6) * columns
    return (image * light + rng.normal(0, 8, image.shape)).clip(0, 255)


if __name__ == "__main__":
    main()
