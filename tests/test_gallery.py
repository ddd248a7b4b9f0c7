import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese.gallery import Gallery, _classes, _gallery
from keras_balanced_siamese.layers import DistanceToProbability
from keras_balanced_siamese.neighbours import _exact

ITEMS = [[0.0, 0.0], [0.0, 2.0], [0.0, 4.0], [10.0, 0.0]]
NAMES = ["ann", "ann", "ann", "bob"]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(_exact, "SCRATCH", 3_000)
    monkeypatch.setattr(_exact, "GROUP", 3)


def clusters(n=200, classes=8, dim=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, dim))[labels] + rng.normal(size=(n, dim)), labels


def slow_identify(items, labels, query, per_class):
    """The least mean distance to the nearest items of a class, in plain Python."""
    means = {}
    for label in sorted(set(labels)):
        near = sorted(math.dist(query, item) for item, own in zip(items, labels, strict=True) if own == label)[
            :per_class
        ]
        means[label] = sum(near) / len(near)
    return min(means.items(), key=lambda pair: pair[1])


def test_search():
    found = Gallery(ITEMS, NAMES).search([[0.0, 3.0], [9.0, 0.0]], k=3)
    assert found.labels.tolist() == [["ann", "ann", "ann"], ["bob", "ann", "ann"]]
    assert found.indices.tolist() == [[1, 2, 0], [3, 0, 1]]  # of equal ones the first
    np.testing.assert_allclose(found.distances, [[1, 1, 3], [1, 9, math.sqrt(85)]])
    cosine = Gallery(ITEMS[1:], NAMES[1:], distance="cosine").search([[5.0, 5.0]], k=1)
    np.testing.assert_allclose(cosine.distances, [[1 - math.sqrt(0.5)]])


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_search_equals_scikit_learn(distance, small):
    neighbors = pytest.importorskip("sklearn.neighbors")
    items, labels = clusters()
    queries = clusters(seed=1)[0][:50]
    found = Gallery(items, labels, distance=distance).search(queries, k=9)
    expected = neighbors.NearestNeighbors(n_neighbors=9, metric=distance, algorithm="brute").fit(items)
    distances, indices = expected.kneighbors(queries)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-9)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.labels, labels[indices])


def test_large_offsets_do_not_cost_digits():
    gallery = Gallery(np.array([[1000.0], [1000.1], [1000.2]], np.float32), ["a", "b", "c"], threshold=0.01)
    found = gallery.search(np.array([[1000.1]], np.float32), k=2)
    assert found.labels[0, 0] == "b"
    assert found.distances[0, 0] == 0
    assert found.distances[0, 1] == pytest.approx(0.1, abs=1e-4)
    assert gallery.identify(np.array([[1000.1]], np.float32)).labels.tolist() == ["b"]


@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([0.0, 1000.0]))
def test_identify_equals_the_slow_one(seed, per_class, offset):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    items, labels = (rng.integers(0, 4, size=(n, 2)) + offset), rng.integers(0, 4, size=n)
    queries = rng.integers(0, 4, size=(5, 2)) + offset
    found = Gallery(items, labels, threshold=np.inf).identify(queries, per_class=per_class, unknown=-1)
    for row, query in enumerate(queries.tolist()):
        _, nearest = slow_identify(items.tolist(), labels.tolist(), query, per_class)
        assert found.distances[row] == pytest.approx(nearest, rel=1e-12)
        own = [item for item, label in zip(items.tolist(), labels.tolist(), strict=True) if label == found.labels[row]]
        assert slow_identify(own, ["own"] * len(own), query, per_class)[1] == pytest.approx(nearest, rel=1e-12)


@pytest.mark.parametrize("per_class", [1, 3, 1000])
def test_identify_in_many_blocks(per_class, small):
    items, labels = clusters()
    queries = clusters(seed=1)[0][:40]
    found = Gallery(items, labels, threshold=1.0).identify(queries, per_class=per_class, unknown=-1)
    for row, query in enumerate(queries.tolist()):
        label, distance = slow_identify(items.tolist(), labels.tolist(), query, per_class)
        assert found.distances[row] == pytest.approx(distance)
        assert found.known[row] == (distance <= 1.0)
        assert found.labels[row] == (label if distance <= 1.0 else -1)


def test_classes_that_single_precision_cannot_tell_apart_are_measured():
    rng = np.random.default_rng(0)
    for _ in range(20):
        query, step = rng.normal(size=6), rng.normal(size=6)
        items = np.stack([query - step * (1 + 1e-9), query + step, rng.normal(size=6) * 100])
        found = Gallery(items, ["b", "a", "c"], threshold=np.inf).identify(query[None], per_class=1)
        assert found.labels.tolist() == ["a"]
        found = Gallery(items, ["a", "b", "c"], threshold=np.inf).identify(query[None], per_class=1)
        assert found.labels.tolist() == ["b"]


