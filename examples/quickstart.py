"""Before and after on long-tailed digits: a plain Siamese network, then balanced pairs with adaptive class weights.

    pip install -e ".[tensorflow,examples]"
    python examples/quickstart.py

The script takes the handwritten digits of scikit-learn, thins out most classes (30 to 1), trains the same network twice
on the same number of pairs, and shows the verification error of each class: a table on the screen and
`per_class_error.png`; `report.png` shows the report of the balanced model. The balanced model is calibrated on
validation pairs, saved as `verifier.keras` and opened again in another process.

What to expect: the equal error rate falls, and the mean error of the rare classes by about a third. Single classes of
four or five samples, which form 6 or 10 pairs, can still have a large error. The gain comes from the balanced pairs; on
those, adaptive weights add little. It is a gain for a given budget: on these few digits, four times the steps
(`--epochs 24`) let the plain network catch up almost or altogether.

Other data: `--data FILE.npz` with images or vectors `x` and class labels `y`.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

BATCH_SIZE = 64
SHOWN_CLASSES = 30  # rows of the table and of the picture; of more classes only the rarest are shown
GREY, BLUE = "#8c8c8c", "#0072b2"  # apart for colour-blind readers, and in print


class Split(NamedTuple):
    """Samples and their class labels."""

    x: np.ndarray
    y: np.ndarray


class Comparison(NamedTuple):
    """What the table and the picture show."""

    counts: dict[Any, int]  # training samples of each class, the rarest first
    rare: list[Any]  # the rarest third of the classes
    plain: kbs.PairReport
    balanced: kbs.PairReport


def main() -> None:
    """Train both models, compare them, save the balanced one and try it in a fresh process."""
    began = time.perf_counter()
    options = read_options()
    if options.verify:
        verify(options.verify)
        return
    options.output.mkdir(parents=True, exist_ok=True)
    x, y = load_digits() if options.data is None else load_npz(options.data)
    train, validation, test = long_tailed_splits(x, y, options)

    plain_pairs = kbs.BalancedPairSequence(
        *train, BATCH_SIZE, steps_per_epoch=options.steps, class_sampling="natural", seed=options.seed
    )
    print("\nPlain: pairs as the data come")
    plain = train_siamese(plain_pairs, train.x, options)

    balanced_pairs = kbs.BalancedPairSequence(
        *train, BATCH_SIZE, steps_per_epoch=options.steps, class_sampling="balanced", seed=options.seed
    )
    adaptive = kbs.AdaptiveClassWeight(balanced_pairs, validation_data=tuple(validation))
    print("\nBalanced pairs, adaptive class weights")
    balanced = train_siamese(balanced_pairs, train.x, options, [adaptive])

    test_pairs = fixed_pairs(test, seed=1)
    print(f"\nThe balanced training drew these pairs\n{balanced_pairs.describe()}")
    result = compare(train.y, evaluate(plain, test_pairs), evaluate(balanced, test_pairs))
    print(f"\n{table(result)}")
    save_picture(result, options.output / "per_class_error.png")

    layer = calibrate(balanced, fixed_pairs(validation, seed=2))
    report = evaluate(balanced, test_pairs, threshold=layer, class_counts=train.y)
    print(f"\nThe balanced model at the threshold of the validation pairs\n{report}")
    save_report(report, options.output / "report.png")
    save_verifier(balanced, layer, test, test_pairs, options.output)
    print(f"\nWrote pictures and verifier.keras to {options.output}. A fresh process opens the model:\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__, "--verify", str(options.output / "verifier.keras")], check=True)
    print(f"\nDone in {time.perf_counter() - began:.0f} s")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Plain against balanced Siamese network on long-tailed data")
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x and y to use instead of the digits")
    parser.add_argument("--imbalance", type=float, default=30.0, help="most common to rarest class (%(default)g)")
    parser.add_argument("--max-per-class", type=int, default=2000, help="training samples at most (%(default)d)")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each training (%(default)d)")
    parser.add_argument("--steps", type=int, default=60, help="batches of 64 pairs in an epoch (%(default)d)")
    parser.add_argument("--seed", type=int, default=0, help="which classes become rare, and all else (%(default)d)")
    parser.add_argument("--output", type=Path, default=Path("quickstart_output"), metavar="DIR")
    parser.add_argument("--verify", type=Path, metavar="FILE.keras", help="only open a saved model and try it")
    options = parser.parse_args()
    if not options.imbalance >= 1:
        parser.error(f"--imbalance must be at least 1, not {options.imbalance:g}")
    return options


# Data


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 handwritten digits of 8 x 8 pixels, which scikit-learn brings along."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        sys.exit('The digits come with scikit-learn: pip install -e ".[examples]", or pass --data FILE.npz')
    digits = load()
    return digits.images.astype("float32"), digits.target


def load_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The arrays `x` (images get a channel axis later) and `y` of a file."""
    if not path.is_file():
        sys.exit(f"--data: there is no file {path}")
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in ("x", "y") if name not in file.files]
        if missing:
            sys.exit(f"--data: {path} must hold the arrays x and y. Missing: {missing}; it holds {file.files}")
        x, y = file["x"], file["y"]
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or len(x) != len(y) or x.ndim not in (2, 3, 4):
        sys.exit(
            "--data: x must be images (n, h, w) or (n, h, w, channels) or vectors (n, d), and y one label each, (n,). "
            f"{path} holds x of shape {x.shape} and y of shape {y.shape}"
        )
    return x, y


