import math

import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES, noisy_classes
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese.gallery import Gallery, _classes
from keras_balanced_siamese.neighbours import _exact

pytestmark = pytest.mark.numpy_only


def slow_identify(items, labels, query, per_class):
    """The smallest mean distance to the nearest items of a class, in plain Python."""
    means = {}
    for label in sorted(set(labels)):
        near = sorted(math.dist(query, item) for item, own in zip(items, labels, strict=True) if own == label)[
            :per_class
        ]
        means[label] = sum(near) / len(near)
    return min(means.items(), key=lambda pair: pair[1])


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
def test_identify_in_many_blocks(per_class, small_blocks):
    items, labels = noisy_classes()
    queries = noisy_classes(seed=1)[0][:40]
    found = Gallery(items, labels, threshold=1.0).identify(queries, per_class=per_class, unknown=-1)
    for row, query in enumerate(queries.tolist()):
        label, distance = slow_identify(items.tolist(), labels.tolist(), query, per_class)
        assert found.distances[row] == pytest.approx(distance)
        assert found.known[row] == (distance <= 1.0)
        assert found.labels[row] == (label if distance <= 1.0 else -1)


def test_classes_within_single_precision_are_compared_exactly():
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
    found = cosine.identify([[3.0, 3.0]])  # independent of the length of an item
    assert found.labels.tolist() == ["a"]
    assert found.distances[0] == pytest.approx(0, abs=1e-12)


def test_a_large_class_has_no_advantage():
    crowd = np.random.default_rng(0).normal(size=(500, 4)) + 1.0
    gallery = Gallery(np.concatenate([crowd, np.zeros((1, 4))]), ["crowd"] * 500 + ["one"], threshold=np.inf)
    near_one = np.full((1, 4), 0.2)
    assert (gallery.search(near_one, k=15).labels == "crowd").sum() > 7
    assert gallery.identify(near_one).labels.tolist() == ["one"]
    assert gallery.identify(near_one, per_class=5).labels.tolist() == ["one"]


def test_items_beyond_the_threshold_are_unknown():
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    found = gallery.identify([[10.0, 1.0], [10.0, 1.0001]], per_class=1)
    assert found.labels.tolist() == ["bob", "unknown"]  # the threshold itself is included
    assert found.known.tolist() == [True, False]
    assert gallery.identify([[10.0, 3.0]], threshold=3.0, per_class=1).known.tolist() == [True]


def test_the_dtype_of_the_labels_holds_the_unknown_one():
    integers = Gallery(ITEMS, [1, 1, 1, 2], threshold=1)
    assert integers.identify([[99.0, 0.0]], unknown=-1).labels.dtype.kind == "i"
    assert integers.identify([[99.0, 0.0], [10.0, 0.0]]).labels.tolist() == ["unknown", 2]
    short = Gallery(ITEMS, ["a", "a", "a", "b"], threshold=1)
    assert short.identify([[99.0, 0.0]]).labels.tolist() == ["unknown"]


def test_a_class_without_a_mean_direction_has_no_centroid():
    gallery = Gallery([[1.0], [-1.0]], ["a", "a"], distance="cosine")
    with pytest.raises(ValueError, match="vectors of class 'a' cancel out"):
        gallery.identify([[1.0]], threshold=1)


def test_the_blocks_are_bounded(monkeypatch):
    sizes = []
    blocks = _classes.rough_blocks
    monkeypatch.setattr(_exact, "SCRATCH", 40_000)
    monkeypatch.setattr(
        _classes, "rough_blocks", lambda *args: (sizes.append(block[1].nbytes) or block for block in blocks(*args))
    )
    items, labels = noisy_classes()
    Gallery(items, labels, threshold=1).identify(items, per_class=2)
    assert len(sizes) > 3
    assert max(sizes) <= 40_000
