"""The approximate index of a gallery follows its changes."""

import copy
import pickle

import numpy as np
import pytest
from gallery.test_gallery_threads import in_threads
from gallery.toy_gallery import noisy_classes

from keras_balanced_siamese.gallery import Gallery
from keras_balanced_siamese.neighbours import _approximate

pytestmark = pytest.mark.numpy_only


@pytest.fixture
def added(monkeypatch):
    """Numbers of vectors that were added to an index, in each call."""
    sizes = []
    for cls in (_approximate.Usearch, _approximate.Faiss):
        add = cls.add
        monkeypatch.setattr(
            cls, "add", lambda self, ids, *rest, add=add: sizes.append(len(ids)) or add(self, ids, *rest)
        )
    return sizes


def check(gallery, items, labels, distance="euclidean"):
    """Most of the answers of a gallery are those of an exact one; threads build the graph, so it differs each time."""
    exact = Gallery(items, labels, distance=distance, threshold=np.inf)
    queries = items[::7] + 0.05
    found, expected = (one.search(queries, k=4) for one in (gallery, exact))
    assert np.mean([np.isin(*rows) for rows in zip(expected.indices, found.indices, strict=True)]) > 0.9
    assert (found.labels == np.asarray(labels)[found.indices]).all()
    gaps = np.linalg.norm(items[found.indices] - queries[:, None], axis=2)
    if distance == "euclidean":
        np.testing.assert_allclose(found.distances, gaps)
    for per_class in (1, "centroid"):
        names = [one.identify(queries, per_class=per_class, threshold=np.inf, unknown=-1) for one in (gallery, exact)]
        assert (names[0].labels == names[1].labels).mean() > 0.9


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_only_new_items_are_added_to_an_index(kind, distance, added):
    items, labels = noisy_classes(n=600)
    items = items + 3.0
    gallery = Gallery(items[:500], labels[:500], distance=distance, index=kind)
    gallery.search(items[:1])
    for start in range(500, 600, 20):
        gallery.add(items[start : start + 20], labels[start : start + 20])
        if start in (540, 580):
            check(gallery, items[: start + 20], labels[: start + 20], distance)
    assert [size for size in added if size] == [500, 60, 40]


def test_removed_items_are_not_found(kind, added):
    items, labels = noisy_classes(n=600)
    more = noisy_classes(n=30, seed=1)[0]
    gallery = Gallery(items, labels, index=kind)
    gallery.search(items[:1])
    for name in (3, 0, 5):
        gallery.remove(name)
        items, labels = items[labels != name], labels[labels != name]
        check(gallery, items, labels)
        items, labels = np.concatenate([items, more + name]), np.append(labels, [90 + name] * 30)
        gallery.add(items[-30:], labels[-30:])
        check(gallery, items, labels)
    if kind == "usearch":
        assert [size for size in added if size] == [600, 30, 30, 30]


def test_the_last_item_may_go_and_another_may_come(kind):
    """The new item must not be taken for the removed one, which was at the same position."""
    items, labels = noisy_classes(n=300)
    items, labels = np.concatenate([items, [[60.0] * 5]]), np.append(labels, 77)
    gallery = Gallery(items, labels, index=kind)
    gallery.search(items[:1])
    gallery.remove(77)
    gallery.add([[-60.0] * 5], [78])
    assert gallery.search([[-59.0] * 5], k=1).labels.tolist() == [[78]]
    assert gallery.search([[59.0] * 5], k=1).labels[0, 0] not in (77, 78)


def test_a_gallery_may_be_emptied_and_filled_again(kind):
    items, labels = noisy_classes(n=100)
    gallery = Gallery(items, labels, index=kind)
    gallery.search(items[:1])
    for label in np.unique(labels):
        gallery.remove(label)
    gallery.add(items[:60] + 1e6, labels[:60])
    check(gallery, items[:60] + 1e6, labels[:60])


def test_an_index_is_built_again_when_most_of_it_was_removed(added):
    pytest.importorskip("usearch")
    items, labels = noisy_classes(n=400, classes=4)
    gallery = Gallery(items, labels, index="usearch")
    gallery.search(items[:1])
    for name in range(3):
        gallery.remove(name)
        check(gallery, items[labels > name], labels[labels > name])
    assert len([size for size in added if size]) == 2


@pytest.mark.parametrize(("shift", "scale"), [(1e8, 1.0), (0.0, 1e-25), (0.0, 1e25)])
def test_an_index_is_built_again_when_its_numbers_are_too_coarse(kind, shift, scale):
    items, labels = noisy_classes(n=300)
    items = items * scale + shift
    gallery = Gallery(np.eye(5), ["old"] * 5, index=kind)
    gallery.search([[0.0] * 5])
    gallery.add(items, labels.astype(str))
    gallery.search(items[:1])
    gallery.remove("old")
    exact = Gallery(items, labels)
    assert (gallery.search(items, k=3).indices == exact.search(items, k=3).indices).mean() > 0.9


