"""Results of losses on bad batches: of ours, of pytorch-metric-learning's (PML) and of tensorflow-addons' (TFA).

Run with `KERAS_BACKEND=... python benchmarks/hazards.py`. The rivals are used if they are installed: pytorch-metric-
learning with PyTorch, tensorflow-addons with TensorFlow. `--no-compile` leaves out the compiled losses, which take
PyTorch some minutes. `--json FILE` writes the verdicts too. A batch has 32 items of 4 classes in 4 dimensions.

- ok: value and gradient are finite, the gradient is 0 where no pair is valid, and the value is right within 1e-3 (5e-2
  in half precision) where there is a reference: loops over the same formula in float64, for the Euclidean losses.
- NaN loss, inf, NaN gradient: what is not finite. huge gradient: beyond a million. hides NaN: one went in, and the loss
  is a number.
- wrong: the value is off. broadcasts: it is another one for labels (B, 1), or there is one for one-hot labels.
- pulls together, pushes apart: a gradient where the batch has a single class, or no positive pair. The latter may be
  meant, as the negative pairs are there; ours leaves out an anchor that has no positive.
- refuses: an error, where there should be one. raises: an error, where there should be none.
- A loss on pairs gets each item with the next one. Whether all are similar is nothing to it: any gradient is ok then.
- compiled: all the batches of this size in float32 by the compiled loss; ok if each verdict is as before.

Losses are called directly, and not by `fit`, on the device that the backend chooses.
"""

import argparse
import importlib
import json
import math
import warnings

import keras
import numpy as np
from loss_step import mined

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops

WIDTH, SIZE, CLASSES = 120, 32, 4
BACKEND = keras.backend.backend()
WITHOUT_PAIRS = ("no positive pair", "a single class", "batch of 1")


