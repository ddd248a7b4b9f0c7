"""Losses that pair inside the batch, against loops over triplets and pairs."""

import functools
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from toy import WAYS_TO_COMPILE, differentiate

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import PyDataset, ops, to_numpy
from keras_balanced_siamese._pairwise import distances

KINDS = {
    "contrastive": kbs.WeightedBatchContrastiveLoss,
    "contrastive-margins": lambda **k: kbs.WeightedBatchContrastiveLoss(1.5, 0.3, squared=False, **k),
    "contrastive-cosine": lambda **k: kbs.WeightedBatchContrastiveLoss(0.6, distance="cosine", **k),
    "triplet-semi-hard": kbs.WeightedTripletLoss,
    "triplet-hard": lambda **k: kbs.WeightedTripletLoss(0.7, mining="hard", **k),
    "triplet-soft": lambda **k: kbs.WeightedTripletLoss("soft", mining="hard", distance="squared", **k),
    "triplet-all": lambda **k: kbs.WeightedTripletLoss(0.5, mining="all", **k),
    "triplet-cosine": lambda **k: kbs.WeightedTripletLoss(0.2, distance="cosine", **k),
    "supervised": kbs.WeightedSupervisedContrastiveLoss,
    "multi-similarity": kbs.WeightedMultiSimilarityLoss,
    "multi-similarity-unmined": lambda **k: kbs.WeightedMultiSimilarityLoss(epsilon=None, **k),
}
WEIGHTS = {0: 0.5, 1: 2.0, 2: 1.25, 3: 0.75}


def batch(n=14, dim=5, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.normal(size=(n, dim)).astype("float32") * 0.5


# ---- the slow ones: float64, loops, straight from the formulas


def distance(kind, a, b):
    a, b = a.astype("float64"), b.astype("float64")
    if kind == "cosine":
        return 1.0 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    d2 = sum((u - v) ** 2 for u, v in zip(a, b, strict=True))
    return d2 if kind == "squared" else math.sqrt(d2)


def partners(labels, a):
    positives = [b for b in range(len(labels)) if b != a and labels[b] == labels[a]]
    negatives = [b for b in range(len(labels)) if labels[b] != labels[a]]
    return (positives, negatives) if positives and negatives else ([], [])


def slow_contrastive(labels, x, w, margin=1.0, inner=0.0, squared=True, kind="euclidean"):
    power = 2 if squared else 1
    pulls, pushes = [], []
    for a in range(len(labels)):
        positives, negatives = partners(labels, a)
        pulls += [w[a] * w[p] * max(distance(kind, x[a], x[p]) - inner, 0) ** power for p in positives]
        pushes += [w[a] * w[n] * max(margin - distance(kind, x[a], x[n]), 0) ** power for n in negatives]
    return (np.mean(pulls) + np.mean(pushes)) / 2 if pulls else 0.0


def slow_triplet(labels, x, w, margin=1.0, mining="semi-hard", kind="euclidean"):
    found = []

    def loss(a, p, d_ap, d_an):
        hinge = math.log1p(math.exp(d_ap - d_an)) if margin == "soft" else max(d_ap - d_an + margin, 0)
        return w[a] * w[p] * hinge

    for a in range(len(labels)):
        positives, negatives = partners(labels, a)
        if not positives:
            continue
        near = {p: distance(kind, x[a], x[p]) for p in positives}
        far = sorted(distance(kind, x[a], x[n]) for n in negatives)
        if mining == "hard":
            found.append(loss(a, positives[0], max(near.values()), far[0]))
            continue
        for p in positives:
            if mining == "semi-hard":
                found.append(loss(a, p, near[p], next((d for d in far if d > near[p]), far[-1])))
            else:
                found += [value for d in far if (value := loss(a, p, near[p], d)) > 0]
    return float(np.mean(found)) if found else 0.0


def slow_supervised(labels, x, w, temperature=0.1):
    found = []
    for a in range(len(labels)):
        positives, negatives = partners(labels, a)
        if not positives:
            continue
        s = {b: (1 - distance("cosine", x[a], x[b])) / temperature for b in positives + negatives}
        total = math.log(sum(math.exp(s[b]) for b in s))
        found.append(w[a] * np.mean([total - s[p] for p in positives]))
    return float(np.mean(found)) if found else 0.0


def slow_multi_similarity(labels, x, w, epsilon=0.1, alpha=2.0, beta=50.0, base=0.5):
    found = []
    for a in range(len(labels)):
        positives, negatives = partners(labels, a)
        if not positives:
            continue
        s = {b: 1 - distance("cosine", x[a], x[b]) for b in positives + negatives}
        easiest, hardest = min(s[p] for p in positives), max(s[n] for n in negatives)
        if epsilon is not None:
            positives = [p for p in positives if s[p] < hardest + epsilon]
            negatives = [n for n in negatives if s[n] > easiest - epsilon]
        pull = math.log(1 + sum(math.exp(-alpha * (s[p] - base)) for p in positives)) / alpha
        push = math.log(1 + sum(math.exp(beta * (s[n] - base)) for n in negatives)) / beta
        found.append(w[a] * (pull + push))
    return float(np.mean(found)) if found else 0.0


SLOW = {
    "contrastive": slow_contrastive,
    "contrastive-margins": lambda *a: slow_contrastive(*a, margin=1.5, inner=0.3, squared=False),
    "contrastive-cosine": lambda *a: slow_contrastive(*a, margin=0.6, kind="cosine"),
    "triplet-semi-hard": slow_triplet,
    "triplet-hard": lambda *a: slow_triplet(*a, margin=0.7, mining="hard"),
    "triplet-soft": lambda *a: slow_triplet(*a, margin="soft", mining="hard", kind="squared"),
    "triplet-all": lambda *a: slow_triplet(*a, margin=0.5, mining="all"),
    "triplet-cosine": lambda *a: slow_triplet(*a, margin=0.2, kind="cosine"),
    "supervised": slow_supervised,
    "multi-similarity": slow_multi_similarity,
    "multi-similarity-unmined": lambda *a: slow_multi_similarity(*a, epsilon=None),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_slow_one(kind, weighted):
    loss = KINDS[kind](class_weight=WEIGHTS if weighted else None)
    for seed, (n, classes) in enumerate([(9, 2), (9, 4), (9, 4), (23, 4)]):
        labels, x = batch(n, seed=seed, classes=classes)
        w = [WEIGHTS[c] if weighted else 1.0 for c in labels.tolist()]
        assert float(loss(labels, x)) == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5, abs=1e-6)


# ---- gradients


@functools.cache
def slope_of(kind):
    return differentiate(KINDS[kind](class_weight=WEIGHTS))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences_of_the_slow_one(kind):
    labels, x = np.array([0, 1, 0, 2, 1, 0, 1]), batch(7, dim=3, seed=4)[1]
    value, found = slope_of(kind)(labels, x)
    w = [WEIGHTS[c] for c in labels.tolist()]
    assert value == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5)
    expected, step = np.zeros_like(x, "float64"), 1e-6
    for place in np.ndindex(*x.shape):
        up, down = x.astype("float64"), x.astype("float64")
        up[place] += step
        down[place] -= step
        slow = SLOW[kind]
        expected[place] = (slow(labels.tolist(), up, w) - slow(labels.tolist(), down, w)) / (2 * step)
    assert (np.abs(expected).max(axis=1)[labels != 2] > 1e-3).all()  # each anchor moves: the comparison says something
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1.0, np.abs(expected).max()))