def test_identify_by_centroid():
    gallery = Gallery(ITEMS, NAMES, threshold=np.inf)
    found = gallery.identify([[0.0, 2.0], [6.0, 2.0]])
    assert found.labels.tolist() == ["ann", "bob"]
    np.testing.assert_allclose(found.distances, [0, math.sqrt(20)])
    cosine = Gallery([[2.0, 0.0], [0.0, 9.0], [-1.0, 0.0]], ["a", "a", "b"], distance="cosine", threshold=np.inf)
    found = cosine.identify([[3.0, 3.0]])  # the length of an item does not count
    assert found.labels.tolist() == ["a"]
    assert found.distances[0] == pytest.approx(0, abs=1e-12)


def test_a_class_does_not_win_by_number():
    crowd = np.random.default_rng(0).normal(size=(500, 4)) + 1.0
    gallery = Gallery(np.concatenate([crowd, np.zeros((1, 4))]), ["crowd"] * 500 + ["one"], threshold=np.inf)
    near_one = np.full((1, 4), 0.2)
    assert (gallery.search(near_one, k=15).labels == "crowd").sum() > 7
    assert gallery.identify(near_one).labels.tolist() == ["one"]
    assert gallery.identify(near_one, per_class=5).labels.tolist() == ["one"]


def test_unknown():
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    found = gallery.identify([[10.0, 1.0], [10.0, 1.0001]], per_class=1)
    assert found.labels.tolist() == ["bob", "unknown"]  # the threshold itself is near enough
    assert found.known.tolist() == [True, False]
    assert gallery.identify([[10.0, 3.0]], threshold=3.0, per_class=1).known.tolist() == [True]
    assert Gallery(ITEMS, [1, 1, 1, 2], threshold=1).identify([[99.0, 0.0]], unknown=-1).labels.dtype.kind == "i"
    mixed = Gallery(ITEMS, [1, 1, 1, 2], threshold=1).identify([[99.0, 0.0], [10.0, 0.0]]).labels
    assert mixed.tolist() == ["unknown", 2]
    longer = Gallery(ITEMS, ["a", "a", "a", "b"], threshold=1).identify([[99.0, 0.0]]).labels
    assert longer.tolist() == ["unknown"]  # not cut to the length of the labels


def test_threshold_of_a_layer():
    layer = DistanceToProbability(slope=2.0, threshold=0.7)
    layer.build((None, 1))
    assert Gallery(ITEMS, NAMES, threshold=layer).threshold == pytest.approx(0.7)
    layer.set_weights([np.float32(2.0), np.float32(1.5)])
    assert Gallery(ITEMS, NAMES, threshold=layer).threshold == pytest.approx(1.5)
    assert Gallery(ITEMS, NAMES).identify([[10.0, 1.4]], threshold=layer).known.tolist() == [True]


def test_the_threshold_can_be_assigned_and_nothing_else(tmp_path):
    gallery = Gallery(ITEMS, NAMES)
    layer = DistanceToProbability(slope=2.0, threshold=1.5)
    gallery.threshold = layer
    assert gallery.threshold == 1.5
    assert gallery.identify([[10.0, 1.4]]).known.tolist() == [True]
    gallery.save(tmp_path / "g.npz")
    assert Gallery.load(tmp_path / "g.npz").threshold == 1.5
    for wrong, error in ((True, TypeError), ("0.5", TypeError), (math.nan, ValueError)):
        with pytest.raises(error, match="`threshold` must be a distance"):
            gallery.threshold = wrong
    gallery.threshold = None
    assert gallery.threshold is None
    for name in ("distance", "index"):
        with pytest.raises(AttributeError):
            setattr(gallery, name, "cosine")


def test_what_is_derived_from_the_items_is_computed_once(monkeypatch):
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    opened = []
    monkeypatch.setattr(_gallery, "open_space", lambda points: opened.append(len(points)) or _exact.open_space(points))
    for _ in range(2):
        assert gallery.identify([[0.0, 2.0]]).labels.tolist() == ["ann"]
    assert opened == [4, 2]  # the items and the centroids
    gallery.remove("ann")
    assert gallery.identify([[0.0, 2.0]]).labels.tolist() == ["unknown"]
    assert opened == [4, 2, 1, 1]


