"""Samples from arrays, files, lists, data frames and several inputs."""

import numpy as np
import pytest

from keras_balanced_siamese import BalancedPairSequence

pytestmark = pytest.mark.numpy_only

N = 24
Y = np.repeat([0, 1, 2], 8)
X = np.random.default_rng(0).integers(0, 255, (N, 4, 5, 3)).astype("uint8")


def build(x=X, **kwargs):
    return BalancedPairSequence(x, Y, **{"batch_size": 6, "seed": 1, **kwargs})


def open_as(kind, folder):
    if kind == "memmap":
        np.save(folder / "x.npy", X)
        return np.load(folder / "x.npy", mmap_mode="r")
    if kind == "h5py":
        file = pytest.importorskip("h5py").File(folder / "x.h5", "w")
        file["x"] = X
        return file["x"]
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        array = zarr.open(str(folder / "x.zarr"), mode="w", shape=X.shape, chunks=(5, *X.shape[1:]), dtype="uint8")
        array[:] = X
        return array
    return {
        "array": X,
        "list": list(X),
        "transposed": np.ascontiguousarray(X.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2),
        "every second": np.repeat(X, 2, axis=0)[::2],
        "objects": _objects(X),
    }[kind]


def _objects(x):
    found = np.empty(len(x), object)
    found[:] = list(x)
    return found


@pytest.mark.parametrize("kind", ["array", "memmap", "h5py", "zarr", "list", "transposed", "every second"])
def test_any_source_keeps_its_values_and_dtype(tmp_path, kind):
    pairs = build(open_as(kind, tmp_path))
    for index in (1, 3):
        i, j, _ = pairs.indices(index)
        (left, right), _, _ = pairs[index]
        assert left.dtype == np.uint8
        assert type(left) is np.ndarray
        np.testing.assert_array_equal(left, X[i])
        np.testing.assert_array_equal(right, X[j])


def test_arrays_of_objects_need_a_transform():
    pairs = build(open_as("objects", None), transform=lambda image: image / 2)
    np.testing.assert_array_equal(pairs[0][0][0], X[pairs.indices(0)[0]] / 2)


def test_arrays_may_have_swapped_bytes():
    x = X.astype(">f4")
    np.testing.assert_array_equal(build(x)[0][0][0], X[build().indices(0)[0]])


class OnlyAShape:
    """An array without a length that takes one index or ascending ones, as zarr arrays do."""

    def __init__(self, x):
        self.x, self.shape, self.dtype = x, x.shape, x.dtype

    def __getitem__(self, index):
        assert np.ndim(index) == 0 or (np.diff(index) > 0).all()
        return self.x[index]


def test_arrays_may_have_no_length():
    assert build(OnlyAShape(X))[0][0][0].shape == (6, 4, 5, 3)


def test_data_frames_are_taken_as_arrays():
    class Frame:  # the attributes by which a pandas data frame is recognised
        iloc = None

        def to_numpy(self):
            return X

    assert build(Frame())[0][0][0].shape == (6, 4, 5, 3)


def test_several_inputs_stay_together():
    a, b = np.arange(N), np.arange(N)[:, None] * 2.0
    (left, _), _, _ = build((a, b))[0]
    np.testing.assert_array_equal(left[0] * 2.0, left[1][:, 0])
    (_, right), _, _ = build({"a": a, "b": b})[0]
    np.testing.assert_array_equal(right["a"] * 2.0, right["b"][:, 0])
    (left, _), _, _ = build((a, b), transform=lambda item: (item[0] + 1, item[1]))[0]
    np.testing.assert_array_equal((left[0] - 1) * 2.0, left[1][:, 0])
    (left, _), _, _ = build({"a": a, "b": b}, batch_transform=lambda x: {**x, "c": x["a"] * 3})[0]
    np.testing.assert_array_equal(left["c"], left["a"] * 3)


def test_nothing_is_copied_at_construction():
    x = np.zeros((N, 3))
    pairs = build(x)
    x[:] = 7.0
    assert (pairs[0][0][0] == 7.0).all()


def test_a_large_memmap_is_not_read_at_construction(tmp_path):
    resource = pytest.importorskip("resource")
    x = np.memmap(tmp_path / "x.dat", "uint8", "w+", shape=(20_000, 320, 320))  # 2 GB, a hole in the file
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pairs = BalancedPairSequence(x, np.arange(20_000) % 100, batch_size=16, steps_per_epoch=10, seed=0)
    assert pairs[0][0][0].shape == (16, 320, 320)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes
