import numpy as np
import pytest
from gallery.toy_gallery import ITEMS, NAMES

from keras_balanced_siamese.gallery import Gallery

pytestmark = pytest.mark.numpy_only


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
