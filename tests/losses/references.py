"""Reference losses on batches: loops over pairs and triplets in float64, straight from the formulas."""

import math

import numpy as np

import keras_balanced_siamese as kbs

KINDS = {
    "contrastive": lambda **k: kbs.WeightedBatchContrastiveLoss(normalize="all", **k),
    "contrastive-margins": lambda **k: kbs.WeightedBatchContrastiveLoss(1.5, 0.3, squared=False, normalize="all", **k),
    "contrastive-cosine": lambda **k: kbs.WeightedBatchContrastiveLoss(0.6, distance="cosine", normalize="all", **k),
    "contrastive-active": lambda **k: kbs.WeightedBatchContrastiveLoss(1.2, 0.4, **k),
    "triplet-semi-hard": kbs.WeightedTripletLoss,
    "triplet-hard": lambda **k: kbs.WeightedTripletLoss(0.7, mining="hard", **k),
    "triplet-soft": lambda **k: kbs.WeightedTripletLoss("soft", mining="hard", distance="squared", **k),
    "triplet-all": lambda **k: kbs.WeightedTripletLoss(0.5, mining="all", **k),
    "triplet-cosine": lambda **k: kbs.WeightedTripletLoss(0.2, distance="cosine", **k),
    "supervised": kbs.WeightedSupervisedContrastiveLoss,
    "supervised-transfer": lambda **k: kbs.WeightedSupervisedContrastiveLoss(feature_transfer=3, **k),
    "multi-similarity": kbs.WeightedMultiSimilarityLoss,
    "multi-similarity-unmined": lambda **k: kbs.WeightedMultiSimilarityLoss(epsilon=None, **k),
    "multi-similarity-transfer": lambda **k: kbs.WeightedMultiSimilarityLoss(feature_transfer=1, **k),
}
WEIGHTS = {0: 0.5, 1: 2.0, 2: 1.25, 3: 0.75}


def batch(n=14, dim=5, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.normal(size=(n, dim)).astype("float32") * 0.5


def distance(kind, a, b):
    a, b = a.astype("float64"), b.astype("float64")
    if kind == "cosine":
        return 1.0 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    d2 = sum((u - v) ** 2 for u, v in zip(a, b, strict=True))
    return d2 if kind == "squared" else math.sqrt(d2)


def partners(labels, a, given=None):
    if labels[:given].count(labels[a]) < 2:
        return [], []
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


def slow_active_contrastive(labels, x, w, margin=1.2, inner=0.4):
    """The weighted mean of the losses above 0 of each kind."""
    total = 0.0
    for kind in (0, 1):
        losses, weights = [], []
        for a in range(len(labels)):
            for b in partners(labels, a)[kind]:
                d = distance("euclidean", x[a], x[b])
                gap = d - inner if kind == 0 else margin - d
                if gap > 0:
                    losses.append(gap**2)
                    weights.append(w[a] * w[b])
        total += np.average(losses, weights=weights) / 2 if losses else 0.0
    return total


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


def slow_supervised(labels, x, w, temperature=0.1, given=None):
    found = []
    for a in range(len(labels)):
        positives, negatives = partners(labels, a, given)
        if not positives:
            continue
        s = {b: (1 - distance("cosine", x[a], x[b])) / temperature for b in positives + negatives}
        total = math.log(sum(math.exp(s[b]) for b in s))
        found.append(w[a] * np.mean([total - s[p] for p in positives]))
    return float(np.mean(found)) if found else 0.0


def with_transfer(slow, labels, x, w, times):
    """A loss of a longer batch: k rounds of the mean of each item's class plus what another item differs from its."""
    size, rows = len(labels), [np.asarray(row, "float64") for row in x]
    means = {c: sum(r for r, d in zip(rows, labels, strict=True) if d == c) / labels.count(c) for c in labels}
    generated = []
    for k in range(1, times + 1):
        rotated = [*range(size), *range(size)][k * size // (times + 1) :]
        for i, j in zip(range(size), rotated, strict=False):
            generated.append(means[labels[i]] + rows[j] - means[labels[j]])
    return slow(labels * (times + 1), np.array(rows + generated), list(w) * (times + 1), given=size)


def slow_multi_similarity(labels, x, w, epsilon=0.1, alpha=2.0, beta=50.0, base=0.5, given=None):
    found = []
    for a in range(len(labels)):
        positives, negatives = partners(labels, a, given)
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
    "contrastive-active": slow_active_contrastive,
    "contrastive": slow_contrastive,
    "contrastive-margins": lambda *a: slow_contrastive(*a, margin=1.5, inner=0.3, squared=False),
    "contrastive-cosine": lambda *a: slow_contrastive(*a, margin=0.6, kind="cosine"),
    "triplet-semi-hard": slow_triplet,
    "triplet-hard": lambda *a: slow_triplet(*a, margin=0.7, mining="hard"),
    "triplet-soft": lambda *a: slow_triplet(*a, margin="soft", mining="hard", kind="squared"),
    "triplet-all": lambda *a: slow_triplet(*a, margin=0.5, mining="all"),
    "triplet-cosine": lambda *a: slow_triplet(*a, margin=0.2, kind="cosine"),
    "supervised": slow_supervised,
    "supervised-transfer": lambda *a: with_transfer(slow_supervised, *a, times=3),
    "multi-similarity": slow_multi_similarity,
    "multi-similarity-unmined": lambda *a: slow_multi_similarity(*a, epsilon=None),
    "multi-similarity-transfer": lambda *a: with_transfer(slow_multi_similarity, *a, times=1),
}