def test_a_call_that_has_begun_keeps_its_items(kind):
    """Searches by an older snapshot, before and after the index has followed a newer one."""
    items, labels = noisy_classes(n=300)
    gallery = Gallery(items, labels, index=kind)
    before, exact = gallery._snapshot, Gallery(items, labels)._snapshot
    expected = *exact.nearest_items(items[:50], 5), *exact.nearest_classes(items[:50], 2)
    gallery.add(items[:50] + 1e-3, [99] * 50)
    gallery.search(items[:1])
    between = gallery._snapshot
    grown = *before.nearest_items(items[:50], 5), *before.nearest_classes(items[:50], 2)
    for one, other in zip(grown, expected, strict=True):
        assert (one == other).mean() > 0.9
    assert (grown[1] < 300).all()
    assert (between.nearest_items(items[:50], 5)[1] >= 300).any()
    gallery.remove(int(labels[0]))
    gallery.search(items[:1])
    shrunk = *before.nearest_items(items[:50], 5), *before.nearest_classes(items[:50], 2)
    for one, other in zip(shrunk, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (between.nearest_items(items[:50], 5)[1] >= 300).any()


def test_an_interrupted_change_does_no_harm(kind, monkeypatch):
    items, labels = noisy_classes(n=300)
    gallery = Gallery(items[:250], labels[:250], index=kind)
    gallery.search(items[:1])
    gallery.add(items[250:], labels[250:])
    cls = {"usearch": _approximate.Usearch, "faiss": _approximate.Faiss}[kind]
    with monkeypatch.context() as patch:
        patch.setattr(cls, "add", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            gallery.search(items[:1])
    check(gallery, items, labels)


def test_names_are_right_while_another_thread_enrols(kind, fast_switches):
    rng = np.random.default_rng(0)
    items = rng.normal(size=(200, 8))
    gallery = Gallery(items[:100], np.arange(100), index=kind, threshold=1e-9)

    def enrol():
        for k in range(100, 200, 10):
            gallery.add(items[k : k + 10], np.arange(k, k + 10))
            gallery.identify(items[k : k + 10], per_class=1, unknown=-1)
            gallery.remove(k)

    def ask():
        for _ in range(10):
            found = gallery.search(items[:100], k=1)
            gaps = np.linalg.norm(items[found.labels[:, 0]] - items[:100], axis=1)
            np.testing.assert_allclose(found.distances[:, 0], gaps, atol=1e-12)
            assert (gaps == 0).mean() > 0.9
            named = gallery.identify(items[:100], per_class=1, unknown=-1).labels
            assert set((named - np.arange(100))[named >= 0]) == {0}
            assert (named >= 0).mean() > 0.9

    assert in_threads(enrol, ask, ask) == []
    assert gallery.search(items[199:], k=1).labels.tolist() == [[199]]


def test_a_gallery_with_an_index_can_be_copied_and_pickled(kind):
    items, labels = noisy_classes(n=200)
    gallery = Gallery(items, labels, index=kind)
    gallery.remove(3)
    items, labels = items[labels != 3], labels[labels != 3]
    for again in (copy.deepcopy(gallery), pickle.loads(pickle.dumps(gallery))):
        again.add(items[:1] + 9.0, [50])
        check(again, np.concatenate([items, items[:1] + 9.0]), np.append(labels, 50))
    check(gallery, items, labels)


def test_a_shallow_copy_and_its_original_change_apart(kind):
    items, labels = noisy_classes(n=400)
    gallery = Gallery(items[:200], labels[:200], index=kind)
    gallery.search(items[:1])
    again = copy.copy(gallery)
    gallery.add(items[200:] + 9.0, labels[200:])
    check(gallery, np.concatenate([items[:200], items[200:] + 9.0]), labels)
    again.add(items[200:], labels[200:])
    check(again, items, labels)


def test_a_call_that_began_before_a_removal_still_finds_what_was_removed(kind):
    """It works on the items that there were when it began, while a newer call takes them out of the shared index."""
    items, labels = noisy_classes(120, 4)
    gallery = Gallery(items, labels, index=kind)
    gallery.search(items[:5])
    before = gallery._snapshot  # what a call reads first
    removed = np.flatnonzero(np.asarray(labels) == labels[0])
    gallery.remove(labels[0])
    gallery.search(items[-5:])  # brings the index up to date
    distances, found = before.nearest_items(items[removed], 1)
    np.testing.assert_array_equal(found[:, 0], removed)
    np.testing.assert_allclose(distances, 0, atol=1e-5)
