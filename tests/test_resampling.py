"""Resampling before pairing, and parts of an epoch for several processes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese import BalancedPairSequence
from keras_balanced_siamese.sampling._quotas import fill, round_to_sum

COUNTS = {"common": 50, "medium": 20, "rare": 5}
Y = np.repeat(list(COUNTS), list(COUNTS.values()))
X = np.random.default_rng(0).normal(size=(len(Y), 3)).astype("float32")

pytestmark = pytest.mark.filterwarnings("ignore:.*instead of max_repeats:UserWarning")


def build(x=X, **kwargs):
    return BalancedPairSequence(x, Y, **{"batch_size": 5, "seed": 1, **kwargs})


def members(pairs, epoch=0):
    """Labels and samples of all pairs of an epoch, both sides."""
    pairs.set_epoch(epoch)
    sides = [np.concatenate(pairs.indices(i)[:2]) for i in range(len(pairs))]
    index = np.concatenate(sides)
    return np.array(pairs.classes)[pairs.labels[index]], index


def test_undersampling_sees_as_many_of_each_class_and_in_the_end_all():
    pairs = build(resampling="undersample")
    assert len(pairs) == 3  # 15 samples, 15 pairs
    seen = set()
    for epoch in range(10):  # of 5 of 50
        labels, index = members(pairs, epoch)
        drawn = [set(index[labels == label]) for label in COUNTS]
        assert all(4 <= len(of_class) <= 5 for of_class in drawn)
        assert not drawn[0] & seen
        seen |= drawn[0]
    assert len(seen) > 45  # a sample can miss its turn
    for epoch in range(10, 30):
        seen |= set(members(pairs, epoch)[1])
    assert seen == set(range(75))


def test_oversampling_counts_each_class_as_the_largest():
    pairs = build(resampling="oversample", class_sampling="natural", max_repeats=None)
    assert len(pairs) == 30  # 150 pairs
    labels, _ = members(pairs)
    for label in COUNTS:
        assert abs((labels == label).sum() - 100) < 15
    assert set(members(pairs)[1][labels == "rare"]) == set(range(70, 75))
    rows = pairs.describe().per_class
    assert [round(row["positive_share"], 9) for row in rows.values()] == [round(1 / 3, 9)] * 3


@pytest.mark.parametrize("x", [X, [f"{k}.png" for k in range(75)], np.zeros((75, 4, 4, 1), "uint8")])
def test_random_samplers_take_any_samples(x):
    imblearn = pytest.importorskip("imblearn.under_sampling")
    sampler = imblearn.RandomUnderSampler()
    pairs = build(x, resampling=sampler, transform=None if isinstance(x, np.ndarray) else len)
    found = [set(members(pairs, epoch)[1]) for epoch in range(4)]
    assert all(len(one) == 15 for one in found)
    assert len(set.union(*found)) > 25  # drawn afresh
    assert set(members(build(x, resampling=sampler, transform=pairs.transform), 2)[1]) == found[2]
    assert sampler.random_state is None  # the user's own is left alone


def test_samplers_that_look_at_the_samples():
    imblearn = pytest.importorskip("imblearn.under_sampling")
    pairs = build(resampling=imblearn.NearMiss(n_neighbors=3))
    assert len(set(members(pairs)[1])) == 15
    with pytest.raises(ValueError, match=r"NearMiss\(\)` compares or mixes.*matrix.*shape \(75, 4, 4, 1\)"):
        build(np.zeros((75, 4, 4, 1)), resampling=imblearn.NearMiss())
    with pytest.raises(ValueError, match=r"SMOTE\(\)`.*Received: x=list"):
        build(list(X), resampling=pytest.importorskip("imblearn.over_sampling").SMOTE())


@pytest.mark.parametrize("workers", [1, 2])
def test_samplers_that_make_samples(workers):
    smote = pytest.importorskip("imblearn.over_sampling").SMOTE(k_neighbors=2)
    pairs = build(
        resampling=smote, workers=workers, with_classes=True, class_weight={"common": 1, "medium": 2, "rare": 3}
    )
    assert len(pairs) == 30
    for index in (0, 7):
        (left, right), labels, weight = pairs[index]
        i, j, similar = pairs.indices(index)
        np.testing.assert_array_equal(left[i < 75], X[i[i < 75]])
        np.testing.assert_array_equal(labels, np.stack([similar, pairs.labels[i], pairs.labels[j]], axis=1))
        assert right.dtype == X.dtype
        assert weight.std() > 0
    labels, index = members(pairs)
    assert (labels[index >= 75] != "common").all()
    assert len(set(index[labels == "rare"])) > 30
    assert build(resampling=smote, transform=lambda row: row * 2, workers=workers)[0][0][0].shape == (5, 3)


def test_what_is_no_way_of_resampling():
    with pytest.raises(ValueError, match=r"None, one of \('undersample', 'oversample'\) or a sampler.*'smote'"):
        build(resampling="smote")
    with pytest.raises(TypeError, match="sampler of imbalanced-learn"):
        build(resampling=3)

    class LosesRare:
        def get_params(self):
            return {}

        def fit_resample(self, x, y):
            self.sample_indices_ = np.arange(70)
            return x[:70], y[:70]

    with pytest.raises(ValueError, match=r"leaves no sample of the classes \['rare'\]"):
        build(resampling=LosesRare())


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([None, "undersample", "oversample"]))
def test_parts_are_disjoint_equally_long_and_together_the_epoch(count, times, resampling):
    whole = build(steps_per_epoch=count * times, resampling=resampling)
    parts = [whole.shard(k, count) for k in range(count)]
    for epoch in (0, 3):
        for one in (whole, *parts):
            one.set_epoch(epoch)
        assert {len(part) for part in parts} == {times}
        served = [tuple(map(tuple, part.indices(k))) for k in range(times) for part in parts]
        assert served == [tuple(map(tuple, whole.indices(k))) for k in range(len(whole))]


def test_a_part_loads_its_own_batches_and_goes_on_by_itself():
    whole = build(steps_per_epoch=6, class_weight={"common": 1, "medium": 2, "rare": 3})
    part = whole.shard(1, 3)
    for k in range(2):
        for found, expected in zip(
            [*part[k][0], *part[k][1:]], [*whole[3 * k + 1][0], *whole[3 * k + 1][1:]], strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    part.on_epoch_end()
    assert (part.epoch, whole.epoch) == (1, 0)
    part.class_weight = {"common": 5, "medium": 1, "rare": 1}
    assert whole.class_weight["common"] == 1


@pytest.mark.parametrize(
    ("kwargs", "arguments", "match"),
    [
        ({"steps_per_epoch": 5}, (0, 2), r"2 parts cannot share 25 items in batches of 5 equally.*steps_per_epoch=4"),
        ({"batch_size": 8}, (0, 2), r"2 parts cannot share 75 items.*steps_per_epoch=8"),
        ({}, (3, 3), "from 0 to count - 1"),
        ({}, (0, 0), "`count` must be at least 1"),
    ],
)
def test_parts_that_cannot_be(kwargs, arguments, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs).shard(*arguments)


def test_a_part_has_no_parts():
    with pytest.raises(ValueError, match="already part 0 of 3"):
        build().shard(0, 3).shard(0, 1)


def test_tf_data():
    pytest.importorskip("tensorflow")
    pairs = build(x=(X, {"wide": X[:, None]}), batch_size=8)
    data = pairs.to_tf_dataset()
    assert int(data.cardinality()) == len(pairs) == 10
    for epoch in range(2):
        pairs.set_epoch(epoch)
        for index, ((left, right), similar, weight) in enumerate(data):
            i, j, expected = pairs.indices(index)
            np.testing.assert_array_equal(left[0], X[i])
            np.testing.assert_array_equal(right[1]["wide"][:, 0], X[j])
            np.testing.assert_array_equal(similar[:, 0], expected)
            assert weight.shape == (len(i),)
        assert index == 9
    fixed = build(redraw=False).to_tf_dataset()
    first, second = ([x[0][0].numpy().tolist() for x in fixed] for _ in range(2))
    assert first == second


def test_tf_data_uses_the_newest_class_weights():
    pytest.importorskip("tensorflow")
    pairs = build()
    data = iter(pairs.to_tf_dataset())
    assert set(next(data)[2].numpy()) == {1.0}
    pairs.class_weight = {"common": 1, "medium": 2, "rare": 9}
    assert len({weight for _ in range(5) for weight in next(data)[2].numpy()}) > 1  # TensorFlow fetches some ahead


@pytest.mark.parametrize("redraw", [True, False])
def test_tf_data_uses_the_newest_class_shares(redraw):
    pytest.importorskip("tensorflow")
    pairs, asked = build(redraw=redraw), {"common": 0.1, "medium": 0.1, "rare": 0.8}
    data = pairs.to_tf_dataset()
    list(data)
    pairs.class_sampling = asked
    made = build(redraw=redraw, class_sampling=asked)
    made.set_epoch(1 if redraw else 0)
    expected = [left.tolist() for (left, _), _, _ in (made[i] for i in range(len(made)))]
    assert [left.numpy().tolist() for (left, _), _, _ in data] == expected


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.integers(1, 50)), min_size=1, max_size=8),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_quotas(rows, part, seed):
    shares, caps = np.array(rows).T
    total = int(part * caps.sum())
    expected = fill(total, shares, caps)
    assert expected.sum() == pytest.approx(total, abs=1e-6)
    assert (expected <= caps * (1 + 1e-9)).all()
    level = (expected / shares)[expected < caps * (1 - 1e-9)]
    assert level.size == 0 or level.max() == pytest.approx(level.min(), rel=1e-6)
    assert (
        expected[expected >= caps * (1 - 1e-9)] <= (level.max() if level.size else np.inf) * shares.max() + 1e-6
    ).all()
    rounded = round_to_sum(expected, total, np.random.default_rng(seed))
    assert rounded.sum() == total
    assert (abs(rounded - expected) < 1 + 1e-6).all()
    assert (rounded <= np.ceil(caps)).all()


def test_rounding_is_fair():
    rng = np.random.default_rng(0)
    expected = np.array([0.2, 1.5, 3.0, 0.3])
    mean = np.mean([round_to_sum(expected, 5, rng) for _ in range(2000)], axis=0)
    np.testing.assert_allclose(mean, expected, atol=0.05)
