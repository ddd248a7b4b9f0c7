"""Files that `Gallery.save` did not write, or that were changed since."""

import io
import random
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES

from keras_balanced_siamese.gallery import Gallery

pytestmark = pytest.mark.numpy_only


def saved(path, **kwargs):
    """The bytes of a gallery, and its members by name."""
    Gallery(ITEMS, NAMES, threshold=1.5, **kwargs).save(path)
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes(), {name: archive.read(name) for name in archive.namelist()}


def zipped(members, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(value):
    out = io.BytesIO()
    np.save(out, value)
    return out.getvalue()


def header(descr, shape, data=b""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


HOSTILE = {
    "more rows than bytes": ("embeddings", header("'<f4'", f"({2**60}, 2)")),
    "a size that overflows": ("embeddings", header("'<f4'", f"({2**63}, {2**63})")),
    "rows without bytes": ("labels", header("'<U0'", f"({10**17},)")),
    "a huge string": ("distance", header("'<U999999999'", "()")),
    "a nested header": ("embeddings", header("(" * 900 + ")" * 900, "(1,)")),
    "a header that counts": ("embeddings", header("-" * 900 + "1", "(1,)")),
    "many fields": ("embeddings", header("'" + "f4," * 300 + "'", "(1,)")),
    "a long header": ("embeddings", header("'<f4'", "(" + "1, " * 20_000 + ")")),
    "objects": ("labels", header("'|O'", "(4,)", b"\0" * 32)),
    "dates": ("labels", npy(np.zeros(4, "M8[s]"))),
    "no characters": ("labels", header("'<U1'", "(4,)", b"\xff" * 16)),
    "other lengths": ("labels", npy(np.array(["a"]))),
    "not finite": ("embeddings", npy(np.full((4, 2), np.nan))),
    "no numbers": ("embeddings", npy(np.array([["a", "b"]] * 4))),
    "several thresholds": ("threshold", npy(np.array([0.5, 0.6]))),
    "a threshold below 0": ("threshold", npy(np.array(-0.5))),
    "an unknown distance": ("distance", npy(np.array("manhattan" * 10_000))),
    "another format": ("format", npy(np.array(2))),
}


@pytest.mark.parametrize(("name", "content"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_array_is_refused(name, content, tmp_path):
    path = tmp_path / "hostile.npz"
    _, members = saved(path)
    path.write_bytes(zipped({**members, f"{name}.npy": content}))
    refuse(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_an_archive_that_unpacks_to_more_is_refused(compression, tmp_path):
    path = tmp_path / "bomb.npz"
    _, members = saved(path)
    path.write_bytes(zipped({**members, "embeddings.npy": npy(np.zeros((4_000_000, 2)))}, compression))
    assert path.stat().st_size < 200_000
    refuse(path)


def test_an_archive_of_many_members_is_refused(tmp_path):
    path = tmp_path / "many.npz"
    path.write_bytes(zipped({f"{k}": b"" for k in range(20_000)}))
    refuse(path)


def test_every_changed_byte_is_found_or_harmless(tmp_path):
    path = tmp_path / "changed.npz"
    content, _ = saved(path)
    before = repr(Gallery.load(path)), Gallery.load(path).counts
    rng = random.Random(0)
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(rng.choice([1, 1, 3])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        where = rng.randrange(len(changed))
        kind = rng.choice(["flip", "flip", "cut", "insert", "fill"])
        if kind == "cut":
            del changed[where : where + rng.randrange(1, 40)]
        elif kind == "insert":
            changed[where:where] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
        elif kind == "fill":
            changed[where : where + 8] = b"\xff" * 8
        path.write_bytes(changed)
        try:
            after = Gallery.load(path)
        except ValueError:
            continue
        assert (repr(after), after.counts) == before  # the change is in a date, or in the directory of the archive


def test_a_file_of_another_byte_order_and_layout_is_read(tmp_path):
    path = tmp_path / "other.npz"
    before = Gallery(np.array(ITEMS, np.float64), NAMES)
    before.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    items = np.asfortranarray(np.array(ITEMS, ">f8"))
    path.write_bytes(zipped({**members, "embeddings.npy": npy(items), "labels.npy": npy(np.array(NAMES, ">U3"))}))
    after = Gallery.load(path)
    assert after.counts == before.counts
    np.testing.assert_array_equal(after.search(ITEMS, 2).distances, before.search(ITEMS, 2).distances)


def refuse(path):
    """The file is refused by a `ValueError`, within a second and without memory beyond its size."""
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=r"must be a file that `Gallery.save` wrote, unchanged.*npz"):
        Gallery.load(path)
    duration, memory = time.perf_counter() - begin, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert duration < 1.0
    assert memory < 5 * path.stat().st_size + 5_000_000
