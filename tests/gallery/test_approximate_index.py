import sys

import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES, noisy_classes

from keras_balanced_siamese.gallery import Gallery, _snapshot
from keras_balanced_siamese.neighbours import _approximate

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_an_approximate_index_finds_most_items(kind, distance):
    items, labels = noisy_classes(n=2000)
    items = items + 100.0
    queries = items[:100] + 0.1
    exact = Gallery(items, labels, distance=distance, threshold=0.5)
    rough = Gallery(items, labels, distance=distance, threshold=0.5, index=kind)
    found, expected = rough.search(queries, k=5), exact.search(queries, k=5)
    recall = np.mean([np.isin(*pair) for pair in zip(expected.indices, found.indices, strict=True)])
    assert recall > 0.9  # usually 1, but threads build the graph, so it differs each time
    same = found.indices == expected.indices
    np.testing.assert_array_equal(found.distances[same], expected.distances[same])
    for per_class in (1, 3, "centroid"):
        ours, theirs = (one.identify(queries, per_class=per_class, unknown=-1) for one in (rough, exact))
        assert (ours.labels == theirs.labels).mean() > 0.9


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_an_approximate_index_of_few_items_finds_all(kind, distance):
    gallery = Gallery(ITEMS[1:], [1, 1, 2], distance=distance, index=kind)
    assert sorted(gallery.search(ITEMS[1:2], k=3).indices[0].tolist()) == [0, 1, 2]


def test_one_thread_builds_a_small_graph():
    """Several threads leave some items without a link that leads to them, others each time."""
    pytest.importorskip("usearch")
    graphs = set()
    for _ in range(5):
        index = _approximate.make_index("usearch", 5)
        vectors = np.random.default_rng(0).normal(size=(900, 5)).astype(np.float32)
        for ids in np.split(np.arange(900), [600]):
            index.add(ids, vectors[ids])
        assert (index.search(vectors, 1)[:, 0] == np.arange(900)).all()
        graphs.add(bytes(index.to_bytes()))
    assert len(graphs) == 1


@pytest.mark.parametrize("block", [4096, 7])
def test_queries_are_asked_in_blocks(kind, block, monkeypatch):
    """The items are on a small grid, so many are equally distant."""
    rng = np.random.default_rng(0)
    items, labels = rng.integers(0, 6, size=(400, 3)).astype(float), rng.integers(0, 9, size=400)
    queries = rng.integers(0, 6, size=(40, 3)) + rng.choice([0.0, 1e9], size=(40, 1), p=[0.9, 0.1])
    gallery = Gallery(items, labels, index=kind, threshold=1.0)
    single = [gallery.search(query[None], k=6) for query in queries]
    named = [gallery.identify(query[None], per_class=2, unknown=-1) for query in queries]
    asked, search = [], _approximate.Usearch.search
    monkeypatch.setattr(_snapshot, "BLOCK", block)
    monkeypatch.setattr(_approximate.Usearch, "search", lambda *args: asked.append(len(args[1])) or search(*args))
    for found, expected in (
        (gallery.search(queries, k=6), single),
        (gallery.identify(queries, per_class=2, unknown=-1), named),
    ):
        for one, other in zip(found, zip(*expected, strict=True), strict=True):
            np.testing.assert_array_equal(one, np.concatenate(other))
    if kind == "usearch":
        assert len(asked) == 2 * -(-40 // block)
        assert sum(asked) == 2 * (np.abs(queries).max(axis=1) < 1e3).sum()  # the far ones are searched exactly


def test_queries_too_far_away_for_the_index_are_measured(kind):
    found = Gallery(ITEMS, NAMES, index=kind).search([[1e100, 0.0]], k=2)
    np.testing.assert_allclose(found.distances, 1e100)
    items = np.random.default_rng(0).normal(size=(500, 3))
    query = np.array([[1e8, 1e8, 0.0]])  # float32 does not tell the items apart from there
    found, expected = (Gallery(items, np.arange(500), index=one).search(query, k=4) for one in (kind, "exact"))
    np.testing.assert_array_equal(found.indices, expected.indices)


@pytest.mark.parametrize(("kind", "cure"), [("usearch", r"keras-balanced-siamese\[gallery\]"), ("faiss", "faiss-cpu")])
def test_a_missing_package_is_named_with_its_cure(kind, cure, monkeypatch):
    monkeypatch.setitem(sys.modules, kind, None)
    monkeypatch.setitem(sys.modules, f"{kind}.index", None)
    with pytest.raises(ImportError, match=f"pip install.*{cure}"):
        Gallery(ITEMS, NAMES, index=kind)