def test_add_and_remove():
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    assert gallery.identify([[50.0, 0.0]]).labels.tolist() == ["unknown"]
    gallery.add([[50.0, 0.0]], ["a very long new name"])
    assert gallery.identify([[50.0, 0.0]]).labels.tolist() == ["a very long new name"]
    assert (len(gallery), gallery.classes) == (5, ["a very long new name", "ann", "bob"])
    assert gallery.counts == {"a very long new name": 1, "ann": 3, "bob": 1}
    gallery.remove("ann")
    assert gallery.search([[0.0, 0.0]], k=2).labels.tolist() == [["bob", "a very long new name"]]
    assert gallery.counts == {"a very long new name": 1, "bob": 1}
    with pytest.raises(ValueError, match=r"must be a class of the gallery.*'ann'"):
        gallery.remove("ann")
    gallery.remove("bob")
    gallery.remove("a very long new name")
    assert (len(gallery), gallery.classes) == (0, [])
    gallery.add(ITEMS, [1, 2, 3, 4])
    assert gallery.classes == [1, 2, 3, 4]


def test_starts_empty():
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


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "tensor"])
def test_dtypes(dtype):
    if dtype == "tensor":
        import keras

        made = keras.layers.Lambda(lambda x: x)(np.array(ITEMS, np.float32))
    else:
        made = np.array(ITEMS, dtype)
    assert Gallery(made, NAMES).search(made, k=1).indices[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "names", [["a", "b", "ü", "b"], [3, -1, 3, 7], [0.5, 1.5, 1.5, 2.0], [True, False, True, True]]
)
@pytest.mark.parametrize("threshold", [None, 0.25, np.inf])
def test_save_and_load(names, threshold, tmp_path):
    for distance, items in (("euclidean", np.array(ITEMS)), ("cosine", np.array(ITEMS, np.float32) + 1)):
        before = Gallery(items, names, distance=distance, threshold=threshold)
        path = tmp_path / "people.gallery"
        before.save(path)
        after = Gallery.load(str(path))
        assert repr(after) == repr(before)
        assert after.counts == before.counts
        assert [type(label) for label in after.classes] == [type(label) for label in before.classes]
        for one, other in zip(before.search(items, 3), after.search(items, 3), strict=True):
            np.testing.assert_array_equal(one, other)
        with np.load(path, allow_pickle=False) as file:
            assert file["embeddings"].dtype == items.dtype


