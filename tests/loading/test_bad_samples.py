"""Samples that no network can use: refused with the cure, or made into numbers."""

import warnings

import numpy as np
import pytest

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence
from keras_balanced_siamese.loading import _source_checks

pytestmark = pytest.mark.numpy_only

N = 24
Y = np.repeat([0, 1, 2], 8)
X = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
SEQUENCES = [lambda x, y=Y, **kwargs: BalancedPairSequence(x, y, 6, seed=1, **kwargs)]
SEQUENCES += [lambda x, y=Y, **kwargs: BalancedBatchSequence(x, y, 2, 4, seed=1, **kwargs)]
build_pairs = SEQUENCES[0]


def all_batches(sequence):
    return [sequence[i] for i in range(len(sequence))]


def with_value(value, dtype="float32", row=7):
    x = X.astype(dtype)
    x[row, 2] = value
    return x


def objects(values):
    found = np.empty(len(values), object)
    found[:] = values
    return found


class Lazy:
    """An array whose values nobody sees before they are read, such as a file."""

    def __init__(self, x):
        self.x, self.shape, self.dtype = x, x.shape, x.dtype

    def __getitem__(self, index):
        return self.x[index]


@pytest.mark.parametrize("build", SEQUENCES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_that_are_not_finite_are_refused_at_construction(build, value, dtype):
    with pytest.raises(ValueError, match=rf"nan_to_num.*1 such numbers, the first x\[7, 2\]={value}"):
        build(with_value(value, dtype))
    with pytest.raises(ValueError, match="finite"):
        build({"a": X, "b": with_value(value, dtype)})


@pytest.mark.parametrize("build", SEQUENCES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("form", [Lazy, list, lambda x: (X, {"b": Lazy(x)})])
def test_numbers_that_are_not_finite_are_refused_when_they_are_read(build, value, dtype, form):
    with pytest.raises(ValueError, match=r"nan_to_num.*in the sample x\[7\]"):
        all_batches(build(form(with_value(value, dtype)), workers=2))


def test_large_arrays_are_not_read_at_construction(monkeypatch):
    monkeypatch.setattr(_source_checks, "SMALL", X.nbytes - 1)
    with pytest.raises(ValueError, match=r"in the sample x\[7\]"):
        all_batches(build_pairs(with_value(np.nan)))


def test_finite_numbers_of_any_size_pass():
    for dtype in ("float16", "float32", "float64"):
        all_batches(build_pairs(with_value(np.finfo(dtype).max, dtype)))
    all_batches(build_pairs(np.full((N, 3), np.finfo("float32").max)))
    all_batches(build_pairs(np.zeros((N, 0), "float32")))


@pytest.mark.parametrize("build", SEQUENCES)
def test_transforms_may_fill_gaps_and_may_make_none(build):
    x = with_value(np.nan)
    all_batches(build(x, transform=np.nan_to_num))
    all_batches(build(x, batch_transform=np.nan_to_num))
    with pytest.raises(ValueError, match=r"inf after the transforms in the sample x\[\d+\]"):
        build(X, transform=lambda row: row / np.float32(np.inf) + np.inf)[0]
    with pytest.raises(ValueError, match="after the transforms"):
        build(X, batch_transform=lambda rows: rows * np.nan)[0]


@pytest.mark.parametrize("build", SEQUENCES)
def test_a_transform_that_returns_no_sample_is_named_with_the_sample(build):
    with pytest.raises(TypeError, match=r"`transform` returned None for the sample x\[\d+\]"):
        build(X, transform=lambda row: None)[0]
    with pytest.raises(TypeError, match=r"`batch_transform` must return.*NoneType for batch 0 of epoch 0"):
        build(X, batch_transform=lambda rows: None)[0]
    with pytest.raises(TypeError, match=r"after the transforms.*x\[\d+\].*'text'"):
        build(X, transform=lambda row: "text")[0]
    with pytest.raises(ValueError, match=r"one shape.*x\[\d+\]"):
        build(X, transform=lambda row: [[1], [2, 3]])[0]


@pytest.mark.parametrize("build", SEQUENCES)
@pytest.mark.parametrize("form", [list, objects])
def test_images_of_different_sizes_are_named(build, form):
    images = [np.zeros((4, 4 + (k == 5)), "float32") for k in range(N)]
    match = r"resize.*`x` holds shape \(4, \d\) for the sample x\[\d+\] and shape \(4, \d\) for x\[\d+\]"
    with pytest.raises(ValueError, match=match):
        all_batches(build(form(images)))
    with pytest.raises(ValueError, match=r"`transform` returned shape"):
        all_batches(build(form(images), transform=lambda image: image[:2]))
    all_batches(build(form(images), transform=lambda image: image[:, :4]))


@pytest.mark.parametrize("form", [list, objects])
def test_lists_of_equal_arrays_are_samples(form):
    pairs = build_pairs(form(list(X)))
    (left, _), _, _ = pairs[0]
    assert left.dtype == np.float32
    np.testing.assert_array_equal(left, X[pairs.indices(0)[0]])


@pytest.mark.parametrize("build", SEQUENCES)
@pytest.mark.parametrize(
    "x",
    [
        [f"{k}.png" for k in range(N)],
        np.array([f"{k}.png" for k in range(N)]),
        objects([f"{k}.png" for k in range(N)]),
        np.array([b"a.png"] * N),
        {"image": X, "name": ["a"] * N},
    ],
    ids=["list", "array", "objects", "bytes", "dict"],
)
def test_text_needs_a_transform(build, x):
    with pytest.raises(TypeError, match="pass `transform`"):
        build(x)


def test_objects_that_are_no_numbers_are_named():
    with pytest.raises(TypeError, match=r"get_dummies.*x\[3, 1\]='red'"):
        build_pairs(np.array([[1.5, "red" if k == 3 else True] for k in range(N)], object))
    with pytest.raises(TypeError, match="datetime64"):
        build_pairs(np.full((N, 2), "2020-01-01", "datetime64[D]"))
    with pytest.raises(TypeError, match=r"needs numbers.*x\[\d+\]"):
        build_pairs([{"a": 1}] * N)[0]


def test_objects_that_are_numbers_become_numbers():
    x = np.array([[1.5, True, 3, np.float32(2.0)]] * N, object)
    (left, _), _, _ = build_pairs(x)[0]
    np.testing.assert_array_equal(left, [[1.5, 1.0, 3.0, 2.0]] * 6)
    assert left.dtype == np.float64
    with pytest.raises(ValueError, match=r"the first x\[0, 0\]=nan"):
        build_pairs(np.array([[None, 1]] * N, object))


def test_data_frames_become_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0, "c": np.arange(N)})
    frame["nullable"] = pandas.array(np.arange(N) % 5, dtype="Int64")
    frame["flag"] = pandas.array(np.arange(N) % 2 == 0, dtype="boolean")
    frame["grade"] = pandas.Categorical(np.arange(N) % 3)
    expected = np.stack([X[:, 0], X[:, 1] > 0, *(np.arange(N) % k for k in (N, 5))], 1)
    expected = np.concatenate([expected, np.stack([np.arange(N) % 2 == 0, np.arange(N) % 3], 1)], 1)
    for build in SEQUENCES:
        sequence = build(frame)
        index = np.concatenate(sequence.indices(0)[:2]) if build is build_pairs else sequence.indices(0)
        samples = np.concatenate(sequence[0][0]) if build is build_pairs else sequence[0][0]
        np.testing.assert_allclose(samples, expected[index], rtol=1e-6)
    all_batches(build_pairs(frame["nullable"]))
    frame.loc[5, "nullable"] = pandas.NA
    with pytest.raises(ValueError, match=r"the first x\[5, 3\]=nan"):
        build_pairs(frame)
    with pytest.raises(TypeError, match=r"get_dummies.*x\[0, 1\]='low'"):
        build_pairs(pandas.DataFrame({"a": X[:, 0], "b": pandas.Categorical(["low"] * N)}))
    frame = pandas.DataFrame({"path": ["a.png"] * N, "age": np.arange(N)})
    left = build_pairs(frame, transform=lambda row: float(row[1]))[0][0][0]
    assert left.tolist() == build_pairs(frame, transform=lambda row: float(row[1])).indices(0)[0].tolist()
    with pytest.raises(TypeError, match="pass `transform`"):
        build_pairs(frame["path"])


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix", "coo_array", "lil_matrix"])
@pytest.mark.parametrize("build", SEQUENCES)
def test_sparse_rows_become_dense_when_they_are_read(kind, build):
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.where(X > 0.5, X, 0)
    x = getattr(sparse, kind)(dense)
    plain, one, named = build(dense), build(x), build({"words": x})
    for k in range(len(plain)):
        expected, found = plain[k][0], one[k][0]
        np.testing.assert_array_equal(found, expected)
        by_name = named[k][0]
        by_name = [side["words"] for side in by_name] if isinstance(by_name, tuple) else by_name["words"]
        np.testing.assert_array_equal(by_name, expected)
    rows = build(x, transform=lambda row: row.sum())
    assert np.shape(rows[0][0])[-1] in (6, 8)


def test_data_sets_without_random_access_are_refused_with_the_cure():
    class DataSet:  # the attributes by which each is recognised
        def __init__(self, name):
            setattr(self, name, None)

        def __getitem__(self, index):
            return X[index]

        def __len__(self):
            return N

    for name, cure in (("as_numpy_iterator", "dataset.as_numpy_iterator"), ("num_batches", "the samples that")):
        with pytest.raises(TypeError, match=f"{cure}.*Received: DataSet"):
            build_pairs(DataSet(name))
    with pytest.raises(TypeError, match=r"Collect the samples.*Received: generator"):
        build_pairs(row for row in X)


def make_pairs(binary):
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, 50, (2, 200))
    return binary[i], binary[j], (i % 2 == j % 2)


@pytest.mark.parametrize("build", SEQUENCES)
@pytest.mark.parametrize("dtype", [int, float, bool])
def test_ready_made_pairs_are_refused(build, dtype):
    samples = np.random.default_rng(1).normal(size=(50, 3, 3)).astype("float32")
    left, right, similar = make_pairs(samples)
    paths = np.array([f"{k}.png" for k in range(50)])
    path_pairs = make_pairs(paths)
    for x in ((left, right), path_pairs[:2], (path_pairs[0].tolist(), path_pairs[1].tolist())):
        with pytest.raises(ValueError, match=r"model.fit\(\(left, right\), similar\)"):
            build(x, similar.astype(dtype), transform=lambda sides: np.zeros(2))
    with pytest.raises(ValueError, match="ready-made pairs to `fit` itself"):
        build([left, right], similar.astype(dtype))
    build({"left": left, "right": right}, similar.astype(dtype))


@pytest.mark.parametrize("build", SEQUENCES)
def test_two_inputs_that_may_be_pairs_warn(build):
    y = np.arange(N) % 2
    with pytest.warns(UserWarning, match="ready-made pairs.*as a dict") as caught:
        build((X, X + 1.0), y)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build({"a": X, "b": X + 1.0}, y)  # named inputs
        build((X, X[:, :3]), y)  # of different shapes
        build((X, X.astype("float64")), y)
        build((X[:, 0], X[:, 0] + 1.0), y)  # single numbers
        build((X, X + 1.0))  # three classes
        build((X, X + 1.0), np.where(y, "yes", "no"))
        build((X, X + 1.0, X + 2.0), y)


def test_rows_in_another_order_warn():
    pandas = pytest.importorskip("pandas")
    x, y = pandas.DataFrame(X), pandas.Series(Y)
    with pytest.warns(UserWarning, match=r"matched by position.*`y.loc\[x.index\]`"):
        build_pairs(x.iloc[::-1], y)
    build_pairs(x.iloc[::-1], y.iloc[::-1])
    build_pairs(x.iloc[::-1], y.to_numpy()[::-1])
    build_pairs(x, pandas.Series(Y, index=np.arange(N) + 100))
