"""Losses that pair inside the batch, against loops over triplets and pairs."""

import functools
import itertools
import math

import numpy as np
import pytest
from toy import differentiate

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import to_numpy

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
        total = math.log(sum(w[b] / w[a] * math.exp(s[b]) for b in s))
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
        push = math.log(1 + sum(w[n] / w[a] * math.exp(beta * (s[n] - base)) for n in negatives)) / beta
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
    for seed, (n, classes) in enumerate(itertools.product((4, 9, 23), (2, 4))):
        labels, x = batch(n, seed=seed, classes=classes)
        w = [WEIGHTS[c] if weighted else 1.0 for c in labels.tolist()]
        assert float(loss(labels, x)) == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5, abs=1e-6)


# ---- gradients


@functools.cache
def slope_of(kind):
    return differentiate(KINDS[kind](class_weight=WEIGHTS))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences_of_the_slow_one(kind):
    labels, x = batch(6, dim=3, classes=2, seed=4)
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
    assert math.isnan(float(KINDS[kind]()([0.0, 1, 0, 1, np.nan, 1], x)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 0, 1, 2**24, 2**24 + 1], x)))  # float32 takes them for one class
    assert math.isnan(float(KINDS[kind](class_weight={0: 1.0, 1: 1.0})([0, 1, 0, 1, 7, 7], x)))


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
    power = 1 if kind.startswith(("supervised", "multi")) else 2  # these weigh pairs by both members
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
