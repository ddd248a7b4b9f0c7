import math

import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES, noisy_classes

from keras_balanced_siamese.gallery import Gallery, _snapshot
from keras_balanced_siamese.neighbours import make_search_space

pytestmark = pytest.mark.numpy_only


def test_search_gives_the_nearest_items_first():
    found = Gallery(ITEMS, NAMES).search([[0.0, 3.0], [9.0, 0.0]], k=3)
    assert found.labels.tolist() == [["ann", "ann", "ann"], ["bob", "ann", "ann"]]
    assert found.indices.tolist() == [[1, 2, 0], [3, 0, 1]]  # of equally distant items the first
    np.testing.assert_allclose(found.distances, [[1, 1, 3], [1, 9, math.sqrt(85)]])
    cosine = Gallery(ITEMS[1:], NAMES[1:], distance="cosine").search([[5.0, 5.0]], k=1)
    np.testing.assert_allclose(cosine.distances, [[1 - math.sqrt(0.5)]])


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_search_equals_scikit_learn(distance, small_blocks):
    neighbors = pytest.importorskip("sklearn.neighbors")
    items, labels = noisy_classes()
    queries = noisy_classes(seed=1)[0][:50]
    found = Gallery(items, labels, distance=distance).search(queries, k=9)
    expected = neighbors.NearestNeighbors(n_neighbors=9, metric=distance, algorithm="brute").fit(items)
    distances, indices = expected.kneighbors(queries)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-9)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.labels, labels[indices])


def test_a_large_offset_does_not_change_distances():
    gallery = Gallery(np.array([[1000.0], [1000.1], [1000.2]], np.float32), ["a", "b", "c"], threshold=0.01)
    found = gallery.search(np.array([[1000.1]], np.float32), k=2)
    assert found.labels[0, 0] == "b"
    assert found.distances[0, 0] == 0
    assert found.distances[0, 1] == pytest.approx(0.1, abs=1e-4)
    assert gallery.identify(np.array([[1000.1]], np.float32)).labels.tolist() == ["b"]


def test_each_search_space_is_computed_once(monkeypatch):
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    sizes = []
    monkeypatch.setattr(
        _snapshot, "make_search_space", lambda points: sizes.append(len(points)) or make_search_space(points)
    )
    for _ in range(2):
        assert gallery.identify([[0.0, 2.0]]).labels.tolist() == ["ann"]
        assert gallery.search([[0.0, 2.0]], k=1).labels.tolist() == [["ann"]]
    assert sizes == [2, 4]  # the centroids and the items
    gallery.remove("ann")
    assert gallery.identify([[0.0, 2.0]]).labels.tolist() == ["unknown"]
    assert sizes == [2, 4, 1]


def test_added_items_are_found():
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    assert gallery.identify([[50.0, 0.0]]).labels.tolist() == ["unknown"]
    gallery.add([[50.0, 0.0]], ["a very long new name"])
    assert gallery.identify([[50.0, 0.0]]).labels.tolist() == ["a very long new name"]
    assert (len(gallery), gallery.classes) == (5, ["a very long new name", "ann", "bob"])
    assert gallery.counts == {"a very long new name": 1, "ann": 3, "bob": 1}


def test_removed_items_are_not_found():
    gallery = Gallery([*ITEMS, [50.0, 0.0]], [*NAMES, "eve"])
    gallery.remove("ann")
    assert gallery.search([[0.0, 0.0]], k=2).labels.tolist() == [["bob", "eve"]]
    assert gallery.counts == {"bob": 1, "eve": 1}
    with pytest.raises(ValueError, match=r"must be a class of the gallery.*'ann'"):
        gallery.remove("ann")


def test_a_gallery_that_was_emptied_takes_any_labels():
    gallery = Gallery(ITEMS, NAMES)
    gallery.remove("bob")
    gallery.remove("ann")
    assert (len(gallery), gallery.classes) == (0, [])
    gallery.add(ITEMS, [1, 2, 3, 4])
    assert gallery.classes == [1, 2, 3, 4]