SOME = batch(6, 3, seed=2)[1]
HAZARDS = {
    "equal embeddings": ([0, 0, 0, 1, 1, 1], np.ones((6, 3))),
    "duplicated rows": ([0, 0, 1, 1, 1, 0], [[1, 2, 3], [1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6], [4, 5, 6]]),
    "zero vectors": ([0, 0, 1, 1, 2, 2], [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]),
    "all zero": ([0, 0, 1, 1, 2, 2], np.zeros((6, 3))),
    "huge": ([0, 1, 0, 1, 2, 2], SOME * 1e4),
    "tiny": ([0, 1, 0, 1, 2, 2], SOME * 1e-4),
    "tinier than float32 can square": ([0, 1, 0, 1, 2, 2], SOME * 1e-25),
    "far from the origin": ([0, 1, 0, 1, 2, 2], SOME + 1e4),
    "one item": ([0], [[1, 2, 3]]),
    "one class": ([1, 1, 1, 1, 1, 1], SOME),
    "no positive pair": ([0, 1, 2, 3], SOME[:4]),
    "one singleton": ([0, 0, 1, 0, 0, 0], SOME),
}
WITHOUT_PAIRS = ("one item", "one class", "no positive pair")


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_finite(kind, hazard):
    labels, x = HAZARDS[hazard]
    value, slope = slope_of(kind)(np.array(labels), np.asarray(x, "float32"))
    assert np.isfinite(value)
    assert value >= 0
    assert np.isfinite(slope).all()
    if hazard in WITHOUT_PAIRS:
        assert value == 0
        assert not slope.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_is_never_hidden(kind):
    labels, x = batch(6, 3)
    broken = x.copy()
    broken[2, 1] = np.nan
    assert math.isnan(float(KINDS[kind]()(labels, broken)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 2, 3, 4, 5], broken)))  # no pair at all
    broken[2, 1] = np.inf
    for one in (labels, [0, 1, 2, 3, 4, 5]):
        assert math.isnan(float(KINDS[kind]()(one, broken)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 0, 1, -(2**24), -(2**24)], x)))
    assert math.isnan(float(KINDS[kind]()([0.0, 1, 0, 1, np.nan, 1], x)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 0, 1, 2**24, 2**24 + 1], x)))  # float32 takes them for one class
    assert math.isnan(float(KINDS[kind](class_weight={0: 1.0, 1: 1.0})([0, 1, 0, 1, 7, 7], x)))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64")
