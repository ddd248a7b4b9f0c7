import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs
from keras_balanced_siamese.evaluation._all_pairs import choose_pairs
from keras_balanced_siamese.neighbours import Usearch

pytestmark = pytest.mark.numpy_only


def blobs(counts=(12, 8, 5, 2, 1), dim=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([f"c{k}" for k in range(len(counts))], counts))
    centres = {label: rng.normal(size=dim) for label in np.unique(y)}
    return np.stack([centres[label] + rng.normal(size=dim) for label in y]), y


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_embeddings_are_evaluated_on_all_pairs(distance):
    x, y = blobs()
    found = kbs.evaluate_embeddings(x, y, distance=distance, n_resamples=0)
    distances, classes = [], []
    for i in range(len(x)):
        for j in range(i):
            cosine = x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j])
            distances.append(np.linalg.norm(x[i] - x[j]) if distance == "euclidean" else 1 - cosine)
            classes.append([y[i], y[j]])
    similar = [a == b for a, b in classes]
    expected = kbs.evaluate_pairs(distances, similar, classes=classes, n_resamples=0)
    assert {name: found.micro[name] for name in expected.micro} == pytest.approx(expected.micro, nan_ok=True)
    for label, row in expected.per_class.items():
        assert {name: found.per_class[label][name] for name in row} == pytest.approx(row, nan_ok=True)


def test_equal_directions_find_nothing_by_cosine_distance():
    x = np.random.default_rng(0).uniform(0.5, 2, (60, 1)) * [0.3, 0.7, 1.1]
    found = kbs.evaluate_embeddings(x, np.arange(60) % 3, distance="cosine", n_resamples=0)
    assert (found.micro["recall@1"], found.micro["map@r"]) == (0, 0)
    assert (found.roc_auc, found.eer) == pytest.approx((0.5, 0.5))


def test_retrieval_is_averaged_over_samples_and_over_classes():
    x = np.array([[0.0], [0.1], [1.0], [1.2], [1.05], [5.0]])
    found = kbs.evaluate_embeddings(x, ["a", "a", "b", "b", "a", "alone"], k=(1, 3), n_resamples=50)
    # the nearest: 0 finds 0.1 (a), 0.1 finds 0 (a), 1.0 and 1.2 find 1.05 (a), 1.05 finds 1.0 (b); "alone" has none
    assert found.micro["recall@1"] == pytest.approx(2 / 5)
    assert found.per_class["a"]["recall@1"] == pytest.approx(2 / 3)
    assert found.per_class["b"]["recall@1"] == 0
    assert math.isnan(found.per_class["alone"]["recall@1"])
    assert found.macro["recall@1"] == pytest.approx(1 / 3)
    assert found.micro["recall@3"] == 1
    assert "recall@1" in found.intervals["micro"]
    assert "R-precision" in str(found)


def test_sampled_pairs_estimate_all_pairs():
    x, y = blobs(counts=(300, 100, 30, 10, 3, 2))
    everything = kbs.evaluate_embeddings(x, y, max_pairs=10**6, n_resamples=0)
    drawn = kbs.evaluate_embeddings(x, y, max_pairs=20_000, n_resamples=0)
    assert drawn.n_similar + drawn.n_different <= 20_000
    assert drawn.per_class["c5"]["n_similar"] == 1
    assert drawn.per_class["c4"]["n_similar"] == 3
    for name in ("roc_auc", "eer", "pr_auc"):
        assert drawn.micro[name] == pytest.approx(everything.micro[name], abs=0.02)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(4, 400), st.integers(0, 99))
