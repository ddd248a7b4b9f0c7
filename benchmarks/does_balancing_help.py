"""Does balancing help rare classes? Plain Siamese networks, other packages, our parts and our recipe on equal terms.

    python benchmarks/does_balancing_help.py --data fashion_mnist.npz --json results.json

The command runs all arms that the installed packages allow, prints the table, and continues a file of results: run it
with PyTorch for pytorch-metric-learning, and in the lane addons with the same file for tensorflow-addons. A run takes
5 to 60 s on two cores; `--tasks`, `--arms` and `--orders` choose some.

Equal terms: for one task and one order of the classes, all arms have the same training images, encoder, initial
weights, optimizer (Adam), number of images and test pairs. Arms with "recipe's terms" also have the augmentation, the
embeddings of length 1 and the cosine schedule of the learning rate (from 0.002; otherwise 0.001) of our recipe.

The figures are those after the last step: the test pairs choose nothing, and the threshold of the errors comes from
validation samples. `feature_transfer=3` was chosen on the orders 0 to 2, of which none is in the default `--orders`.

- fashion 100, fashion 10: Fashion-MNIST, 4,000 training images of the most common class, 40 or 400 of the rarest.
- digits: the quickstart's, 30 to 1, from 1,797 images; the four rarest classes have 4 to 11.
- characters: drawn characters of 180 classes with 20 to 2 images. EER, AUC and recall are those of 60 unseen classes,
  "worst" is the mean of their worst tenth, and the rarest classes are the seen ones of at most 3 images.
"""

import argparse
import importlib
import importlib.util
import json
import os
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from many_classes import character_task, make_strokes, write

import keras_balanced_siamese as kbs

FIGURES = {  # name: title
    "eer": "EER",
    "auc": "AUC",
    "rarest": "AUC, rarest",
    "worst": "AUC, worst",
    "error": "error, rarest",
    "recall": "recall@1",
}
TASKS = ("fashion 100", "fashion 10", "digits", "characters")
Dataset = keras.utils.PyDataset if hasattr(keras.utils, "PyDataset") else keras.utils.Sequence


class Samples(NamedTuple):
    """Images and their class labels."""

    x: np.ndarray
    y: np.ndarray


class Task(NamedTuple):
    """The data and the budget of one task with one order of the classes."""

    train: Samples
    validation: Samples
    test: Samples
    rarest: Samples  # test images that contain the rarest classes
    rarest_classes: np.ndarray
    augment: kbs.RandomAffine
    steps: int
    classes: int  # in a balanced batch
    samples: int  # of each class there

    @property
    def images(self) -> int:
        """Images in a step."""
        return self.classes * self.samples


class Arm(NamedTuple):
    """A way to train: where the batches come from, and the loss."""

    batches: str
    loss: Callable[..., Any]
    space: str = "unit"  # embeddings: "free" or of length 1 ("unit"), or "cosine" if the loss is on cosines
    terms: bool = True  # of the recipe: augmentation and schedule
    augment: bool = True  # with `terms`
    package: str = ""
    adaptive: bool = False
    ceiling: bool = False  # on balanced data of the same size


def fashion(path: Path, ratio: int, order: int, balanced: bool) -> Task:
    """Fashion-MNIST, 4,000 images of the first class of the order; the rest of the classes have fewer and fewer."""
    with np.load(path) as file:
        x, y = file["x"], file["y"].astype(int)
    rng = np.random.default_rng(order)
    classes, sizes = rng.permutation(10), np.geomspace(4000, 4000 / ratio, 10).round().astype(int)
    if balanced:
        sizes = np.full(10, sizes.sum() // 10)
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for label, size in zip(classes, sizes, strict=True):
        members = rng.permutation(np.flatnonzero(y == label))
        for rows, chosen in zip(parts, (members[:size], members[5000:5500], members[6000:7000]), strict=True):
            rows.append(chosen)
    train, validation, test = (
        Samples(x[rows].astype("float32")[..., None] / 255, y[rows]) for rows in map(np.concatenate, parts)
    )
    return Task(train, validation, test, test, classes[-4:], kbs.RandomAffine(1, flip=True), 1000, 10, 13)


def digits(order: int, balanced: bool) -> Task:
    """The digits of scikit-learn with the sizes of the quickstart."""
    load_digits = importlib.import_module("sklearn.datasets").load_digits
    x, y = load_digits().images.astype("float32")[..., None] / 16, load_digits().target
    rng = np.random.default_rng(order)
    classes, smallest = rng.permutation(10), np.bincount(y).min()
    held, more = smallest // 4, smallest // 6 + 1
    sizes = ((np.bincount(y).max() - held - more) * 30.0 ** (-np.arange(10) / 9)).round().astype(int)
    if balanced:
        sizes = np.full(10, sizes.sum() // 10)
    train, validation, test = [], [], []
    for label, size in zip(classes, sizes, strict=True):
        members = rng.permutation(np.flatnonzero(y == label))
        test.append(members[:held])
        validation.append(members[held : held + more])
        train.append(members[held + more :][:size])
    parts = [Samples(x[rows], y[rows]) for rows in map(np.concatenate, (train, validation, test))]
    return Task(*parts, parts[2], classes[-4:], kbs.RandomAffine(rotation=0.12, scale=0.15), 360, 10, 13)


def characters(order: int, balanced: bool) -> Task:
    """Drawn characters: many small classes, and other classes in the test."""
    given = character_task(order)
    rng = np.random.default_rng([77, order])
    others = [make_strokes(rng) for _ in range(30)]
    validation = Samples(
        np.concatenate([write(one, 10, rng) for one in others])[..., None], np.repeat(np.arange(30), 10)
    )
    x, y = given.x, given.y
    unseen, seen = (Samples(*given.tests[name][:2]) for name in ("unseen", "seen"))
    if balanced:
        raise ValueError("More samples of these characters are not drawn: there is no ceiling")
    augment = kbs.RandomAffine(1, rotation=0.12, scale=0.1)
    return Task(Samples(x, y), validation, unseen, seen, given.tests["rare"][2], augment, 600, 32, 4)


def make_task(name: str, data: Path | None, order: int, balanced: bool) -> Task:
    """The task of this name."""
    if name == "digits":
        return digits(order, balanced)
    if name == "characters":
        return characters(order, balanced)
    if data is None:
        raise SystemExit(f"--data is missing: {name} needs a file of Fashion-MNIST with the arrays x and y")
    return fashion(data, int(name.split()[1]), order, balanced)


def make_encoder(shape: tuple[int, ...], unit_length: bool) -> keras.Model:
    """Three convolutions and a dense layer; images of 28 x 28 are halved twice."""
    layers, stride = keras.layers, 2 if shape[0] >= 16 else 1
    body = [
        layers.Conv2D(filters, 3, strides=by, padding="same", activation="relu")
        for filters, by in ((32, stride), (64, 2), (64, 1))
    ]
    end = [layers.UnitNormalization()] if unit_length else []
    return keras.Sequential([keras.Input(shape), *body, layers.Flatten(), layers.Dense(64), *end], name="encoder")


class Planned(Dataset):
    """Batches from the positions of their samples: pairs `(steps, n, 2)` with their labels, or samples `(steps, n)`."""

    def __init__(self, train: Samples, rows: np.ndarray, similar: np.ndarray | None, augment: Any, order: int):
        super().__init__()
        self.train, self.rows, self.similar, self.augment, self.order = train, rows, similar, augment, order

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        rng, rows = np.random.default_rng([self.order, index]), self.rows[index]
        sides = [self.train.x[side] for side in rows.reshape(len(rows), -1).T]
        if self.augment is not None:
            sides = [self.augment(side, rng) for side in sides]
        if self.similar is None:
            return sides[0], self.train.y[rows].astype("int32")
        return tuple(sides), self.similar[index].astype("float32")[:, None]


def any_pairs(task: Task, order: int) -> tuple[np.ndarray, np.ndarray]:
    """The usual loop: a random sample, and by the toss of a coin any other one of its class or of another class."""
    rng, y = np.random.default_rng(order), task.train.y
    n = task.steps * task.images // 2
    left, similar, right = rng.integers(len(y), size=n), rng.random(n) < 0.5, np.empty(n, int)
    for label in np.unique(y):
        for same in (True, False):
            rows = np.flatnonzero((y[left] == label) & (similar == same))
            right[rows] = rng.choice(np.flatnonzero((y == label) == same), len(rows))
    return np.stack([left, right], axis=1).reshape(task.steps, -1, 2), similar.reshape(task.steps, -1)


def example_pairs(task: Task, order: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of the example on keras.io: each sample with one of its class, and with one of a random other class."""
    rng, y = np.random.default_rng(order), task.train.y
    n = task.steps * task.images // 4 + 1
    members = {label: np.flatnonzero(y == label) for label in np.unique(y)}
    left, others = rng.integers(len(y), size=n), rng.permuted(np.tile(list(members), (n, 1)), axis=1)
    other = np.where(others[:, 0] == y[left], others[:, 1], others[:, 0])
    near = [rng.choice(members[label]) for label in y[left]]
    far = [rng.choice(members[label]) for label in other]
    pairs = np.concatenate([np.stack([left, near], axis=1), np.stack([left, far], axis=1)])
    chosen = rng.permutation(len(pairs))[: task.steps * (task.images // 2)]
    return pairs[chosen].reshape(task.steps, -1, 2), (chosen < n).reshape(task.steps, -1)


def any_samples(task: Task, order: int) -> np.ndarray:
    """Shuffled epochs, cut into batches."""
    rng, n = np.random.default_rng(order), task.steps * task.images
    rows = np.concatenate([rng.permutation(len(task.train.y)) for _ in range(n // len(task.train.y) + 1)])
    return rows[:n].reshape(task.steps, -1)


def metric_learning_samples(task: Task, order: int) -> np.ndarray:
    """The batches of pytorch-metric-learning's sampler: as many samples of each class."""
    samplers = importlib.import_module("pytorch_metric_learning.samplers")
    np.random.seed(order)  # noqa: NPY002 (it draws from the global state)
    n = task.steps * task.images
    sampler = samplers.MPerClassSampler(task.train.y, task.samples, task.images, n)
    return np.array(list(sampler))[:n].reshape(task.steps, -1)


def resampled_samples(task: Task, order: int) -> np.ndarray:
    """The samples of imbalanced-learn's generator, which takes as many of each class as the rarest has in an epoch."""
    generator = importlib.import_module("imblearn.keras").BalancedBatchGenerator
    rows, found, missing = np.arange(len(task.train.y))[:, None], [], task.steps * task.images
    smallest = np.unique(task.train.y, return_counts=True)[1]
    size = min(task.images, smallest.min() * len(smallest))  # it makes no batch if an epoch is smaller than one
    while sum(map(len, found)) < missing:
        batches = generator(rows, task.train.y, batch_size=size, random_state=1000 * order + len(found))
        found += [batches[k][0][:, 0] for k in range(len(batches))]
    return np.concatenate(found)[:missing].reshape(task.steps, -1)


PAIRS = {"any pairs": any_pairs, "keras.io pairs": example_pairs}
SAMPLES = {
    "any samples": any_samples,
    "MPerClassSampler": metric_learning_samples,
    "BalancedBatchGenerator": resampled_samples,
}


def contrastive(**options: Any) -> keras.losses.Loss:
    """The contrastive loss of a pair."""
    return kbs.WeightedContrastiveLoss(margin=1.0, **options)


def metric_learning(loss: str, miner: str = "", **mining: Any) -> Callable[..., Any]:
    """A loss of pytorch-metric-learning as a loss of Keras."""

    def make() -> Callable[..., Any]:
        package = "pytorch_metric_learning."
        compute = getattr(importlib.import_module(package + "losses"), loss)()
        mine = getattr(importlib.import_module(package + "miners"), miner)(**mining) if miner else None

        def of_batch(y_true: Any, y_pred: Any) -> Any:
            labels = y_true.reshape(-1).long()
            return compute(y_pred, labels, mine(y_pred, labels) if mine else None)

        return of_batch

    return make


def addons(loss: str) -> Callable[..., Any]:
    """A loss of tensorflow-addons."""
    return lambda: getattr(importlib.import_module("tensorflow_addons.losses"), loss)()


def ours(**options: Any) -> Callable[..., Any]:
    """Our supervised contrastive loss."""
    return lambda **weights: kbs.WeightedSupervisedContrastiveLoss(**options, **weights)


PML = "pytorch_metric_learning"
ARMS: dict[str, Arm] = {
    "plain pairs": Arm("any pairs", contrastive, "free", terms=False),
    "plain pairs, recipe's terms": Arm("any pairs", contrastive),
    "keras.io pairs and head": Arm("keras.io pairs", contrastive, "free", terms=False),
    "imbalanced-learn batches, contrastive, recipe's terms": Arm(
        "BalancedBatchGenerator", kbs.WeightedBatchContrastiveLoss, package="imblearn"
    ),
}
RIVALS = {
    "tensorflow-addons semi-hard triplets": Arm(
        "any samples", addons("TripletSemiHardLoss"), package="tensorflow_addons"
    ),
    "pytorch-metric-learning contrastive": Arm("MPerClassSampler", metric_learning("ContrastiveLoss"), package=PML),
    "pytorch-metric-learning semi-hard triplets": Arm(
        "MPerClassSampler",
        metric_learning("TripletMarginLoss", "TripletMarginMiner", type_of_triplets="semihard"),
        package=PML,
    ),
    "pytorch-metric-learning multi-similarity": Arm(
        "MPerClassSampler", metric_learning("MultiSimilarityLoss", "MultiSimilarityMiner"), "cosine", package=PML
    ),
    "pytorch-metric-learning supervised contrastive": Arm(
        "MPerClassSampler", metric_learning("SupConLoss"), "cosine", package=PML
    ),
}
for title, one in RIVALS.items():
    ARMS |= {title: one._replace(terms=False), f"{title}, recipe's terms": one}
ARMS |= {
    "ours: balanced pairs": Arm("balanced pairs", contrastive, "free", terms=False),
    "ours: balanced pairs, recipe's terms": Arm("balanced pairs", contrastive),
    "ours: the same, AdaptiveClassWeight": Arm("balanced pairs", contrastive, adaptive=True),
    "ours: weighted samples, contrastive, not augmented": Arm(
        "weighted samples", kbs.WeightedBatchContrastiveLoss, augment=False
    ),
    "ours: weighted samples, contrastive": Arm("weighted samples", kbs.WeightedBatchContrastiveLoss),
    "ours: balanced batches, contrastive": Arm("balanced batches", kbs.WeightedBatchContrastiveLoss),
    "ours: balanced batches, supervised contrastive": Arm("balanced batches", ours(), "cosine"),
    "ours: recipe, not augmented": Arm("balanced batches", ours(feature_transfer=3), "cosine", augment=False),
    "ours: recipe": Arm("balanced batches", ours(feature_transfer=3), "cosine"),
    "ceiling: the recipe on balanced data": Arm("balanced batches", ours(feature_transfer=3), "cosine", ceiling=True),
}


def train(arm: Arm, task: Task, order: int) -> keras.Model:
    """An encoder after all steps."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(order)
    encoder = make_encoder(task.train.x.shape[1:], unit_length=arm.space == "unit")
    augment = task.augment if arm.terms and arm.augment else None
    model = encoder
    options: dict[str, Any] = {"steps_per_epoch": task.steps // 10, "seed": order, "batch_transform": augment}
    epochs, callbacks = 10, []
    if arm.batches == "balanced pairs":
        data = kbs.BalancedPairSequence(*task.train, task.images // 2, **options)
        if arm.adaptive:
            callbacks = [kbs.AdaptiveClassWeight(data, validation_data=tuple(task.validation))]
    elif arm.batches == "balanced batches":
        data = kbs.BalancedBatchSequence(*task.train, task.classes, task.samples, **options)
    elif arm.batches in PAIRS:
        data, epochs = Planned(task.train, *PAIRS[arm.batches](task, order), augment, order), 1
    else:
        rows = SAMPLES.get(arm.batches, any_samples)(task, order)
        data, epochs = Planned(task.train, rows, None, augment, order), 1
    if "pairs" in arm.batches:
        model = with_example_head(encoder) if arm.batches == "keras.io pairs" else kbs.siamese_model(encoder)
    weights = {"class_weight": kbs.class_weights(task.train.y)} if arm.batches == "weighted samples" else {}
    rate = keras.optimizers.schedules.CosineDecay(2e-3, task.steps) if arm.terms else 1e-3
    model.compile(keras.optimizers.Adam(rate), arm.loss(**weights))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*a batch holds copies")
        model.fit(data, epochs=epochs, verbose=0, callbacks=callbacks)
    return encoder


def with_example_head(encoder: keras.Model) -> keras.Model:
    """The end of the network on keras.io: the distance, normalised over the batch, and a dense unit."""
    left, right = keras.Input(encoder.input_shape[1:]), keras.Input(encoder.input_shape[1:])
    distance = kbs.EuclideanDistance()([encoder(left), encoder(right)])
    unit = keras.layers.Dense(1, activation="sigmoid")
    return keras.Model([left, right], unit(keras.layers.BatchNormalization()(distance)))


def judge(encoder: keras.Model, task: Task, arm: Arm) -> dict[str, float]:
    """The figures of `FIGURES`."""

    def report(samples: Samples, threshold: float | None = None) -> kbs.PairReport:
        points = encoder.predict(samples.x, batch_size=1000, verbose=0)
        counts = {label: int((task.train.y == label).sum()) for label in np.unique(samples.y).tolist()}
        return kbs.evaluate_embeddings(
            points,
            samples.y,
            distance="cosine" if arm.space == "cosine" else "euclidean",
            class_counts=counts,
            threshold=threshold,
            n_resamples=0,
            max_pairs=400_000,
        )

    threshold = report(task.validation).eer_threshold
    test = report(task.test, threshold)
    rare = test if task.rarest is task.test else report(task.rarest, threshold)
    aucs = np.sort([one["roc_auc"] for one in test.per_class.values()])
    rarest = [rare.per_class[label] for label in task.rarest_classes.tolist()]
    return {
        "eer": test.eer,
        "auc": float(aucs.mean()),
        "rarest": float(np.mean([one["roc_auc"] for one in rarest])),
        "worst": float(aucs[: max(1, len(aucs) // 10)].mean()),
        "error": float(np.mean([one["error"] for one in rarest])),
        "recall": test.macro["recall@1"],
    }


def can_run(arm: Arm, task: str) -> bool:
    """Whether the packages are there, and the task has what the arm needs."""
    if task == "characters" and (arm.ceiling or arm.adaptive):
        return False  # no more images, and no validation images of the training classes
    if arm.package == PML and keras.backend.backend() != "torch":
        return False
    return not arm.package or importlib.util.find_spec(arm.package) is not None


def table(results: dict[str, Any], task: str) -> str:
    """The means of all orders of one task and the spread of the EER."""
    width = max(map(len, ARMS))
    lines = [
        f"\n{task}: mean of the class orders",
        f"{'':{width}}  {'EER of each order':28}"
        + "".join(f"{title:>15}" for title in FIGURES.values())
        + "   seconds",
    ]
    for arm in ARMS:
        runs = [run for run in results["runs"] if (run["task"], run["arm"]) == (task, arm)]
        if runs:
            means = [np.mean([run[figure] for run in runs]) for figure in FIGURES]
            each = " ".join(f"{run['eer']:.4f}" for run in sorted(runs, key=lambda run: run["order"]))
            seconds = np.mean([run["seconds"] for run in runs])
            lines.append(f"{arm:{width}}  {each:28}" + "".join(f"{mean:15.4f}" for mean in means) + f"{seconds:10.0f}")
    return "\n".join(lines)


def main() -> None:
    """Run what is not in the file yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="Fashion-MNIST: x (70000, 28, 28) and y (70000,)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results so far, which are continued")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--orders", nargs="+", type=int, default=[3, 4, 5])
    parser.add_argument("--table", action="store_true", help="only print what is in the file")
    options = parser.parse_args()
    results: dict[str, Any] = {"runs": []}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    done = {(run["task"], run["arm"], run["order"]) for run in results["runs"]}
    packages = ["keras", "numpy", keras.backend.backend()]
    for task_name in options.tasks:
        for order in () if options.table else options.orders:
            for name in options.arms:
                arm = ARMS[name]
                if (task_name, name, order) in done or not can_run(arm, task_name):
                    continue
                task = make_task(task_name, options.data, order, arm.ceiling)
                began = time.perf_counter()
                encoder = train(arm, task, order)
                seconds = time.perf_counter() - began
                run = {"task": task_name, "arm": name, "order": order, **judge(encoder, task, arm), "seconds": seconds}
                own = [arm.package.replace("imblearn", "imbalanced-learn")] if arm.package else []
                results["runs"].append({**run, "versions": {one: version(one) for one in [*packages, *own]}})
                print(", ".join(f"{k} {v:.4f}" if isinstance(v, float) else str(v) for k, v in run.items()), flush=True)
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1))
        print(table(results, task_name), flush=True)


if __name__ == "__main__":
    main()