@pytest.mark.parametrize("kind", KINDS)
def test_float64(kind):
    labels, x = batch(9, 3)
    x = x.astype("float64")
    value = KINDS[kind](class_weight=WEIGHTS, dtype="float64")(labels, x)
    expected = SLOW[kind](labels.tolist(), x, [WEIGHTS[c] for c in labels.tolist()])
    # on PyTorch, Keras makes float32 of it here and there
    assert float(value) == pytest.approx(expected, rel=1e-5 if keras.backend.backend() == "torch" else 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_labels(kind):
    labels, x = batch(8, 3, classes=2)
    expected = float(KINDS[kind]()(labels, x))
    for given in (labels[:, None], labels.astype("float32"), labels.astype(bool), labels.astype("uint8"), labels - 5):
        assert float(KINDS[kind]()(given, x)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="One-hot"):
        KINDS[kind]()(np.eye(2)[labels], x)
    with pytest.raises(ValueError, match="shape"):
        KINDS[kind]()(labels[:5], x)
    with pytest.raises(ValueError, match="shape"):
        KINDS[kind]()(labels, x[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_laws(kind):
    labels, x = batch(12, 3, seed=3)
    plain = to_numpy(KINDS[kind](reduction=None)(labels, x))
    order = np.random.default_rng(0).permutation(12)
    shuffled = to_numpy(KINDS[kind](reduction=None)(labels[order], x[order]))
    np.testing.assert_allclose(shuffled, plain[order], rtol=1e-4, atol=1e-6)  # order does not matter
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = to_numpy(KINDS[kind](reduction=None)(labels, (x @ turn).astype("float32")))
    np.testing.assert_allclose(turned, plain, rtol=1e-3, atol=1e-5)  # nor does the direction
    ones = to_numpy(KINDS[kind](reduction=None, class_weight=dict.fromkeys(range(4), 1.0))(labels, x))
    np.testing.assert_allclose(ones, plain, rtol=1e-5, atol=1e-6)
    power = 1 if kind.startswith(("supervised", "multi")) else 2  # those have the weight of the anchor alone
    twice = to_numpy(KINDS[kind](reduction=None, class_weight=dict.fromkeys(range(4), 3.0))(labels, x))
    np.testing.assert_allclose(twice, plain * 3**power, rtol=1e-4, atol=1e-5)
    renamed = to_numpy(KINDS[kind](reduction=None)(np.array([70, -3, 12, 5])[labels], x))
    np.testing.assert_allclose(renamed, plain, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weights_multiply_anchors(kind):
    labels, x = batch(10, 3)
    loss, w = KINDS[kind](), np.linspace(0, 2, 10)
    each = to_numpy(KINDS[kind](reduction=None)(labels, x))
    assert each.shape == (10,)
    assert float(loss(labels, x)) == pytest.approx(each.mean(), rel=1e-5)
    assert float(loss(labels, x, sample_weight=w)) == pytest.approx((each * w).mean(), rel=1e-5)


def test_anchors_that_do_not_count_cost_nothing_and_are_not_counted():
    labels, x = np.array([0, 0, 1, 2]), batch(4, 3)[1]
    for kind in KINDS:
        each = to_numpy(KINDS[kind](reduction=None)(labels, x))
        assert (each[2:] == 0).all()
        w = [1.0] * 4
        assert each[:2].sum() / 4 == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5, abs=1e-6)


# ---- parity with other packages, at weights 1

GOLDEN = json.loads((Path(__file__).parent / "data" / "addons_triplet.json").read_text())["cases"]
METRICS = {"L2": "euclidean", "squared-L2": "squared", "angular": "cosine"}


def ours_for(name):
    mining, metric, margin, *soft = name.split("|")
    margin = "soft" if soft == ["soft=True"] else float(margin)
    return kbs.WeightedTripletLoss(margin, "semi-hard" if mining == "semihard" else "hard", METRICS[metric])


@pytest.mark.parametrize("name", GOLDEN[0]["results"])
def test_triplets_equal_tensorflow_addons(name):
    both = differentiate(ours_for(name))
    for case in GOLDEN:
        labels, x = case["labels"], np.array(case["embeddings"], "float32")
        single = [a for a in range(len(labels)) if labels.count(labels[a]) == 1]
        if name.startswith("hard") and single:
            continue  # see the next test
        value, slope = both(np.array(labels), x)
        theirs, their_slope = case["results"][name]
        assert value == pytest.approx(theirs, rel=1e-5)
        np.testing.assert_allclose(slope, their_slope, atol=1e-5)


def test_hard_triplets_leave_out_the_anchor_that_tensorflow_addons_gives_a_positive_at_distance_0():
    case = GOLDEN[2]
    labels, x = case["labels"], np.array(case["embeddings"], "float32")
    assert labels.count(0) == 1
    nearest = min(distance("euclidean", x[0], x[b]) for b in range(1, 7))  # of the anchor without a positive
    ours = float(kbs.WeightedTripletLoss(1.0, "hard")(labels, x))
    theirs = case["results"]["hard|L2|1.0|soft=False"][0]
    assert theirs == pytest.approx((6 * ours + max(0 - nearest + 1.0, 0)) / 7, rel=1e-5)


def test_triplets_equal_tensorflow_addons_itself():
    addons = pytest.importorskip("tensorflow_addons", reason="runs in the addons lane").losses
    labels, x = np.repeat(np.arange(4), 4), batch(16, 5)[1]
    for metric, kind in METRICS.items():
        theirs = float(addons.TripletSemiHardLoss(0.8, metric)(labels, x))
        assert float(kbs.WeightedTripletLoss(0.8, distance=kind)(labels, x)) == pytest.approx(theirs, rel=1e-5)
        for soft in (False, True):
            theirs = float(addons.TripletHardLoss(0.8, soft, metric)(labels, x))
            ours = kbs.WeightedTripletLoss("soft" if soft else 0.8, "hard", kind)(labels, x)
            assert float(ours) == pytest.approx(theirs, rel=1e-5)
    assert math.isnan(float(addons.TripletSemiHardLoss()(np.arange(16), x)))  # no positive pair: ours gives 0
    assert float(kbs.WeightedTripletLoss()(np.arange(16), x)) == 0
    assert float(addons.TripletSemiHardLoss()(np.zeros(16), x)) > 0  # one class: theirs pulls it together
    assert float(kbs.WeightedTripletLoss()(np.zeros(16), x)) == 0


def test_equals_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses", reason="runs in the torch lane")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    torch = pytest.importorskip("torch")
    labels = np.repeat(np.arange(4), 5)
    for seed in range(4):
        x = batch(20, 6, seed=seed)[1]
        for temperature in (0.1, 0.5):
            ours = kbs.WeightedSupervisedContrastiveLoss(temperature)
            reference = losses.SupConLoss(temperature)
            compare(torch, ours, reference, labels, x)
        compare(torch, kbs.WeightedMultiSimilarityLoss(epsilon=None), losses.MultiSimilarityLoss(2, 50, 0.5), labels, x)
        mined = losses.MultiSimilarityLoss(2, 50, 0.5), miners.MultiSimilarityMiner(0.1)
        compare(torch, kbs.WeightedMultiSimilarityLoss(), lambda a, b, m=mined: m[0](a, b, m[1](a, b)), labels, x)


def compare(torch, ours, theirs, labels, x):
    value, slope = differentiate(ours)(labels, x)
    embeddings = torch.tensor(x, requires_grad=True)
    reference = theirs(embeddings, torch.tensor(labels))
    reference.backward()
    assert value == pytest.approx(float(reference.detach()), rel=1e-5)
    np.testing.assert_allclose(slope, embeddings.grad.numpy(), atol=1e-5)


# ---- distances


@pytest.mark.parametrize("kind", ["euclidean", "squared"])
def test_distances_keep_their_digits_where_the_expansion_loses_them(kind):
    rng = np.random.default_rng(0)
    centres = np.repeat([[1000.0], [-1000.0], [30.0]], 4, axis=0)
    for spread in (0.1, 1.0, 100.0):  # tight groups far apart: 1e-4 of their distance
        x = (centres + spread * rng.normal(size=(12, 6))).astype("float32")
        expected = [[distance(kind, a, b) for b in x] for a in x]
        np.testing.assert_allclose(to_numpy(distances(ops.convert_to_tensor(x), kind)), expected, rtol=1e-5)


def test_cosine_distances_of_near_parallel_vectors():
    rng = np.random.default_rng(0)
    x = (np.ones((6, 4)) + 1e-3 * rng.normal(size=(6, 4))).astype("float32")
    expected = [[distance("cosine", a, b) for b in x] for a in x]
    np.testing.assert_allclose(to_numpy(distances(ops.convert_to_tensor(x), "cosine")), expected, rtol=1e-3, atol=1e-12)
    x[0] = 0
    found = to_numpy(distances(ops.convert_to_tensor(x), "cosine"))
    np.testing.assert_allclose(found[0], 1.0)  # a zero vector has the cosine 0 with all


def test_gradients_keep_their_digits_far_from_the_origin():
    labels, x = np.array([0, 0, 1, 1, 2, 2]), (SOME * 8).round() / 8  # of few digits: the shift changes nothing
    near, far = (slope_of("contrastive")(labels, (x + shift).astype("float32"))[1] for shift in (0.0, 2.0**13))
    assert np.abs(near).max() > 0.1
    np.testing.assert_allclose(far, near, atol=1e-5)


@pytest.mark.parametrize("kind", ["contrastive-cosine", "supervised", "multi-similarity-unmined"])
def test_a_zero_vector_has_a_zero_gradient_on_cosines(kind):
    x = SOME.copy()
    x[1] = 0
    _, slope = slope_of(kind)(np.array([0, 0, 1, 1, 0, 1]), x)
    assert not slope[1].any()
    assert slope[[0, 2, 3, 4, 5]].any(axis=1).all()


# ---- in `fit`

LOSSES = {
    "contrastive": kbs.WeightedBatchContrastiveLoss,
    "triplet": kbs.WeightedTripletLoss,
    "all": lambda **k: kbs.WeightedTripletLoss(mining="all", **k),
    "supervised": kbs.WeightedSupervisedContrastiveLoss,
    "similarity": kbs.WeightedMultiSimilarityLoss,
}


def several(names=tuple(LOSSES), **compile_options):
    """One encoder with an output for each loss, so that one compiled step holds them all."""
    inputs = keras.Input((4,))
    embedding = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(seed=0))(inputs)
    outputs = [keras.layers.Activation("linear", name=name)(embedding) for name in names]
    model = keras.Model(inputs, outputs)
    given = [LOSSES[name](class_weight={0: 0.5, 1: 1.0, 2: 2.0}) for name in names]
    model.compile(keras.optimizers.SGD(0.001), loss=given, **compile_options)
    return model


class ForSeveral(PyDataset):
    def __init__(self, n=5):
        super().__init__()
        self.n = n
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(3), (30, 12, 6))
        x = rng.normal(size=(48, 4)) + rng.normal(size=(3, 4))[y]
        self.batches = kbs.BalancedBatchSequence(x.astype("float32"), y, 3, 4, seed=0)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        x, y, w = self.batches[index]
        return x, (y,) * self.n, (w,) * self.n


# PyTorch's compiler on how Keras makes a function with a gradient of its own
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("how", WAYS_TO_COMPILE, ids=str)
def test_every_way_to_compile_gives_the_same_training(how):
    slow = keras.backend.backend() == "torch" and "jit_compile" in how  # a minute a loss
    names = ("triplet",) if slow else tuple(LOSSES)
    plain, other = (
        several(names, **given).fit(ForSeveral(len(names)), epochs=3, shuffle=False, verbose=0).history
        for given in ({}, how)
    )
    assert slow or plain["loss"][-1] < plain["loss"][0]
    for key, values in plain.items():
        np.testing.assert_allclose(other[key], values, rtol=1e-3, err_msg=key)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = several()
        before = model.evaluate(ForSeveral(), verbose=0)
        history = model.fit(ForSeveral(), epochs=2, verbose=0).history
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(np.isfinite(values).all() for values in history.values())
    np.testing.assert_allclose(before, several().evaluate(ForSeveral(), verbose=0), rtol=0.05)


def test_weights_are_live_and_the_loss_of_each_class_is_recorded(tmp_path):
    labels, x = np.array([3, 3, 8, 8, 8, 3, 11, 11]), batch(8, 3)[1]
    new = {3: 0.5, 8: 2.0, 11: 1.0}
    loss = kbs.WeightedBatchContrastiveLoss(class_weight=dict.fromkeys(new, 1.0))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.set_weights([np.eye(3)])
    model.compile(keras.optimizers.SGD(0.0), loss)
    adapt = kbs.AdaptiveClassWeight(
        strategy=lambda errors, weights, epoch: new, bounds=None, max_step=None, warmup_epochs=0
    )
    history = model.fit(x, labels, batch_size=8, epochs=2, verbose=0, callbacks=[adapt]).history
    factor = 8 / (3 * 0.5 + 3 * 2.0 + 2 * 1.0)  # to the mean 1 over the anchors
    for epoch, weights in enumerate([dict.fromkeys(new, 1.0), {c: w * factor for c, w in new.items()}]):
        assert [history[f"class_weight/{c}"][epoch] for c in new] == pytest.approx(list(weights.values()), rel=1e-5)
        expected = slow_contrastive(labels.tolist(), x, [weights[c] for c in labels.tolist()])
        assert history["loss"][epoch] == pytest.approx(expected, rel=1e-5)
    for c in new:  # what each anchor of the class has among its own pairs, whatever the weights
        among = []
        for a in np.flatnonzero(labels == c):
            positives, negatives = partners(labels.tolist(), a)
            among.append(np.mean([distance("euclidean", x[a], x[p]) ** 2 for p in positives]) / 2)
            among[-1] += np.mean([max(1 - distance("euclidean", x[a], x[n]), 0) ** 2 for n in negatives]) / 2
        assert history[f"class_loss/{c}"] == pytest.approx([np.mean(among)] * 2, rel=1e-5)
    model.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    assert dict(again.loss.class_weight) == dict(loss.class_weight)
    assert float(again.loss(labels, x)) == pytest.approx(history["loss"][1], rel=1e-5)


def test_a_class_without_pairs_has_no_recorded_loss_and_keeps_its_weight():
    labels, x = np.array([0, 0, 1, 1, 2]), batch(5, 3)[1]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", kbs.WeightedTripletLoss(class_weight={0: 1.0, 1: 1.0, 2: 1.0}))
    adapt = kbs.AdaptiveClassWeight(warmup_epochs=0)
    history = model.fit(x, labels, batch_size=5, epochs=3, verbose=0, callbacks=[adapt]).history
    assert np.isnan(history["class_loss/2"]).all()
    assert np.isfinite(history["class_loss/0"]).all()
    assert history["class_weight/2"] == [1.0, 1.0, 1.0]


def test_a_loss_without_weights_cannot_be_adapted():
    loss = kbs.WeightedTripletLoss()
    assert loss.class_weight is None
    assert loss.get_config()["class_weight"] is None
    with pytest.raises(ValueError, match="without class weights"):
        loss.class_weight = {0: 1.0}
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match="made with `class_weight`"):
        model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0, callbacks=[kbs.AdaptiveClassWeight()])
    with pytest.raises(ValueError, match="no class weights to adapt"):
        model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0, callbacks=[kbs.AdaptiveClassWeight(loss)])


