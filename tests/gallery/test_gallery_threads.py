import copy
import pickle
import threading

import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES

from keras_balanced_siamese.gallery import Gallery, _snapshot
from keras_balanced_siamese.neighbours import _exact

pytestmark = pytest.mark.numpy_only

CALLS = {
    "search": lambda gallery: gallery.search([[10.0, 0.0]], k=1).labels[0].tolist(),
    "centroid": lambda gallery: gallery.identify([[10.0, 0.0]]).labels.tolist(),
    "items": lambda gallery: gallery.identify([[10.0, 0.0]], per_class=1).labels.tolist(),
}


def in_threads(*functions):
    """Run the functions side by side; return what they raised."""
    raised = []

    def run(function):
        try:
            function()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("change", ["remove", "add"])
def test_a_call_that_has_begun_keeps_its_items(call, change, monkeypatch):
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    blocks = _exact.rough_copy

    def changed_meanwhile(*args):
        monkeypatch.setattr(_exact, "rough_copy", blocks)
        if change == "remove":
            gallery.remove("ann")
        else:
            gallery.add([[10.0, 0.5]], ["a new name that sorts first"])
        return blocks(*args)

    monkeypatch.setattr(_exact, "rough_copy", changed_meanwhile)
    assert call(gallery) == ["bob"]
    assert call(gallery) == ["bob"]  # nothing derived from the old items is left
    assert gallery.counts == {"ann": 3, "bob": 1, "a new name that sorts first": 1} if change == "add" else {"bob": 1}


def test_names_are_right_while_another_thread_enrols(fast_switches):
    def point(k):
        return [[float(k), float(k % 7)]]

    gallery = Gallery(np.concatenate([point(k) for k in range(50)]), [f"p{k}" for k in range(50)], threshold=0.1)
    enrolled = threading.Event()

    def enrol():
        try:
            for k in range(50, 170):
                gallery.add(point(k), [f"a{k}"])
                if k % 3 == 0:
                    gallery.remove(f"a{k}")
        finally:
            enrolled.set()

    def ask(per_class):
        k = 0
        while not enrolled.is_set() or k < 50:
            k += 1
            known = k * 7 % 50
            assert gallery.identify(point(known), per_class=per_class).labels.tolist() == [f"p{known}"]
            found = gallery.search(point(known), k=1)
            assert (found.labels.tolist(), found.distances.tolist()) == ([[f"p{known}"]], [[0.0]])
            assert len(gallery.counts) >= 50

    assert in_threads(enrol, lambda: ask("centroid"), lambda: ask(1)) == []
    assert gallery.identify(point(169)).labels.tolist() == ["a169"]


def test_no_item_is_lost_when_several_threads_enrol(fast_switches):
    gallery = Gallery(np.empty((0, 2)), [])

    def enrol(name):
        for k in range(40):
            gallery.add([[float(k), 0.0]], [name])

    assert in_threads(*[lambda name=name: enrol(name) for name in "abcd"]) == []
    assert gallery.counts == dict.fromkeys("abcd", 40)


def test_several_threads_build_an_index_once(fast_switches, monkeypatch):
    built, ready = [], threading.Barrier(4)
    make = _snapshot.make_search_space
    monkeypatch.setattr(_snapshot, "make_search_space", lambda points: built.append(len(points)) or make(points))
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)

    def ask():
        ready.wait(10)
        gallery.identify([[10.0, 0.0]])
        gallery.search([[10.0, 0.0]])

    assert in_threads(*[ask] * 4) == []
    assert sorted(built) == [2, 4]  # the centroids and the items


def test_threads_that_save_to_one_file_do_not_mix_their_parts(fast_switches, tmp_path):
    path = tmp_path / "g.npz"
    galleries = [Gallery(np.full((1000, 8), k), [k] * 1000) for k in range(4)]

    def save(gallery):
        for _ in range(5):
            gallery.save(path)
            assert len(Gallery.load(path)) == 1000

    assert in_threads(*[lambda gallery=gallery: save(gallery) for gallery in galleries]) == []
    assert [one.name for one in tmp_path.iterdir()] == ["g.npz"]


def test_a_gallery_can_be_copied_and_pickled():
    gallery = Gallery(ITEMS, NAMES, threshold=1.0)
    assert CALLS["centroid"](gallery) == ["bob"]
    for again in (copy.deepcopy(gallery), pickle.loads(pickle.dumps(gallery))):
        assert (repr(again), again.counts) == (repr(gallery), gallery.counts)
        again.add([[50.0, 0.0]], ["eve"])
        assert again.identify([[50.0, 0.0]]).labels.tolist() == ["eve"]
    assert gallery.counts == {"ann": 3, "bob": 1}