def test_sampled_pairs_are_distinct_with_the_total_weight(counts, max_pairs, seed):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    pairs, weight = choose_pairs(codes, max_pairs, np.random.default_rng(seed))
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == len(pairs) == len(weight)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    similar = codes[pairs[:, 0]] == codes[pairs[:, 1]]
    n = len(codes)
    of_class = [m * (m - 1) // 2 for m in counts]
    assert weight[similar].sum() == pytest.approx(sum(of_class))
    assert weight[~similar].sum() == pytest.approx(n * (n - 1) / 2 - sum(of_class))
    if n * (n - 1) // 2 <= max_pairs:
        assert len(pairs) == n * (n - 1) // 2
    else:
        assert similar.sum() <= max(max_pairs // 2, sum(m > 0 for m in of_class))


def test_different_pairs_are_equally_likely():
    codes = np.repeat([0, 1, 2], [6, 3, 1])
    seen = np.zeros((10, 10))
    for seed in range(2000):
        pairs, _ = choose_pairs(codes, 10, np.random.default_rng(seed))
        different = pairs[codes[pairs[:, 0]] != codes[pairs[:, 1]]]
        seen[different.min(axis=1), different.max(axis=1)] += 1
    share = seen[np.triu(codes[:, None] != codes)] / 2000
    assert len(share) == 27
    assert share == pytest.approx(np.full(27, 5 / 27), abs=0.05)


def test_an_exact_report_says_nothing_of_approximation():
    x, y = blobs()
    found = kbs.evaluate_embeddings(x, y, n_resamples=0)
    assert found.approximate == {}
    assert "approximate" not in str(found)


def test_an_approximate_report_says_so_and_by_how_much(monkeypatch):
    pytest.importorskip("usearch")
    x, y = blobs(counts=(30,) * 20)
    exact = kbs.evaluate_embeddings(x, y, k=(1,), n_resamples=0)
    search = Usearch.search

    def miss(self, queries, k):  # a poor index, which misses the nearest items of every second query
        found = search(self, queries, k)
        found[::2, :20] = -1
        return found

    monkeypatch.setattr(Usearch, "search", miss)
    found = kbs.evaluate_embeddings(x, y, k=(1,), index="usearch", n_resamples=0)
    assert (found.approximate["index"], found.approximate["n_checked"]) == ("usearch", 500)
    names = ["recall@1", "r_precision", "map@r"]
    assert list(found.approximate["difference"]) == names
    for name in names:  # the check is of 500 of the 600 samples
        gap = found.micro[name] - exact.micro[name]
        assert abs(gap) > 0.01
        assert found.approximate["difference"][name] == pytest.approx(gap, abs=0.3 * abs(gap))
    retrieval = set(names)
    assert {name: value for name, value in found.micro.items() if name not in retrieval} == pytest.approx(
        {name: value for name, value in exact.micro.items() if name not in retrieval}, nan_ok=True
    )
    text = str(found)
    for title in ("recall@1", "R-precision", "MAP@R"):
        assert f"{title} (approximate)" in text
        assert f"{title} {found.approximate['difference'][figure_of(title)]:+.4f}" in text
    assert "ROC AUC (approximate)" not in text
    assert json.loads(found.to_json())["approximate"]["n_checked"] == 500


def figure_of(title):
    return {"R-precision": "r_precision", "MAP@R": "map@r"}.get(title, title)


def test_all_queries_are_checked_if_there_are_few():
    pytest.importorskip("usearch")
    x, y = blobs()  # a class has one sample
    found = kbs.evaluate_embeddings(x, y, index="usearch", n_resamples=0)
    exact = kbs.evaluate_embeddings(x, y, n_resamples=0)
    assert found.approximate["n_checked"] == len(y) - 1
    assert found.approximate["difference"] == pytest.approx(dict.fromkeys(found.approximate["difference"], 0.0))
    assert found.micro == pytest.approx(exact.micro, nan_ok=True)


def test_an_unknown_or_missing_index_is_refused(monkeypatch):
    x, y = blobs()
    with pytest.raises(
        ValueError, match=r"`index` must be one of \('exact', 'usearch', 'faiss'\). Received: index='hnsw'"
    ):
        kbs.evaluate_embeddings(x, y, index="hnsw")
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ImportError, match=r"`index='usearch'` needs a package.*keras-balanced-siamese\[gallery\]"):
        kbs.evaluate_embeddings(x, y, index="usearch")