def test_the_distance_of_a_siamese_model_is_no_embedding():
    inputs = keras.Input((3,))
    model = kbs.siamese_model(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
    model.compile("sgd", kbs.WeightedTripletLoss())
    with pytest.warns(UserWarning, match="loss on pairs"):
        model.test_on_batch((np.zeros((4, 3)), np.ones((4, 3))), np.array([0, 1, 0, 1]))


def test_half_precision_as_the_default_of_keras_leaves_class_labels_whole():
    keras.backend.set_floatx("float16")
    try:
        assert "float32" in str(kbs.WeightedTripletLoss().dtype)
    finally:
        keras.backend.set_floatx("float32")


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: kbs.WeightedTripletLoss(margin=0), ValueError, "`margin` must be positive"),
        (lambda: kbs.WeightedTripletLoss(margin="hard"), TypeError, "`margin` must be a number"),
        (lambda: kbs.WeightedTripletLoss(margin=np.ones(2)), TypeError, "`margin` must be a number"),
        (lambda: kbs.WeightedTripletLoss(mining="semihard"), ValueError, "`mining` must be one of"),
        (lambda: kbs.WeightedTripletLoss(mining=np.ones(2)), ValueError, "`mining` must be one of"),
        (lambda: kbs.WeightedBatchContrastiveLoss(squared="no"), TypeError, "`squared` must be True or False"),
        (lambda: kbs.WeightedTripletLoss(distance="L2"), ValueError, "`distance` must be one of"),
        (lambda: kbs.WeightedTripletLoss("soft", "all"), ValueError, "takes a hinge"),
        (lambda: kbs.WeightedTripletLoss(dtype="float16"), ValueError, "half precision cannot hold"),
        (lambda: kbs.WeightedBatchContrastiveLoss(1.0, 1.0), ValueError, "less than `margin`"),
        (lambda: kbs.WeightedSupervisedContrastiveLoss(0.0), ValueError, "`temperature` must be positive"),
        (lambda: kbs.WeightedMultiSimilarityLoss(epsilon=-1), ValueError, "`epsilon` must be at least 0"),
        (lambda: kbs.WeightedTripletLoss(class_weight={"a": 1.0}), ValueError, "whole numbers that `y_true` holds"),
        (lambda: kbs.WeightedTripletLoss(class_weight={2**24: 1.0}), ValueError, "below 2"),
        (lambda: kbs.WeightedTripletLoss(class_weight={}), ValueError, "whole numbers"),
        (lambda: kbs.WeightedTripletLoss(class_weight=[1.0]), TypeError, "mapping"),
        (lambda: kbs.WeightedTripletLoss(class_weight={0: -1.0}), ValueError, ">= 0"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()