def test_a_gallery_may_start_empty():
    gallery = Gallery(np.empty((0, 2)), [], threshold=1.0)
    assert len(gallery) == 0
    with pytest.raises(ValueError, match="a gallery of 0 items"):
        gallery.identify([[0.0, 0.0]])
    gallery.add(ITEMS, NAMES)
    assert gallery.identify([[10.0, 0.0]]).labels.tolist() == ["bob"]
    assert "4 items of 2 classes" in repr(gallery)


def test_the_gallery_keeps_its_own_copy():
    items = np.array(ITEMS, np.float32)
    gallery = Gallery(items, NAMES)
    items[:] = 7.0
    assert gallery.search([[0.0, 0.0]], k=1).distances.tolist() == [[0.0]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_dtypes(dtype):
    items = np.array(ITEMS, dtype)
    assert Gallery(items, NAMES).search(items, k=1).indices[:, 0].tolist() == [0, 1, 2, 3]


def test_the_threshold_can_be_assigned(tmp_path):
    gallery = Gallery(ITEMS, NAMES)
    gallery.threshold = 1.5
    assert gallery.identify([[10.0, 1.4]]).known.tolist() == [True]
    gallery.save(tmp_path / "g.npz")
    assert Gallery.load(tmp_path / "g.npz").threshold == 1.5
    gallery.threshold = None
    assert gallery.threshold is None


@pytest.mark.parametrize(
    ("threshold", "error"), [(True, TypeError), ("0.5", TypeError), (math.nan, ValueError), (-0.1, ValueError)]
)
def test_a_bad_threshold_is_not_assigned(threshold, error):
    gallery = Gallery(ITEMS, NAMES, threshold=1.5)
    with pytest.raises(error, match="`threshold` must be a distance"):
        gallery.threshold = threshold
    assert gallery.threshold == 1.5


def test_the_whole_range_of_a_distance_is_a_threshold():
    for distance, limits in (("euclidean", (0.0, 1e9, math.inf)), ("cosine", (0.0, 2.0, math.inf))):
        gallery = Gallery(ITEMS[1:], NAMES[1:], distance=distance)
        for limit in limits:
            assert gallery.identify(ITEMS[3:], threshold=limit).labels.tolist() == ["bob"]
    with pytest.raises(ValueError, match="at most 2 under the cosine"):
        gallery.identify(ITEMS[3:], threshold=2.5)


def test_large_integers_are_kept_exactly():
    big = 2**63 + 1
    gallery = Gallery(ITEMS, np.array([7, 7, 7, big], np.uint64), threshold=1.0)
    assert gallery.classes == [7, big]
    assert gallery.identify([[10.0, 0.0], [99.0, 0.0]], unknown=-1).labels.tolist() == [big, -1]
    small = Gallery(ITEMS[:3], [1, 2, 3])
    small.add(ITEMS[3:], np.array([big], np.uint64))
    assert small.classes == [1, 2, 3, big]
    with pytest.raises(TypeError, match="that one type holds"):
        small.add(ITEMS[:1], [-1])
    assert len(small) == 4


def test_no_items_change_no_labels():
    gallery = Gallery(ITEMS, [True, True, True, False])
    gallery.add(np.empty((0, 2)), [])
    assert gallery.counts == {False: 1, True: 3}
    assert gallery.classes == [False, True]


@pytest.mark.parametrize("name", ["distance", "index"])
def test_distance_and_index_are_fixed(name):
    with pytest.raises(AttributeError):
        setattr(Gallery(ITEMS, NAMES), name, "cosine")


@pytest.mark.parametrize(
    ("arguments", "kwargs", "error", "match"),
    [
        (([[math.nan, 0.0]], ["a"]), {}, ValueError, "must be finite"),
        (([[math.inf, 0.0]], ["a"]), {}, ValueError, "must be finite"),
        (([[0.0, 0.0]], ["a"]), {"distance": "cosine"}, ValueError, "length 0"),
        (([0.0, 0.0], ["a", "b"]), {}, ValueError, r"shape \(n, d\)"),
        ((ITEMS, ["a"]), {}, ValueError, "Received: 1 labels, 4 embeddings"),
        ((ITEMS, ["a", "b", "c", 1]), {}, TypeError, "must be of one type"),
        ((ITEMS, ["a", None, "c", "d"]), {}, ValueError, "missing"),
        ((ITEMS, np.array(["2020-01-01"] * 4, "M8[D]")), {}, TypeError, "strings or numbers"),
        ((ITEMS, NAMES), {"distance": "l1"}, ValueError, "`distance` must be one of"),
        ((ITEMS, NAMES), {"index": "annoy"}, ValueError, "`index` must be one of"),
        ((ITEMS, NAMES), {"threshold": "high"}, TypeError, "`threshold` must be a distance"),
        ((ITEMS, NAMES), {"threshold": math.nan}, ValueError, "`threshold` must be a distance"),
        ((ITEMS, NAMES), {"threshold": -0.5}, ValueError, "not on similarities.*Received: threshold=-0.5"),
        ((ITEMS, NAMES), {"threshold": -math.inf}, ValueError, "at least 0"),
        ((ITEMS[1:], NAMES[1:]), {"threshold": 2.1, "distance": "cosine"}, ValueError, "at most 2 under the cosine"),
        ((ITEMS, ["a", "b", "c", "a\0"]), {}, TypeError, "do not end in a null character"),
    ],
)
def test_bad_galleries(arguments, kwargs, error, match):
    with pytest.raises(error, match=match):
        Gallery(*arguments, **kwargs)


POINT = np.zeros((1, 2))


@pytest.mark.parametrize(
    ("method", "arguments", "kwargs", "error", "match"),
    [
        ("search", [np.zeros(2)], {}, ValueError, r"queries\[None\]"),
        ("search", [np.zeros((1, 3))], {}, ValueError, "2 dimensions of the gallery"),
        ("search", [POINT], {"k": 5}, ValueError, "at most the 4 items"),
        ("search", [POINT], {"k": 0}, ValueError, "at least 1"),
        ("identify", [POINT], {}, ValueError, r"`calibrate` returns.*threshold=np.inf"),
        ("identify", [POINT], {"threshold": 1, "per_class": "Centroid"}, ValueError, "`per_class` must be 'centroid'"),
        ("identify", [POINT], {"threshold": 1, "per_class": 1.5}, TypeError, "whole number"),
        ("identify", [POINT], {"threshold": 1, "unknown": "bob"}, ValueError, "`unknown` must not be a class"),
        ("add", [np.zeros((1, 3)), ["x"]], {}, ValueError, "2 dimensions of the gallery"),
        ("add", [POINT, [1]], {}, TypeError, "of the same type as in the gallery, strings"),
    ],
)
def test_bad_calls_change_nothing(method, arguments, kwargs, error, match):
    gallery = Gallery(ITEMS, NAMES)
    with pytest.raises(error, match=match):
        getattr(gallery, method)(*arguments, **kwargs)
    assert gallery.counts == {"ann": 3, "bob": 1}


def test_an_empty_gallery_cannot_be_searched():
    with pytest.raises(ValueError, match="a gallery of 0 items"):
        Gallery(np.empty((0, 2)), []).search(POINT)


def test_search_gives_five_items_or_all():
    assert Gallery(ITEMS, NAMES).search(POINT).labels.shape == (1, 4)
    assert Gallery(ITEMS * 2, NAMES * 2).search(POINT).labels.shape == (1, 5)


def test_no_queries_give_no_results():
    gallery = Gallery(ITEMS, NAMES, threshold=1)
    assert gallery.search(np.empty((0, 2)), k=2).labels.shape == (0, 2)
    for per_class in (2, "centroid"):
        assert gallery.identify(np.empty((0, 2)), per_class=per_class).labels.shape == (0,)
