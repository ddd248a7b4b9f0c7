"""Class weights and sample weights."""

import math
from collections import Counter
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only


class NotAvailable:
    """Compares like pandas.NA: neither true nor false."""

    def __eq__(self, other):
        return self

    __ne__ = __eq__
    __hash__ = None

    def __bool__(self):
        raise TypeError


labels_of_any_kind = st.one_of(
    st.lists(st.integers(-5, 5), min_size=1, max_size=60),
    st.lists(st.sampled_from(["a", "b", "ccc", ""]), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=60),
)


def slow(labels, scheme, beta=0.999):
    counts = Counter(labels)
    weight = {
        "balanced": lambda n: len(labels) / (len(counts) * n),
        "inverse": lambda n: 1 / (len(counts) * n),
        "sqrt": lambda n: 1 / math.sqrt(n),
        "effective": lambda n: 1 / sum(beta**k for k in range(n)),
        "uniform": lambda n: 1.0,
    }[scheme]
    return {label: weight(n) for label, n in counts.items()}


@given(labels_of_any_kind, st.sampled_from(["balanced", "inverse", "sqrt", "effective", "uniform"]))
def test_schemes_equal_the_slow_ones(labels, scheme):
    assert kbs.class_weights(labels, scheme, normalize=None) == pytest.approx(slow(labels, scheme), rel=1e-9)


@given(labels_of_any_kind, st.sampled_from(["balanced", "inverse", "sqrt", "effective", "uniform"]))
def test_normalisations_and_the_order_of_samples(labels, scheme):
    by_sample = kbs.class_weights(labels, scheme)
    assert np.mean([by_sample[label] for label in labels]) == pytest.approx(1.0)
    assert np.mean(list(kbs.class_weights(labels, scheme, normalize="classes").values())) == pytest.approx(1.0)
    assert kbs.class_weights(labels[::-1], scheme) == by_sample
    rarest, commonest = min(labels, key=labels.count), max(labels, key=labels.count)
    assert by_sample[rarest] >= by_sample[commonest]


def test_keys_are_plain_sorted_labels():
    assert list(kbs.class_weights(np.array([3, 1, 2], "uint8"))) == [1, 2, 3]
    assert all(type(key) is int for key in kbs.class_weights(np.array([3, 1, 2], "uint8")))
    assert all(type(key) is str for key in kbs.class_weights(np.array(["b", "a"])))


def test_effective_number_limits():
    labels = [0] * 100 + [1] * 5
    assert kbs.class_weights(labels, "effective", beta=0.0) == pytest.approx({0: 1.0, 1: 1.0})
    nearly_one = kbs.class_weights(labels, "effective", beta=1 - 1e-9)
    assert nearly_one == pytest.approx(kbs.class_weights(labels, "inverse"), rel=1e-5)


def test_mapping_and_callable():
    labels = ["a"] * 3 + ["b"]
    assert kbs.class_weights(labels, {"a": 1, "b": 3}, normalize=None) == {"a": 1.0, "b": 3.0}
    given = []
    weights = kbs.class_weights(labels, lambda counts: given.append(counts) or {c: 1 / n for c, n in counts.items()})
    assert given == [{"a": 3, "b": 1}]
    assert weights == pytest.approx(kbs.class_weights(labels, "inverse"))


def test_sample_weights():
    weights = kbs.sample_weights(["b", "a", "b"], {"a": 1.0, "b": 0.5, "never": 9.0})
    assert weights.dtype == np.float32
    assert weights.tolist() == [0.5, 1.0, 0.5]
    with pytest.raises(ValueError, match=r"Missing: \['b'\]"):
        kbs.sample_weights(["b", "a"], {"a": 1.0})


@pytest.mark.parametrize(
    ("labels", "error", "match"),
    [
        ([], ValueError, "at least one"),
        ([1.0, math.nan], ValueError, "missing or infinite.*1 of 2"),
        (["a", None], ValueError, "missing"),
        (["cat", math.nan, "dog"], ValueError, "missing.*1 of 3"),
        (["a", 1, "b"], TypeError, "one type"),
        (["a", NotAvailable()], ValueError, "missing"),
        (np.eye(3), ValueError, "argmax"),
        (5, ValueError, "one class label per sample"),
        (np.array(["a", 1], dtype=object), TypeError, "one type"),
    ],
)
def test_bad_labels(labels, error, match):
    with pytest.raises(error, match=match):
        kbs.class_weights(labels)


def test_numbers_that_a_float_would_merge_stay_apart():
    assert len(kbs.class_weights([2**63 + 1, 2**63 + 2, -1, 5])) == 4


def test_labels_of_other_types_are_refused_with_the_cure():
    tuples, sets = np.empty(2, object), np.empty(2, object)
    tuples[:], sets[:] = [(1, 2), (3, 4)], [frozenset("ab"), frozenset("c")]
    for labels, cure in (
        (np.array([b"a", b"b"]), r"np.char.decode\(labels\).*b'a'"),
        ([b"a", b"a\0"], r"np.char.decode\(labels\)"),
        (np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]"), r"labels.astype\(str\).*2020-01-01"),
        (np.array([1, 2], "timedelta64[s]"), r"labels.astype\(str\)"),
        ([date(2020, 1, 1), date(2020, 1, 2)], r"name_of\[label\].*2020, 1, 1"),
        (tuples, r"name_of\[label\] for label in labels.*\(1, 2\)"),
        (sets, r"name_of\[label\].*frozenset"),
        (np.array([1, 2j]), "strings or numbers"),
        (np.array([(1, 2), (3, 4)], "i4,i4"), "strings or numbers"),
    ):
        with pytest.raises(TypeError, match=cure):
            kbs.class_weights(labels)
    for labels in ([[1], [2, 3]], {1, 2}, "ab"):
        with pytest.raises(ValueError, match="one class label per sample"):
            kbs.class_weights(labels)
    decoded = np.char.decode(np.array([b"a", b"b", b"b", b"b"]))
    assert kbs.class_weights(decoded, normalize=None) == {"a": 2.0, "b": 2 / 3}


def test_labels_of_data_frames_work():
    pandas = pytest.importorskip("pandas")
    for kind, values in (("category", ["a", "b", "b"]), ("string", ["a", "b", "b"]), ("Int64", [1, 2, 2])):
        found = kbs.class_weights(pandas.Series(values, dtype=kind))
        assert found == kbs.class_weights(values)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"balanced.*effective.*inverse.*sqrt.*uniform.*Received: scheme='rare'"):
        kbs.class_weights([0, 1], "rare")
    with pytest.raises(TypeError, match="Received: scheme=3"):
        kbs.class_weights([0, 1], 3)
    with pytest.raises(ValueError, match="normalize"):
        kbs.class_weights([0, 1], normalize="all")
    for beta in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="beta"):
            kbs.class_weights([0, 1], "effective", beta=beta)
    with pytest.raises(ValueError, match="Missing"):
        kbs.class_weights([0, 1], {0: 1.0})
    with pytest.raises(ValueError, match="unknown"):
        kbs.class_weights([0, 1], {0: 1.0, 1: 1.0, 7: 1.0})