def test_load_refuses_other_files(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(ValueError, match=r"must be a file that `Gallery.save` wrote.*other.npz"):
        Gallery.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", labels=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="wrote"):
        Gallery.load(tmp_path / "pickled.npz")
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(ValueError, match="wrote"):
        Gallery.load(tmp_path / "array.npy")
    with pytest.raises(FileNotFoundError):
        Gallery.load(tmp_path / "none.npz")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_load_refuses_a_part_of_a_file(share, tmp_path):
    path = tmp_path / "part.npz"
    Gallery(ITEMS, NAMES).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"must be a file that `Gallery.save` wrote.*part.npz"):
        Gallery.load(path)
    path.write_text("label,x,y\nann,0,1\n")
    with pytest.raises(ValueError, match="wrote"):
        Gallery.load(path)


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "g.npz"
    Gallery(ITEMS, NAMES).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(np, "savez", lambda file, **arrays: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Gallery(ITEMS[:1], NAMES[:1]).save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["g.npz"]


@pytest.mark.parametrize("kind", ["usearch", "faiss"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_approximate_index(kind, distance, tmp_path):
    pytest.importorskip(kind)
    items, labels = clusters(n=2000)
    items = items + 100.0
    queries = items[:100] + 0.1
    exact = Gallery(items, labels, distance=distance, threshold=0.5)
    rough = Gallery(items, labels, distance=distance, threshold=0.5, index=kind)
    found, expected = rough.search(queries, k=5), exact.search(queries, k=5)
    assert (found.indices == expected.indices).mean() > 0.95
    same = found.indices == expected.indices
    np.testing.assert_array_equal(found.distances[same], expected.distances[same])
    for per_class in (1, 3, "centroid"):
        ours, theirs = (one.identify(queries, per_class=per_class, unknown=-1) for one in (rough, exact))
        assert (ours.labels == theirs.labels).mean() > 0.95
    rough.add(queries[:1] + 50.0, [99])
    assert rough.search(queries[:1] + 50.0, k=1).labels.tolist() == [[99]]
    rough.save(tmp_path / "g.npz")
    again = Gallery.load(tmp_path / "g.npz")
    assert again.index == kind
    assert again.search(queries[:1] + 50.0, k=1).labels.tolist() == [[99]]
    few = Gallery(ITEMS[1:], [1, 1, 2], distance=distance, index=kind)
    assert sorted(few.search(ITEMS[1:2], k=3).indices[0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(("kind", "cure"), [("usearch", r"keras-balanced-siamese\[gallery\]"), ("faiss", "faiss-cpu")])
def test_missing_package(kind, cure, monkeypatch):
    monkeypatch.setitem(sys.modules, kind, None)
    monkeypatch.setitem(sys.modules, f"{kind}.index", None)
    with pytest.raises(ImportError, match=f"pip install.*{cure}"):
        Gallery(ITEMS, NAMES, index=kind)


@pytest.mark.parametrize(
    ("arguments", "kwargs", "error", "match"),
    [
        (([[math.nan, 0.0]], ["a"]), {}, ValueError, "must be finite"),
        (([[math.inf, 0.0]], ["a"]), {}, ValueError, "must be finite"),
        (([[0.0, 0.0]], ["a"]), {"distance": "cosine"}, ValueError, "length 0"),
        (([0.0, 0.0], ["a", "b"]), {}, ValueError, r"shape \(n, d\)"),
        ((ITEMS, ["a"]), {}, ValueError, "Received: 1 labels, 4 embeddings"),
        ((ITEMS, ["a", "b", "c", 1]), {}, TypeError, "all of one type"),
        ((ITEMS, ["a", None, "c", "d"]), {}, ValueError, "missing"),
        ((ITEMS, np.array(["2020-01-01"] * 4, "M8[D]")), {}, TypeError, "so that they can be saved"),
        ((ITEMS, NAMES), {"distance": "l1"}, ValueError, "`distance` must be one of"),
        ((ITEMS, NAMES), {"index": "annoy"}, ValueError, "`index` must be one of"),
        ((ITEMS, NAMES), {"threshold": "high"}, TypeError, "`threshold` must be a distance"),
        ((ITEMS, NAMES), {"threshold": math.nan}, ValueError, "`threshold` must be a distance"),
    ],
)
def test_bad_galleries(arguments, kwargs, error, match):
    with pytest.raises(error, match=match):
        Gallery(*arguments, **kwargs)


def test_bad_calls():
    gallery = Gallery(ITEMS, NAMES)
    with pytest.raises(ValueError, match=r"queries\[None\]"):
        gallery.search(np.zeros(2))
    with pytest.raises(ValueError, match="2 dimensions of the gallery"):
        gallery.search(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="at most the 4 items"):
        gallery.search(np.zeros((1, 2)), k=5)
    with pytest.raises(ValueError, match="at least 1"):
        gallery.search(np.zeros((1, 2)), k=0)
    assert gallery.search(np.zeros((1, 2))).labels.shape == (1, 4)  # 5, or as many as there are
    with pytest.raises(ValueError, match="a gallery of 0 items"):
        Gallery(np.empty((0, 2)), []).search(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="`per_class` must be 'centroid' or a whole number"):
        gallery.identify(np.zeros((1, 2)), threshold=1, per_class="Centroid")
    with pytest.raises(ValueError, match=r"`calibrate` returns.*threshold=np.inf"):
        gallery.identify(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="`unknown` must not be a class"):
        gallery.identify(np.zeros((1, 2)), threshold=1, unknown="bob")
    with pytest.raises(TypeError, match="whole number"):
        gallery.identify(np.zeros((1, 2)), threshold=1, per_class=1.5)
    with pytest.raises(ValueError, match="2 dimensions of the gallery"):
        gallery.add(np.zeros((1, 3)), ["x"])
    with pytest.raises(TypeError, match="of the type that the gallery has, strings"):
        gallery.add(np.zeros((1, 2)), [1])
    with pytest.raises(ValueError, match="vectors of class 'a' cancel out"):
        Gallery([[1.0], [-1.0]], ["a", "a"], distance="cosine").identify([[1.0]], threshold=1)
    assert len(gallery) == 4


def test_no_queries():
    gallery = Gallery(ITEMS, NAMES, threshold=1)
    assert gallery.search(np.empty((0, 2)), k=2).labels.shape == (0, 2)
    for per_class in (2, "centroid"):
        assert gallery.identify(np.empty((0, 2)), per_class=per_class).labels.shape == (0,)


def test_the_blocks_are_bounded(monkeypatch):
    seen = []
    blocks = _classes.rough_blocks
    monkeypatch.setattr(_exact, "SCRATCH", 40_000)
    monkeypatch.setattr(
        _classes, "rough_blocks", lambda *args: (seen.append(block[1].nbytes) or block for block in blocks(*args))
    )
    items, labels = clusters()
    Gallery(items, labels, threshold=1).identify(items, per_class=2)
    assert len(seen) > 3
    assert max(seen) <= 40_000
