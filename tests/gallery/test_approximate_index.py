import sys

import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES, noisy_classes

from keras_balanced_siamese.gallery import Gallery

pytestmark = pytest.mark.numpy_only


@pytest.fixture(params=["usearch", "faiss"])
def kind(request):
    """The name of an installed index."""
    pytest.importorskip(request.param)
    return request.param


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
def test_an_approximate_index_is_rebuilt_when_needed(kind, distance, tmp_path):
    items, labels = noisy_classes(n=300)
    items = items + 100.0
    gallery = Gallery(items, labels, distance=distance, index=kind)
    gallery.search(items[:1])
    new = items[:1] * [[1.0, 2.0, 1.0, 1.0, 1.0]]
    gallery.add(new, [99])
    assert gallery.search(new, k=1).labels.tolist() == [[99]]
    gallery.save(tmp_path / "g.npz")
    again = Gallery.load(tmp_path / "g.npz")
    assert again.index == kind
    assert again.search(new, k=1).labels.tolist() == [[99]]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_an_approximate_index_of_few_items_finds_all(kind, distance):
    gallery = Gallery(ITEMS[1:], [1, 1, 2], distance=distance, index=kind)
    assert sorted(gallery.search(ITEMS[1:2], k=3).indices[0].tolist()) == [0, 1, 2]


def test_queries_too_far_away_for_the_index_are_measured(kind):
    found = Gallery(ITEMS, NAMES, index=kind).search([[1e100, 0.0]], k=2)
    np.testing.assert_allclose(found.distances, 1e100)


@pytest.mark.parametrize(("kind", "cure"), [("usearch", r"keras-balanced-siamese\[gallery\]"), ("faiss", "faiss-cpu")])
def test_a_missing_package_is_named_with_its_cure(kind, cure, monkeypatch):
    monkeypatch.setitem(sys.modules, kind, None)
    monkeypatch.setitem(sys.modules, f"{kind}.index", None)
    with pytest.raises(ImportError, match=f"pip install.*{cure}"):
        Gallery(ITEMS, NAMES, index=kind)