def hazards():
    """Name -> labels, embeddings, and the form in which the loss gets the labels."""
    rng = np.random.default_rng(0)
    y, x = np.arange(SIZE) // 2 % CLASSES, rng.normal(size=(SIZE, 4)).astype("float32") / 2
    zeros, broken = np.where(np.arange(SIZE)[:, None] % 3, x, np.float32(0)), x.copy()
    broken[5, 1] = np.nan
    single, different, alone = np.zeros(SIZE, int), np.arange(SIZE), np.where(np.arange(SIZE) == 3, CLASSES, y)
    found = {
        "an ordinary batch": (y, x),
        "equal embeddings": (y, np.ones_like(x)),
        "duplicated rows": (y, x[np.arange(SIZE) // 3]),
        "some zero vectors": (y, zeros),
        "all zero": (y, np.zeros_like(x)),
        "scale 1e4": (y, x * np.float32(1e4)),
        "scale 1e-4": (y, x * np.float32(1e-4)),
        "around 1000, 0.1 apart": (y, (1000 + x / 5).astype("float32")),
        "one anchor without positive": (alone, x),
        "no positive pair": (different, x),
        "a single class": (single, x),
        "NaN in an embedding": (y, broken),
        "NaN, no positive pair": (different, broken),
        "NaN, a single class": (single, broken),
        "batch of 1": (y[:1], x[:1]),
        "labels (B, 1)": (y, x, lambda y: y[:, None]),
        "float labels": (y, x, lambda y: y.astype("float32")),
        "bool labels": (y % 2, x, lambda y: y.astype(bool)),
        "one-hot labels": (y, x, lambda y: np.eye(CLASSES, dtype="float32")[y]),
        "float16": (y, x.astype("float16")),
        "bfloat16": (y, x),
    }
    return {name: (*given, np.asarray)[:3] for name, given in found.items()}


def slow(labels, x, name):
    """The value of some losses by loops in float64; `None` for the others, and where no anchor counts."""
    d = [[math.dist(a, b) for b in x.astype("float64")] for a in x.astype("float64")]
    if name == "pair":
        ring = [(labels[a], d[a][(a + 1) % len(d)]) for a in range(len(d))]
        return np.mean([v * v if similar else max(1 - v, 0) ** 2 for similar, v in ring])
    near, far, hard, semi, every = [], [], [], [], []
    for a in range(len(d)):
        positive = [d[a][b] for b in range(len(d)) if b != a and labels[b] == labels[a]]
        negative = sorted(d[a][b] for b in range(len(d)) if labels[b] != labels[a])
        if positive and negative:
            near, far = near + positive, far + [max(1 - v, 0) for v in negative]
            hard.append(max(positive) - negative[0])
            semi += [p - next((v for v in negative if v > p), negative[-1]) for p in positive]
            every += [p - v for p in positive for v in negative]
    if not near:
        return None
    near, far, hard, semi, every = map(np.array, (near, far, hard, semi, every))

    def used(values):  # the mean of those above 0
        return np.sum(np.maximum(values, 0)) / max(np.sum(values > 0), 1)

    return {
        "contrastive": ((near**2).mean() + (far**2).mean()) / 2,
        "contrastive, not squared": used(near) + used(far),
        "hard": np.maximum(hard + 1, 0).mean(),
        "hard, used": used(hard + 1),
        "soft": np.logaddexp(0, hard).mean(),
        "semi-hard": np.maximum(semi + 1, 0).mean(),
        "every semi-hard": used(np.where(every < 0, every + 1, 0)),
        "all": used(every + 1),
    }.get(name)


def on_pairs(loss, layer):
    """A loss on pairs as one on a batch: each item with the next one, in the dtype of the embeddings."""
    layers = {dtype: layer(dtype) for dtype in ("bfloat16", "float16", "float32")}

    def function(y, x):
        dtype = next(name for name in layers if name in str(x.dtype))
        return loss(y, layers[dtype]([x, ops.concatenate([x[1:], x[:1]], axis=0)]))

    return function


def ours():
    """Loss -> function of labels and embeddings, and the name of its reference."""

    def probability(dtype):
        distance, logistic = kbs.EuclideanDistance(dtype=dtype), kbs.DistanceToProbability()
        logistic.build((None, 1))
        return lambda sides: logistic(distance(sides))

    triplet, similarity = kbs.WeightedTripletLoss, kbs.WeightedMultiSimilarityLoss
    return {
        "contrastive, pairs": (
            on_pairs(kbs.WeightedContrastiveLoss(), lambda dtype: kbs.EuclideanDistance(dtype=dtype)),
            "pair",
        ),
        "cosine, pairs": (on_pairs(kbs.WeightedCosineLoss(), lambda dtype: kbs.CosineDistance(dtype=dtype)), None),
        "cross-entropy, pairs": (on_pairs(kbs.WeightedBinaryCrossentropy(), probability), None),
        "contrastive": (kbs.WeightedBatchContrastiveLoss(), "contrastive"),
        "triplet, semi-hard": (triplet(), "semi-hard"),
        "triplet, hard": (triplet(mining="hard"), "hard"),
        "triplet, soft hard": (triplet("soft", mining="hard"), "soft"),
        "triplet, all": (triplet(mining="all"), "all"),
        "supervised contrastive": (kbs.WeightedSupervisedContrastiveLoss(), None),
        "multi-similarity": (similarity(), None),
        "multi-similarity, not mined": (similarity(epsilon=None), None),
    }


def rivals():
    """The name of the package, and its counterparts as in `ours`."""
    if BACKEND == "torch" and importlib.util.find_spec("pytorch_metric_learning"):
        losses = importlib.import_module("pytorch_metric_learning.losses")
        miners = importlib.import_module("pytorch_metric_learning.miners")
        distance = importlib.import_module("pytorch_metric_learning.distances").LpDistance(normalize_embeddings=False)
        triplet, similarity = losses.TripletMarginLoss(1.0, distance=distance), losses.MultiSimilarityLoss(2, 50, 0.5)
        soft, hardest = losses.TripletMarginLoss(0.0, smooth_loss=True, distance=distance), miners.BatchHardMiner
        semi_hard = miners.TripletMarginMiner(1.0, "semihard", distance=distance)

        def plain(loss):
            return lambda y, x: loss(x, y)

        return "PML", {
            "contrastive": (plain(losses.ContrastiveLoss(0.0, 1.0, distance=distance)), "contrastive, not squared"),
            "triplet, semi-hard": (mined(triplet, semi_hard), "every semi-hard"),
            "triplet, hard": (mined(triplet, hardest(distance=distance)), "hard, used"),
            "triplet, soft hard": (mined(soft, hardest(distance=distance)), "soft"),
            "triplet, all": (plain(triplet), "all"),
            "supervised contrastive": (plain(losses.SupConLoss(0.1)), None),
            "multi-similarity": (mined(similarity, miners.MultiSimilarityMiner(0.1)), None),
            "multi-similarity, not mined": (plain(similarity), None),
        }
    if BACKEND == "tensorflow" and importlib.util.find_spec("tensorflow_addons"):
        addons, tf = importlib.import_module("tensorflow_addons").losses, importlib.import_module("tensorflow")
        norm = on_pairs(addons.ContrastiveLoss(), lambda _: lambda sides: tf.linalg.norm(sides[0] - sides[1], axis=1))
        return "TFA", {
            "contrastive, pairs": (norm, "pair"),  # the distances, of the shape (B,), as its documentation has them
            "triplet, semi-hard": (addons.TripletSemiHardLoss(), "semi-hard"),
            "triplet, hard": (addons.TripletHardLoss(), "hard"),
            "triplet, soft hard": (addons.TripletHardLoss(soft=True), "soft"),
        }
    return "", {}


def differentiate(function, compiled=False):
    """`(labels, x, dtype) -> value, gradient` of a function of labels and embeddings."""
    module = importlib.import_module(BACKEND)
    if BACKEND == "jax":
        both = module.value_and_grad(lambda x, y: function(y, x))
        both = module.jit(both) if compiled else both

        def found(y, x, dtype):
            return both(module.numpy.asarray(x, dtype), module.numpy.asarray(y))

    elif BACKEND == "torch":
        run = module.compile(function) if compiled else function

        def found(y, x, dtype):
            leaf = module.tensor(x).to(getattr(module, dtype)).requires_grad_()
            value = run(module.tensor(y), leaf)
            value.backward()
            return value.detach().float(), leaf.grad.float()
    else:

        def graph(y, x):
            with module.GradientTape() as tape:
                tape.watch(x)
                value = function(y, x)
            return value, module.convert_to_tensor(tape.gradient(value, x))

        run = module.function(graph, jit_compile=True) if compiled else graph

        def found(y, x, dtype):
            return [module.cast(one, "float32") for one in run(module.constant(y), module.cast(x, dtype))]

    return lambda *given: [np.asarray(one, "float64") for one in found(*given)]


def judge(hazard, run, case, reference, plain, invalid):
    """The verdict on a loss and a hazard; `plain` is the value of the ordinary batch, `invalid` has no valid pairs."""
    labels, x, form = case
    half = "float16" in hazard
    try:
        value, slope = run(form(labels), x, hazard if half else "float32")
    except Exception as error:
        return "refuses" if hazard == "one-hot labels" else f"raises {type(error).__name__}"
    if hazard.startswith("NaN"):
        return "ok" if np.isnan(value) else "hides NaN"
    if hazard == "one-hot labels" or (hazard == "labels (B, 1)" and not math.isclose(value, plain, rel_tol=1e-4)):
        return "broadcasts"
    if not np.isfinite(value):
        return "NaN loss" if np.isnan(value) else "inf"
    if not np.isfinite(slope).all():
        return "NaN gradient"
    if np.abs(slope).max() > 1e6:
        return "huge gradient"
    if hazard in invalid:
        return moves(x, slope) if slope.any() else "ok"
    expected = plain if half or hazard == "float labels" else slow(labels, x, reference)
    close = expected is None or math.isclose(value, expected, rel_tol=5e-2 if half else 1e-3, abs_tol=1e-6)
    return "ok" if close else "wrong"


def moves(x, slope):
    """Where a small step against the gradient leads: whether all distances, or those of the directions, shrink."""

    def spread(x):
        directions = x / np.linalg.norm(x, axis=1, keepdims=True)
        return np.array([np.linalg.norm(one[:, None] - one, axis=-1).sum() for one in (x, directions)])

    change = spread(x - 1e-4 * slope / np.abs(slope).max()) - spread(x.astype("float64"))
    return "pulls together" if change[np.abs(change).argmax()] < 0 else "pushes apart"


def verdicts(name, function, reference, compiled=False):
    """Hazard -> verdict, of one loss."""
    cases, run, invalid = hazards(), differentiate(function), WITHOUT_PAIRS
    if name.endswith("pairs"):
        cases = {k: ((y == np.roll(y, -1)).astype(int), *rest) for k, (y, *rest) in cases.items()}
        invalid = ()
    y, x, _ = cases["an ordinary batch"]
    plain = run(y, x, "float32")[0]
    found = {hazard: judge(hazard, run, case, reference, plain, invalid) for hazard, case in cases.items()}
    if compiled:
        fast = differentiate(function, compiled=True)
        usual = [k for k, (_, x, form) in cases.items() if form is np.asarray and len(x) == SIZE and "float" not in k]
        again = {hazard: judge(hazard, fast, cases[hazard], reference, plain, invalid) for hazard in usual}
        odd = sorted({again[hazard] for hazard in usual if again[hazard] != found[hazard]})
        found["compiled"] = "; ".join(odd) or "ok"
    return found


def show(found):
    """The verdicts as tables no wider than a page: one row a hazard, one column a loss, ours beside the rival's."""
    rows = list(dict.fromkeys(hazard for sides in found.values() for column in sides.values() for hazard in column))
    first, pages, room = max(map(len, rows)), [], 0
    for name, sides in found.items():
        columns = {(name, who): max(map(len, (name, *column.values()))) for who, column in sides.items()}
        if room < (needed := sum(columns.values()) + 2 * len(columns)):
            pages, room = [*pages, {}], WIDTH - first
        pages[-1] |= columns
        room -= needed
    for page in pages:
        for line in (0, 1):
            print(" " * first, *(f" {key[line]:{width}}" for key, width in page.items()))
        for row in rows:
            cells = (f" {found[name][who].get(row, '-'):{width}}" for (name, who), width in page.items())
            print(f"{row:{first}}", *cells)
        print()


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    package, theirs = rivals()
    print(f"{BACKEND} and Keras {keras.__version__}, {f'beside {package}' if package else 'no rival is installed'}\n")
    found = {}
    for name, mine in ours().items():
        found[name] = {"ours": verdicts(name, *mine, compiled=not given.no_compile)}
        if name in theirs:
            found[name][package] = verdicts(name, *theirs[name])
    show(found)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