def long_tailed_splits(x: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> tuple[Split, Split, Split]:
    """Held-out validation and test samples, as many of each class, and a training set with a long tail."""
    rng = np.random.default_rng(options.seed)
    if x.ndim == 3:
        x = x[..., None]
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 8:
        sys.exit(f"Each class needs at least 8 samples. {classes[counts.argmin()]!r} has {counts.min()}")
    n_test, n_validation = min(200, counts.min() // 4), min(100, counts.min() // 6 + 1)
    largest = min(options.max_per_class, counts.max() - n_test - n_validation)
    sizes = largest * options.imbalance ** (-np.arange(len(classes)) / max(len(classes) - 1, 1))
    train, validation, test = [], [], []
    for label, size in zip(rng.permutation(classes), sizes, strict=True):
        members = rng.permutation(np.flatnonzero(y == label))
        test.append(members[:n_test])
        validation.append(members[n_test : n_test + n_validation])
        train.append(members[n_test + n_validation :][: max(2, round(size))])  # two make one pair
    return tuple(Split(x[rows], y[rows]) for rows in map(np.concatenate, (train, validation, test)))


def fixed_pairs(samples: Split, seed: int) -> kbs.BalancedPairSequence:
    """Pairs for measuring: each class as often as any other, the same ones every time."""
    steps = int(np.clip(3 * len(np.unique(samples.y)), 8, 100))
    return kbs.BalancedPairSequence(*samples, 256, steps_per_epoch=steps, redraw=False, seed=seed)


# Model


def build_encoder(x: np.ndarray) -> keras.Model:
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
    # dropout: the few samples of a rare class are soon known by heart
    return keras.Sequential([keras.Input(x.shape[1:]), *body, layers.Dropout(0.5), layers.Dense(32)], name="encoder")


def train_siamese(
    pairs: kbs.BalancedPairSequence, x: np.ndarray, options: argparse.Namespace, callbacks: list[Any] | None = None
) -> keras.Model:
    """Train a new model; the seed gives every one the same initial weights."""
    keras.utils.set_random_seed(options.seed)
    model = kbs.siamese_model(build_encoder(x))
    model.compile(keras.optimizers.Adam(1e-3), kbs.WeightedContrastiveLoss(margin=1.0))
    callbacks = [*(callbacks or []), keras.callbacks.LambdaCallback(on_epoch_end=print_progress)]
    model.fit(pairs, epochs=options.epochs, verbose=0, callbacks=callbacks)
    return model


def print_progress(epoch: int, logs: dict[str, float]) -> None:
    """One short line an epoch."""
    print(f"  epoch {epoch + 1:2d}  loss {logs['loss']:.4f}", flush=True)


# Results


def indices_of(pairs: kbs.BalancedPairSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left samples, right samples and whether they are similar, `(n,)` each."""
    left, right, similar = zip(*(pairs.indices(batch) for batch in range(len(pairs))), strict=True)
    return np.concatenate(left), np.concatenate(right), np.concatenate(similar)


def evaluate(model: keras.Model, pairs: kbs.BalancedPairSequence, **options: Any) -> kbs.PairReport:
    """How well the model tells the pairs apart, for each class."""
    left, right, similar = indices_of(pairs)
    labels, samples = np.array(pairs.classes)[pairs.labels], np.stack([left, right], axis=1)
    return kbs.evaluate_pairs(
        model.predict(pairs, verbose=0),
        similar,
        classes=labels[samples],
        samples=samples,
        resample="samples",
        **options,
    )


def calibrate(model: keras.Model, pairs: kbs.BalancedPairSequence) -> kbs.DistanceToProbability:
    """The layer that turns distances into decisions."""
    return kbs.calibrate(model.predict(pairs, verbose=0), indices_of(pairs)[2], operating_point="eer")


def compare(y_train: np.ndarray, plain: kbs.PairReport, balanced: kbs.PairReport) -> Comparison:
    """Put both reports beside the number of training samples."""
    classes, counts = np.unique(y_train, return_counts=True)
    by_count = sorted(zip(counts.tolist(), classes.tolist(), strict=True))
    rare = [label for _, label in by_count[: -(-len(by_count) // 3)]]
    return Comparison({label: count for count, label in by_count}, rare, plain, balanced)


def mean_error(report: kbs.PairReport, labels: list[Any]) -> float:
    """Mean error of some classes."""
    return float(np.mean([report.per_class[label]["error"] for label in labels]))


def table(result: Comparison) -> str:
    """The errors of each class before and after, the rarest first."""
    common = [label for label in result.counts if label not in result.rare]
    shown = list(result.counts)[:SHOWN_CLASSES]
    width = max(24, *(len(str(label)) + 2 for label in shown))
    lines = [
        "Verification error of each class on held-out, balanced pairs,",
        "at the common equal-error threshold of each model (* rare class)",
        f"{'class':<{width}}  trained on   plain  balanced + adaptive",
    ]
    for label in shown:
        name = f"{label} {'*' if label in result.rare else ' '}"
        before, after = result.plain.per_class[label]["error"], result.balanced.per_class[label]["error"]
        lines.append(f"{name:<{width}}  {result.counts[label]:10,}  {before:6.1%}  {after:19.1%}")
    if len(result.counts) > len(shown):
        lines.append(f"... and {len(result.counts) - len(shown)} more common classes")
    summary = {
        "mean of rare classes *": (mean_error(result.plain, result.rare), mean_error(result.balanced, result.rare)),
        "mean of the others": (mean_error(result.plain, common), mean_error(result.balanced, common)),
        "equal error rate": (result.plain.eer, result.balanced.eer),
        "area under ROC curve": (result.plain.roc_auc, result.balanced.roc_auc),
    }
    lines += [f"{name:<{width}}  {'':10}  {before:6.1%}  {after:19.1%}" for name, (before, after) in summary.items()]
    return "\n".join(lines)


def save_picture(result: Comparison, path: Path) -> None:
    """A bar for each class and model, the rarest class on top."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('No picture without matplotlib: pip install -e ".[examples]"')
        return
    shown = list(result.counts)[:SHOWN_CLASSES][::-1]
    rows = np.arange(len(shown))
    figure = Figure(figsize=(7, 1.6 + 0.42 * len(shown)), layout="constrained")
    axes = figure.subplots()
    n_rare = sum(label in result.rare for label in shown)
    axes.axhspan(len(shown) - n_rare - 0.5, len(shown) - 0.5, color="#f6ead2", label="rare classes", zorder=0)
    for report, name, colour, shift in (
        (result.plain, "plain", GREY, 0.2),
        (result.balanced, "balanced + adaptive", BLUE, -0.2),
    ):
        errors = [100 * report.per_class[label]["error"] for label in shown]
        axes.barh(rows + shift, errors, 0.38, color=colour, label=name, zorder=2)
    axes.set_yticks(
        rows, [f"{label}{' *' if label in result.rare else ''}  ({result.counts[label]:,})" for label in shown]
    )
    axes.set_ylim(-0.5, len(shown) - 0.5)
    axes.set_ylabel("class (training samples)", fontsize=13)
    axes.set_xlabel("verification error, %", fontsize=13)
    axes.tick_params(labelsize=13)
    axes.grid(axis="x", color="#dddddd", zorder=1)
    axes.spines[["top", "right"]].set_visible(False)
    before, after = mean_error(result.plain, result.rare), mean_error(result.balanced, result.rare)
    axes.set_title(f"Rare classes: error {before:.0%} to {after:.0%}", fontsize=17, weight="bold")
    figure.legend(loc="outside lower center", ncols=3, fontsize=13, frameon=False)
    figure.savefig(path, dpi=120)


def save_report(report: kbs.PairReport, path: Path) -> None:
    """One page with the main figures of the balanced model."""
    try:
        figure = kbs.plot_report(report, title="Balanced pairs: test pairs at the threshold of the validation pairs")
    except ImportError:
        return
    figure.savefig(path, dpi=120)


# The saved model


def save_verifier(
    model: keras.Model, layer: kbs.DistanceToProbability, test: Split, pairs: kbs.BalancedPairSequence, folder: Path
) -> None:
    """Write encoder, distance and threshold as one model, and beside it some test pairs and their probabilities."""
    verifier = kbs.siamese_model(model.get_layer("encoder"), probability=layer)
    verifier.save(folder / "verifier.keras")
    left, right, similar = (values[:8] for values in indices_of(pairs))
    np.savez(
        folder / "verifier_pairs.npz",
        left=test.x[left],
        right=test.x[right],
        labels=np.stack([test.y[left], test.y[right]], axis=1),
        similar=similar,
        probabilities=verifier.predict((test.x[left], test.x[right]), verbose=0)[:, 0],
    )


def verify(path: Path) -> None:
    """Open a saved model and decide on some pairs; importing keras_balanced_siamese is all that it needs."""
    verifier = keras.models.load_model(path)
    with np.load(path.with_name("verifier_pairs.npz"), allow_pickle=False) as file:
        saved = dict(file)
    probabilities = verifier.predict((saved["left"], saved["right"]), verbose=0)[:, 0]
    difference = np.abs(probabilities - saved["probabilities"]).max()
    chosen = verifier.get_layer("probability").calibration
    print(
        f"{path.name}: operating point {chosen['operating_point']!r} of "
        f"{chosen['n_similar'] + chosen['n_different']:,} validation pairs, "
        f"false accept rate {chosen['false_accept_rate']:.3f}"
    )
    for (left, right), truth, probability in zip(saved["labels"], saved["similar"], probabilities, strict=True):
        decision = "same" if probability >= 0.5 else "different"
        verdict = "right" if (decision == "same") == bool(truth) else "WRONG"
        print(f"  {left!s:>10} and {right!s:<10}  probability {probability:.3f}  -> {decision:<9}  {verdict}")
    print(f"Probabilities differ from those before saving by {difference:.1g} at most")


if __name__ == "__main__":
    main()
