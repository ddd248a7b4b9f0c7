"""Files with the approximate index of a gallery."""

import io
import random
import zipfile

import numpy as np
import pytest
from gallery.toy_gallery import noisy_classes

from keras_balanced_siamese.gallery import Gallery
from keras_balanced_siamese.neighbours import _approximate, _graph_bytes

pytest.importorskip("usearch")
pytestmark = pytest.mark.numpy_only


def npy(value):
    out = io.BytesIO()
    np.save(out, value)
    return out.getvalue()


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def graph_of(path):
    with np.load(path) as file:
        return file["graph"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.npz"


@pytest.fixture
def no_building(monkeypatch):
    """Let the test fail if an index is built."""

    def add(self, ids, vectors, old=_approximate.Usearch.add):
        assert len(ids) < 50
        old(self, ids, vectors)

    return lambda: monkeypatch.setattr(_approximate.Usearch, "add", add)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("searched", [True, False])
def test_a_saved_index_is_not_built_again(distance, searched, path, no_building):
    items, labels = noisy_classes(n=500)
    gallery = Gallery(items, labels, distance=distance, index="usearch", threshold=0.5)
    if searched:
        gallery.search(items[:1])
        gallery.remove(2)
        gallery.add(items[:10] + 0.01, [50] * 10)  # is in the file before a search has asked for it
    gallery.save(path)
    no_building()
    again = Gallery.load(path)
    assert (repr(again), again.counts) == (repr(gallery), gallery.counts)
    for one, other in zip(again.search(items, k=5), gallery.search(items, k=5), strict=True):
        assert (one == other).mean() > 0.9
    new = items[:20] + np.array([3.0, 0.0, -3.0, 1.0, 0.0])
    again.add(new, [60] * 20)
    assert (again.search(new, k=1).labels == 60).mean() > 0.9
    again.remove(60)
    assert not (again.search(new, k=3).labels == 60).any()
    again.save(path)
    assert Gallery.load(path).counts == gallery.counts


def test_a_file_holds_nothing_of_removed_items(path):
    items, labels = noisy_classes(n=300)
    items = items.astype(np.float32)
    gallery = Gallery(items, labels, index="usearch")
    gallery.search(items[:1])
    gallery.remove(2)
    gallery.save(path)
    content, graph = path.read_bytes(), graph_of(path)
    centre, scale = items.mean(axis=0, dtype=np.float64), np.abs(items - items.mean(axis=0, dtype=np.float64)).max()
    for item, label in zip(items, labels, strict=True):
        assert (item.tobytes() in content) == (label != 2)
        assert ((item - centre) / scale).astype(np.float32).tobytes() not in content
    assert (
        np.frombuffer(graph, np.uint8)[25:33].view("<u8") == (labels == 2).sum()
    ).all()  # the places are still there


def test_files_without_an_index_open(path):
    """Those of older versions are such files."""
    items, labels = noisy_classes(n=300)
    gallery = Gallery(items, labels, index="usearch")
    gallery.save(path)
    members = members_of(path)
    write(path, {name: content for name, content in members.items() if "graph" not in name} | {"format.npy": npy(1)})
    assert (Gallery.load(path).search(items, 1).indices[:, 0] == np.arange(300)).mean() > 0.9
    for kind, n in (("exact", 300), ("usearch", 0)):
        Gallery(items[:n], labels[:n], index=kind).save(path)
        assert set(members_of(path)) == set(members) - {"graph.npy", "graph_of.npy"}
        assert len(Gallery.load(path)) == n


@pytest.mark.parametrize("change", ["other items", "another order", "another distance", "another index", "no digest"])
def test_an_index_of_other_items_is_refused(change, path):
    items, labels = noisy_classes(n=300)
    Gallery(items, labels, index="usearch").save(path)
    members = members_of(path)
    if change == "other items":
        members["embeddings.npy"] = npy(noisy_classes(n=300, seed=1)[0])
    elif change == "another order":
        members["embeddings.npy"] = npy(items[::-1].copy())
    elif change == "another distance":
        members["distance.npy"] = npy("cosine")
    elif change == "another index":
        members["index.npy"] = npy("exact")
    else:
        members["graph_of.npy"] = npy(np.zeros(3))
    write(path, members)
    with pytest.raises(ValueError, match=r"unchanged.*(of other items|expected no graph|size 1)"):
        Gallery.load(path)


def changed(graph, **places):
    """A copy of a graph with other numbers at some places, each `(offset, dtype, value)`."""
    graph = graph.copy()
    for offset, dtype, value in places.values():
        graph[offset : offset + np.dtype(dtype).itemsize] = np.array([value], dtype).view(np.uint8)
    return graph


FIRST = 104 + 2 * 300  # offset of the first node: its key, its level, its number of links, its links
BAD = {
    "nothing": lambda graph: graph[:0],
    "a head only": lambda graph: graph[:104],
    "a part": lambda graph: graph[:-4],
    "more than a graph": lambda graph: np.append(graph, graph[:4]),
    "other numbers": lambda graph: graph.astype(np.int16),
    "columns": lambda graph: graph[: len(graph) // 2 * 2].reshape(-1, 2),
    "another program": lambda graph: changed(graph, magic=(0, "u1", 0)),
    "another version": lambda graph: changed(graph, version=(7, "<u2", 3)),
    "another distance": lambda graph: changed(graph, kind=(13, "u1", 99)),
    "another dimension": lambda graph: changed(graph, dim=(33, "<u8", 6)),
    "more items": lambda graph: changed(graph, present=(17, "<u8", 301)),
    "no nodes": lambda graph: changed(graph, size=(64, "<u8", 0)),
    "many nodes": lambda graph: changed(graph, size=(64, "<u8", 2**60)),
    "wide nodes": lambda graph: changed(graph, width=(72, "<u8", 2**61)),
    "an entry that is not there": lambda graph: changed(graph, entry=(96, "<u8", 300)),
    "an entry on no level": lambda graph: changed(graph, top=(88, "<u8", 40)),
    "a level below 0": lambda graph: changed(graph, level=(104, "<i2", -1)),
    "a level of one node": lambda graph: changed(graph, level=(FIRST + 8, "<i2", 1)),
    "a key that is not there": lambda graph: changed(graph, key=(FIRST, "<u8", 300)),
    "a key twice": lambda graph: changed(graph, key=(FIRST, "<u8", 7)),
    "a removed node too many": lambda graph: changed(graph, key=(FIRST, "<u8", 2**64 - 1)),
    "too many links": lambda graph: changed(graph, count=(FIRST + 10, "<u4", 2**31)),
    "a link to nowhere": lambda graph: changed(graph, link=(FIRST + 14, "<u4", 300)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_damaged_index_is_refused(bad, path):
    items, labels = noisy_classes(n=300)
    Gallery(items, labels, index="usearch").save(path)
    members, graph = members_of(path), graph_of(path)
    write(path, {**members, "graph.npy": npy(graph)})
    assert len(Gallery.load(path)) == 300
    write(path, {**members, "graph.npy": npy(bad(graph))})
    with pytest.raises(ValueError, match=r"must be a file that `Gallery.save` wrote, unchanged"):
        Gallery.load(path)


def test_a_link_to_a_node_of_a_lower_level_is_refused():
    graph, vectors = graph_with_levels()
    levels = graph[104 : 104 + 2 * len(vectors)].view("<i2")
    layout = _graph_bytes._layout(graph)
    nodes, counts, _ = next(_graph_bytes._links(graph, layout, 1))
    place = layout.starts[nodes[counts > 0][0]] + 10 + 4 + 4 * layout.widths[0] + 4
    low = int(np.flatnonzero(levels == 0)[0])
    with pytest.raises(ValueError, match="not on the level"):
        _graph_bytes.with_vectors(changed(graph, link=(place, "<u4", low)), vectors)


def graph_with_levels():
    items, labels = noisy_classes(n=2000)
    gallery = Gallery(items, labels, index="usearch")
    gallery._snapshot.build_graph()
    return gallery._snapshot.graph_content(), items.astype(np.float32)


def test_every_changed_byte_is_refused_or_harmless(path):
    """The checksums are right, as an attacker would make them: names are right or the file is refused."""
    items, labels = noisy_classes(n=200)
    Gallery(items, labels, index="usearch", threshold=np.inf).save(path)
    members, graph = members_of(path), graph_of(path)
    rng = random.Random(0)
    refused = 0
    for _ in range(150):
        bad = graph.copy()
        for _ in range(rng.choice([1, 1, 4])):
            bad[rng.choice([rng.randrange(len(bad)), rng.randrange(104), rng.randrange(104, 504)])] ^= (
                1 << rng.randrange(8)
            )
        write(path, {**members, "graph.npy": npy(bad)})
        try:
            gallery = Gallery.load(path)
        except ValueError:
            refused += 1
            continue
        gallery.add(items[:3] + 0.5, [50] * 3)
        found = gallery.search(items, k=2)
        gaps = np.linalg.norm(np.concatenate([items, items[:3] + 0.5])[found.indices] - items[:, None], axis=2)
        np.testing.assert_allclose(found.distances, gaps, atol=1e-12)
        assert (found.labels == np.append(labels, [50] * 3)[found.indices]).all()
    assert 20 < refused < 150


def test_a_format_that_is_not_known_is_not_saved(path, monkeypatch):
    items, labels = noisy_classes(n=100)
    gallery = Gallery(items, labels, index="usearch")
    content = bytearray(gallery._snapshot.graph._index.to_bytes()) if gallery.search(items[:1]) else b""
    content[8 + 100 * 20 + 7] = 3
    monkeypatch.setattr(_approximate.Usearch, "to_bytes", lambda self: bytes(content))
    with pytest.warns(UserWarning, match="index is not saved, because this version of usearch"):
        gallery.save(path)
    assert Gallery.load(path).search(items[:1], 1).indices.tolist() == [[0]]


def test_an_index_that_usearch_cannot_open_is_built_again(path, monkeypatch):
    items, labels = noisy_classes(n=100)
    Gallery(items, labels, index="usearch").save(path)

    def read(self, content):
        raise RuntimeError("too new")

    monkeypatch.setattr(_approximate.Usearch, "read", read)
    with pytest.warns(UserWarning, match=r"cannot open the index of the file \(too new\)"):
        gallery = Gallery.load(path)
    assert (gallery.search(items, 1).indices[:, 0] == np.arange(100)).mean() > 0.9
