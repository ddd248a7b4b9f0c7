"""Where samples come from, and what is done with them on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese import BalancedPairSequence

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


def test_columns_of_objects():
    pairs = build(open_as("objects", None), transform=lambda image: image / 2)
    np.testing.assert_array_equal(pairs[0][0][0], X[pairs.indices(0)[0]] / 2)


def test_swapped_bytes():
    x = X.astype(">f4")
    np.testing.assert_array_equal(build(x)[0][0][0], X[build().indices(0)[0]])


class OnlyAShape:
    """Reads like a zarr array: no length, one index at a time or ascending ones."""

    def __init__(self, x):
        self.x, self.shape, self.dtype = x, x.shape, x.dtype

    def __getitem__(self, index):
        assert np.ndim(index) == 0 or (np.diff(index) > 0).all()
        return self.x[index]


def test_arrays_without_a_length():
    assert build(OnlyAShape(X))[0][0][0].shape == (6, 4, 5, 3)


def test_data_frames():
    class Frame:  # has what tells a pandas data frame
        iloc = None

        def to_numpy(self):
            return X

    assert build(Frame())[0][0][0].shape == (6, 4, 5, 3)


def test_paths_with_a_loading_transform(tmp_path):
    paths = []
    for k in range(N):
        paths.append(tmp_path / f"{k}.npy")
        np.save(paths[-1], np.full((2, 2), k, "int16"))
    pairs = build(paths, transform=np.load)
    (left, _), _, _ = pairs[0]
    assert left.dtype == np.int16
    np.testing.assert_array_equal(left[:, 0, 0], pairs.indices(0)[0])


def test_several_inputs():
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


def jitter(image, rng):
    return image + rng.integers(0, 100, image.shape)


def test_random_numbers_of_a_sample_depend_on_seed_epoch_and_sample():
    def images(pairs, epoch):
        pairs.set_epoch(epoch)
        found = {}
        for k in range(len(pairs)):
            left, right, _ = pairs.indices(k)
            for i, image in zip([*left, *right], np.concatenate(pairs[k][0]), strict=True):
                found.setdefault(int(i), []).append((image - X[i]).tobytes())
        assert all(len(set(of_sample)) == 1 for of_sample in found.values())
        return {i: of_sample[0] for i, of_sample in found.items()}

    first, again = images(build(transform=jitter), 0), images(build(transform=jitter, batch_size=4), 0)
    both = first.keys() & again.keys()
    assert len(both) > 10
    assert all(first[i] == again[i] for i in both)
    other, later = images(build(transform=jitter, seed=2), 0), images(build(transform=jitter), 1)
    assert all(first[i] != other[i] for i in first.keys() & other.keys())
    assert all(first[i] != later[i] for i in first.keys() & later.keys())
    assert len(set(first.values())) == len(first)


def test_batch_transform():
    def brighter(images, rng):
        assert images.shape == (12, 4, 5, 3)
        return images + rng.normal(size=(12, 1, 1, 1)).astype("float32")

    pairs, again = build(batch_transform=brighter), build(batch_transform=brighter)
    (left, right), _, _ = pairs[0]
    i, j, _ = pairs.indices(0)
    shift = np.concatenate([left - X[i], right - X[j]])
    assert len({round(float(one), 4) for one in shift[:, 0, 0, 0]}) == 12
    np.testing.assert_array_equal(left, again[0][0][0])
    np.testing.assert_allclose(shift.std(axis=(1, 2, 3)), 0, atol=1e-4)


def test_errors_of_transforms():
    def fails(x):
        raise KeyError("label")

    with pytest.raises(RuntimeError, match=r"`transform` failed on the sample x\[\d+\] with KeyError: 'label'"):
        build(transform=fails)[0]
    with pytest.raises(RuntimeError, match="`batch_transform` failed on batch 2 of epoch 0 with KeyError"):
        build(batch_transform=fails)[2]
    with pytest.raises(ValueError, match=r"as many samples as it is given, all 12.*Received: 6"):
        build(batch_transform=lambda x: x[::2])[0]
    with pytest.raises(TypeError, match="`batch_transform` must be a function"):
        build(batch_transform="flip")


@given(st.permutations(range(N)))
def test_the_order_of_the_samples_changes_what_is_drawn_but_not_how_much(order):
    order = np.array(order)
    one, other = build(), BalancedPairSequence(X[order], Y[order], batch_size=6, seed=1)
    assert str(one.describe()) == str(other.describe())
    for k in range(len(one)):
        i, j, similar = other.indices(k)
        np.testing.assert_array_equal(other[k][0][0], X[order[i]])
        assert ((Y[order[i]] == Y[order[j]]) == (similar == 1)).all()
