"""Laws of the split by class."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only

seeds = st.integers(0, 2**32)


@st.composite
def problems(draw):
    """Shuffled labels, and a number of test classes."""
    n_classes = draw(st.integers(2, 40))
    sizes = draw(st.lists(st.integers(1, 40), min_size=n_classes, max_size=n_classes))
    labels = np.random.default_rng(draw(seeds)).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return labels, draw(st.integers(1, len(sizes) - 1))


@given(problems(), seeds)
def test_classes_stay_whole_and_no_sample_is_lost(problem, seed):
    labels, n_test = problem
    train, test = kbs.split_by_class(labels, n_test, seed=seed)
    for part in (train, test):
        assert part.dtype.kind == "i"
        assert part.tolist() == sorted(set(part.tolist()))
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(labels)))
    assert not set(labels[train]) & set(labels[test])
    assert len(set(labels[test])) == n_test


@given(problems(), seeds)
def test_both_parts_have_a_class_of_each_run(problem, seed):
    labels, n_test = problem
    parts = [set(labels[part].tolist()) for part in kbs.split_by_class(labels, n_test, seed=seed)]
    small, large = sorted(parts, key=len)
    counts = Counter(labels.tolist())
    ordered = sorted(counts.values(), reverse=True)
    n, m = len(counts), len(small)
    taken = sorted((counts[label] for label in small), reverse=True)
    left = sorted((counts[label] for label in large), reverse=True)
    for k in range(m):  # the k-th run, compared by sizes, since classes of one size may be exchanged
        run = ordered[k * n // m : (k + 1) * n // m]
        assert run[-1] <= taken[k] <= run[0]
        assert any(run[-1] <= size <= run[0] for size in left)
    if m >= 3:  # so the largest and the smallest third are in both parts
        for sizes in (taken, left):
            assert sizes[0] >= ordered[math.ceil(n / 3)]
            assert sizes[-1] <= ordered[n - math.ceil(n / 3) - 1]


@given(problems(), seeds)
def test_the_seed_decides_and_not_the_order_or_the_type_of_the_labels(problem, seed):
    labels, n_test = problem

    def test_classes(given):
        chosen = kbs.split_by_class(given, n_test, seed=seed)[1]
        return {int(label) for label in np.asarray(given)[chosen]}

    expected = test_classes(labels)
    strings = labels.astype(str)
    for same in (
        labels[::-1],
        labels.tolist(),
        labels.astype("uint8"),
        labels.astype(float),
        strings,
        strings.astype(object),
        pd.Series(strings, index=labels + 7),
        pd.Categorical(strings, categories=[*map(str, range(50))][::-1]),
    ):
        assert test_classes(same) == expected


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("test_size", [0.1, 0.2, 0.5, 0.8])
def test_shares_of_samples_of_long_tails(exponent, test_size):
    sizes = np.maximum(2000 * np.arange(1.0, 101.0) ** -exponent, 1).astype(int)
    labels = np.repeat(np.arange(100), sizes)
    smaller = min(test_size, 1 - test_size)
    for seed in range(20):
        train, test = kbs.split_by_class(labels, test_size, seed=seed)
        assert len(set(labels[test])) == round(100 * test_size)
        assert min(len(train), len(test)) / len(labels) == pytest.approx(smaller, rel=0.35)


def test_another_seed_gives_another_split():
    labels = np.repeat(np.arange(50), 4)
    found = {tuple(kbs.split_by_class(labels, seed=seed)[1]) for seed in range(20)}
    assert len(found) == 20
    assert len({tuple(kbs.split_by_class(labels)[1]) for _ in range(5)}) > 1
    held_out = Counter(labels[k] for seed in range(200) for k in kbs.split_by_class(labels, seed=seed)[1][::4])
    assert min(held_out.values()) > 15  # each of 50 classes about 40 times


def test_the_number_of_test_classes_is_rounded_up():
    for n_classes, test_size, expected in [(2, 0.2, 1), (7, 0.2, 2), (100, 0.07, 7), (30, 0.1, 3), (5, np.int64(2), 2)]:
        labels = np.arange(n_classes)
        assert len(kbs.split_by_class(labels, test_size, seed=0)[1]) == expected
    assert len(kbs.split_by_class(np.arange(50))[1]) == 10


def test_a_dominating_class_is_in_the_larger_part():
    labels = np.repeat(np.arange(12), [1000, *range(30, 41)])
    assert all(0 in labels[kbs.split_by_class(labels, 3, seed=seed)[0]] for seed in range(30))
    assert all(0 in labels[kbs.split_by_class(labels, 9, seed=seed)[1]] for seed in range(30))


@pytest.mark.parametrize(
    ("labels", "kwargs", "error", "match"),
    [
        (["a", "b"], {"test_size": 0.9}, ValueError, "2 of 2 classes would be test classes. Pass a number from 1 to 1"),
        (["a", "b", "c"], {"test_size": 3}, ValueError, "number from 1 to 2, or a smaller share.*test_size=3"),
        (["a", "b"], {"test_size": 0}, ValueError, "leaves one part without a class"),
        (["a", "b"], {"test_size": -1}, ValueError, "leaves one part without a class"),
        (["a", "b"], {"test_size": 1.0}, ValueError, "share between 0 and 1, or a whole number.*test_size=1.0"),
        (["a", "b"], {"test_size": 0.0}, ValueError, "share between 0 and 1"),
        (["a", "b"], {"test_size": math.nan}, ValueError, "share between 0 and 1"),
        (["a", "b"], {"test_size": True}, TypeError, "test_size=True"),
        (["a", "b"], {"test_size": None}, TypeError, "test_size=None"),
        (np.zeros((2, 3)), {"test_size": ["a", "b"]}, TypeError, r"`train, test = split_by_class\(y\)`"),
        (["a", "b"], {"seed": -1}, ValueError, "`seed`"),
        (["a", "b"], {"seed": 0.5}, TypeError, "`seed`"),
        (["a", "a"], {}, ValueError, "at least two classes.*train_test_split"),
        ([], {}, ValueError, "at least one label"),
        (["a", None, "b"], {}, ValueError, "`labels` must not hold missing.*position 1"),
        ([1.0, math.nan], {}, ValueError, "`labels` must not hold missing"),
        (pd.Categorical(["a", None, "b"]), {}, ValueError, "must not hold missing"),
        (np.eye(3), {}, ValueError, "one-hot"),
    ],
)
def test_bad_arguments_of_the_split(labels, kwargs, error, match):
    with pytest.raises(error, match=match):
        kbs.split_by_class(labels, **kwargs)
