"""Three ways to train on long-tailed digits: a plain Siamese network, balanced pairs, and balanced batches.

    pip install -e ".[tensorflow,examples]"
    python examples/quickstart.py

The script takes the handwritten digits of scikit-learn and thins out most classes (30 to 1). It trains one encoder in
three ways on as many images, and shows the error of each class on pairs of held-out samples:

- plain: pairs as the data come, `WeightedContrastiveLoss`.
- siamese: `BalancedPairSequence` with `RandomAffine`, embeddings of length 1, the same loss.
- recipe: `BalancedBatchSequence` with `RandomAffine`, `WeightedSupervisedContrastiveLoss` with `feature_transfer`.

The last two also have a cosine schedule of the learning rate; `--augment-plain` augments the plain network's images.

What to expect, mean error over ten seeds: rare classes 18 % plain, 12 % siamese, 8 % recipe; other classes 7 %, 5 % and
2 %. Single classes of four or five samples can still have a large error.

It writes `result.json`, `per_class_error.png`, `report.png` and `verifier.keras`: the recipe's model with a threshold
from validation pairs. `--data FILE.npz` takes other images or vectors `x` and class labels `y`; only images are
augmented.
"""

import argparse
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

IMAGES = 128  # in a step, at most
SHOWN_CLASSES = 30  # rows of the table and of the picture; of more classes only the rarest are shown
COLOURS = {"plain": "#8c8c8c", "siamese": "#56b4e9", "recipe": "#0072b2"}  # also distinct for colour-blind readers


class Split(NamedTuple):
    """Samples and their class labels."""

    x: np.ndarray
    y: np.ndarray


def main() -> None:
    """Train in three ways, compare, and save the recipe's model."""
    options = read_options()
    options.output.mkdir(parents=True, exist_ok=True)
    train, validation, test = long_tailed_splits(*load(options.data), options)
    models = {name: train_one(name, train, options) for name in COLOURS}
    reports = {name: evaluate(name, model, test, n_resamples=0) for name, model in models.items()}
    result = summary(train.y, reports, options)
    (options.output / "result.json").write_text(json.dumps(result, indent=2, default=str))
    print(f"\n{table(result)}")
    pairs = kbs.BalancedPairSequence(*validation, 256, steps_per_epoch=30, redraw=False, seed=2)
    similar = np.concatenate([pairs[k][1] for k in range(30)])
    threshold = kbs.calibrate(models["recipe"].predict(pairs, verbose=0), similar, operating_point="eer")
    report = evaluate("recipe", models["recipe"], test, threshold=threshold, class_counts=train.y)
    print(f"\nThe recipe at the threshold of validation pairs\n{report}")
    save_pictures(result, report, options.output)
    save_verifier(models["recipe"].get_layer("encoder"), threshold, pairs, options.output / "verifier.keras")
    print(f"Wrote result.json, pictures and verifier.keras to {options.output}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Three ways to train a Siamese network on long-tailed data")
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x and y to use instead of the digits")
    parser.add_argument("--imbalance", type=float, default=30.0, help="most common to rarest class (%(default)g)")
    parser.add_argument("--max-per-class", type=int, default=2000, help="training samples at most (%(default)d)")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each training (%(default)d)")
    parser.add_argument("--steps", type=int, default=60, help=f"steps of {IMAGES} images in an epoch (%(default)d)")
    parser.add_argument("--shift", type=int, default=0, help="augmentation: pixels at most (%(default)d)")
    parser.add_argument("--rotation", type=float, default=0.12, help="radians at most (%(default)g)")
    parser.add_argument("--scale", type=float, default=0.15, help="change of size at most (%(default)g)")
    parser.add_argument("--flip", action="store_true", help="mirror half of the images")
    parser.add_argument("--augment-plain", action="store_true", help="augment the plain network's images too")
    parser.add_argument("--seed", type=int, default=0, help="which classes become rare, and all else (%(default)d)")
    parser.add_argument("--output", type=Path, default=Path("quickstart_output"), metavar="DIR")
    return parser.parse_args()


def load(path: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The arrays `x` and `y` of a file, or 1,797 handwritten digits of 8 x 8 pixels."""
    if path is None:
        digits = load_digits()
        return digits.images.astype("float32")[..., None], digits.target
    with np.load(path, allow_pickle=False) as file:
        if missing := {"x", "y"}.difference(file.files):
            sys.exit(f"--data: {path} must hold the arrays x and y. Missing: {sorted(missing)}; it holds {file.files}")
        x, y = file["x"], file["y"]
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or len(x) != len(y) or x.ndim not in (2, 3, 4):
        sys.exit(
            "--data: x must be images (n, h, w) or (n, h, w, channels) or vectors (n, d), and y one label each, (n,). "
            f"{path} holds x of shape {x.shape} and y of shape {y.shape}"
        )
    return (x[..., None] if x.ndim == 3 else x), y


def long_tailed_splits(x: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> tuple[Split, Split, Split]:
    """A training set with a long tail, and validation and test samples, as many of each class."""
    rng = np.random.default_rng(options.seed)
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 8 or options.imbalance < 1:
        sys.exit(f"Each class needs at least 8 samples, not {counts.min()}, and the imbalance is at least 1")
    n_test, n_validation = min(200, counts.min() // 4), min(100, counts.min() // 6 + 1)
    largest = min(options.max_per_class, counts.max() - n_test - n_validation)
    sizes = largest * options.imbalance ** (-np.arange(len(classes)) / max(len(classes) - 1, 1))
    train, validation, test = [], [], []
    for label, size in zip(rng.permutation(classes), sizes, strict=True):
        members = rng.permutation(np.flatnonzero(y == label))
        test.append(members[:n_test])
        validation.append(members[n_test : n_test + n_validation])
        train.append(members[n_test + n_validation :][: max(2, round(size))])  # two samples form one pair
    return tuple(Split(x[rows], y[rows]) for rows in map(np.concatenate, (train, validation, test)))


def build_encoder(x: np.ndarray, unit_length: bool) -> keras.Model:
    """A small network from one sample to its embedding: convolutions for images, dense layers for vectors."""
    layers = keras.layers
    if x.ndim == 2:
        body = [layers.BatchNormalization(), layers.Dense(64, "relu"), layers.Dense(64, "relu")]
    else:
        mean, deviation = float(x.mean()), max(float(x.std()), 1e-6)
        body = [
            layers.Rescaling(1 / deviation, offset=-mean / deviation),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            *([layers.MaxPooling2D(2)] if x.shape[1] >= 16 else []),
            layers.Flatten(),
        ]
    body += [layers.Dropout(0.5), layers.Dense(32), *[layers.UnitNormalization()] * unit_length]
    return keras.Sequential([keras.Input(x.shape[1:]), *body], name="encoder")


def train_one(name: str, train: Split, options: argparse.Namespace) -> keras.Model:
    """Train in one of the three ways, and return a model from pairs to distances."""
    print(f"\nTraining: {name}")
    keras.utils.set_random_seed(options.seed)  # the same initial weights for all
    augmented = train.x.ndim > 2 and (name != "plain" or options.augment_plain)
    augment = kbs.RandomAffine(options.shift, options.rotation, options.scale, options.flip) if augmented else None
    common = {"steps_per_epoch": options.steps, "seed": options.seed, "batch_transform": augment}
    encoder = build_encoder(train.x, unit_length=name == "siamese")
    if name == "recipe":
        classes = min(10, len(np.unique(train.y)))
        data = kbs.BalancedBatchSequence(*train, classes, max(2, IMAGES // classes), **common)
        loss = kbs.WeightedSupervisedContrastiveLoss(feature_transfer=3)
        trained, model = encoder, kbs.siamese_model(encoder, kbs.CosineDistance())
    else:
        shares = "natural" if name == "plain" else "balanced"
        data = kbs.BalancedPairSequence(*train, IMAGES // 2, class_sampling=shares, **common)
        loss = kbs.WeightedContrastiveLoss(margin=1.0)
        trained = model = kbs.siamese_model(encoder)
    rate = 1e-3 if name == "plain" else keras.optimizers.schedules.CosineDecay(2e-3, options.epochs * options.steps)
    trained.compile(keras.optimizers.Adam(rate), loss)
    trained.fit(data, epochs=options.epochs, verbose=2)
    return model


def evaluate(name: str, model: keras.Model, test: Split, **options: Any) -> kbs.PairReport:
    """The verification figures of all test pairs, for each class."""
    points = model.get_layer("encoder").predict(test.x, verbose=0)
    distance = "cosine" if name == "recipe" else "euclidean"
    return kbs.evaluate_embeddings(points, test.y, distance=distance, resample="samples", **options)


def summary(y: np.ndarray, reports: dict[str, kbs.PairReport], options: argparse.Namespace) -> dict[str, Any]:
    """What the table and the picture show, as JSON takes it; the rarest third of the classes is rare."""
    classes, counts = np.unique(y, return_counts=True)
    order = np.lexsort((classes, counts))
    labels, rare = classes[order].tolist(), -(-len(classes) // 3)
    errors = {name: [report.per_class[label]["error"] for label in labels] for name, report in reports.items()}
    return {
        "means": {
            name: {"rare": float(np.mean(e[:rare])), "others": float(np.mean(e[rare:])), "eer": reports[name].eer}
            for name, e in errors.items()
        },
        "per_class": [
            {"class": label, "trained on": n, "rare": k < rare, **{name: e[k] for name, e in errors.items()}}
            for k, (label, n) in enumerate(zip(labels, counts[order].tolist(), strict=True))
        ],
        "settings": vars(options),
        "versions": {"backend": keras.backend.backend(), **{name: version(name) for name in ("keras", "numpy")}},
    }


def table(result: dict[str, Any]) -> str:
    """The errors of each class, the rarest first, and their means."""
    rows, more = result["per_class"][:SHOWN_CLASSES], len(result["per_class"]) - SHOWN_CLASSES
    lines = [(f"{row['class']} {'*' if row['rare'] else ' '}", f"{row['trained on']:,}", row) for row in rows]
    lines += [(f"... and {more} more common classes", "", {})] if more > 0 else []
    titles = {"rare": "mean of rare classes *", "others": "mean of the others", "eer": "equal error rate"}
    for figure, title in titles.items():
        lines.append((title, "", {name: means[figure] for name, means in result["means"].items()}))
    width = max(len(title) for title, *_ in lines)
    head = "Verification error of each class on all pairs of held-out samples,\nat each model's equal-error threshold"
    text = [f"{head} (* rare class)", f"{'class':<{width}}  trained on" + "".join(f"{name:>9}" for name in COLOURS)]
    for title, n, errors in lines:
        text.append(f"{title:<{width}}  {n:>10}" + "".join(f"{errors[name]:9.1%}" for name in COLOURS if errors))
    return "\n".join([*text, "", headline(result)])


def headline(result: dict[str, Any]) -> str:
    """The sentence to remember."""
    plain, siamese, recipe = (result["means"][name]["rare"] for name in COLOURS)
    return f"Rare classes: error {plain:.0%} plain, {siamese:.0%} with balanced pairs, {recipe:.0%} with the recipe"


def save_pictures(result: dict[str, Any], report: kbs.PairReport, folder: Path) -> None:
    """A bar for each class and model, the rarest class on top; and a page with the figures of the recipe."""
    rows = result["per_class"][:SHOWN_CLASSES][::-1]
    figure = Figure(figsize=(8, 1.8 + 0.5 * len(rows)), layout="constrained")
    axes, places = figure.subplots(), np.arange(len(rows))
    for k, (name, colour) in enumerate(COLOURS.items()):
        axes.barh(places + 0.27 * (1 - k), [100 * row[name] for row in rows], 0.26, color=colour, label=name)
    axes.set_yticks(places, [f"{row['class']}{' *' if row['rare'] else ''}  ({row['trained on']:,})" for row in rows])
    axes.set(ylim=(-0.5, len(rows) - 0.5), ylabel="class (training samples), * rare", xlabel="verification error, %")
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    figure.suptitle(headline(result), fontsize=12, weight="bold")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(folder / "per_class_error.png", dpi=120)
    page = kbs.plot_report(report, title="The recipe: test pairs at the threshold of the validation pairs")
    page.savefig(folder / "report.png", dpi=120)


def save_verifier(encoder: keras.Model, threshold: keras.layers.Layer, pairs: Any, path: Path) -> None:
    """Write encoder, distance and threshold as one model, open it again, and decide on some pairs."""
    kbs.siamese_model(encoder, kbs.CosineDistance(), probability=threshold).save(path)
    verifier = keras.models.load_model(path)  # in a new process, `import keras_balanced_siamese` is all that it needs
    (left, right), similar, _ = pairs[0]
    right_share = np.mean((verifier.predict((left, right), verbose=0) >= 0.5) == similar)
    print(f"\n{path.name}, loaded again, is right for {right_share:.0%} of {len(similar)} validation pairs")


if __name__ == "__main__":
    main()
