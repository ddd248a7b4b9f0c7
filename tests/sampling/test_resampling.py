"""Resampling before samples are paired."""

import numpy as np
import pytest

from keras_balanced_siamese import BalancedPairSequence

pytestmark = [pytest.mark.numpy_only, pytest.mark.filterwarnings("ignore:.*instead of max_repeats:UserWarning")]

COUNTS = {"common": 50, "medium": 20, "rare": 5}
Y = np.repeat(list(COUNTS), list(COUNTS.values()))
X = np.random.default_rng(0).normal(size=(len(Y), 3)).astype("float32")


def build(x=X, **kwargs):
    return BalancedPairSequence(x, Y, **{"batch_size": 5, "seed": 1, **kwargs})


def members(pairs, epoch=0):
    """Labels and samples of all pairs of an epoch, both sides."""
    pairs.set_epoch(epoch)
    sides = [np.concatenate(pairs.indices(i)[:2]) for i in range(len(pairs))]
    index = np.concatenate(sides)
    return np.array(pairs.classes)[pairs.labels[index]], index


def test_undersampling_uses_all_samples_over_the_epochs():
    pairs = build(resampling="undersample")
    assert len(pairs) == 3  # 15 samples, 15 pairs
    used = set()
    for epoch in range(10):  # 5 of 50 common samples in each
        labels, index = members(pairs, epoch)
        by_class = [set(index[labels == label]) for label in COUNTS]
        assert all(4 <= len(of_class) <= 5 for of_class in by_class)
        assert not by_class[0] & used
        used |= by_class[0]
    assert len(used) > 45  # a sample can miss its turn
    for epoch in range(10, 30):
        used |= set(members(pairs, epoch)[1])
    assert used == set(range(75))


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
def test_random_samplers_of_imblearn_take_any_samples(x):
    imblearn = pytest.importorskip("imblearn.under_sampling")
    sampler = imblearn.RandomUnderSampler()
    pairs = build(x, resampling=sampler, transform=None if isinstance(x, np.ndarray) else len)
    found = [set(members(pairs, epoch)[1]) for epoch in range(4)]
    assert all(len(one) == 15 for one in found)
    assert len(set.union(*found)) > 25  # drawn anew
    assert set(members(build(x, resampling=sampler, transform=pairs.transform), 2)[1]) == found[2]
    assert sampler.random_state is None  # the user's own is left alone


def test_samplers_that_compare_samples_need_a_matrix():
    imblearn = pytest.importorskip("imblearn.under_sampling")
    pairs = build(resampling=imblearn.NearMiss(n_neighbors=3))
    assert len(set(members(pairs)[1])) == 15
    with pytest.raises(ValueError, match=r"NearMiss\(\)` compares or mixes.*matrix.*shape \(75, 4, 4, 1\)"):
        build(np.zeros((75, 4, 4, 1)), resampling=imblearn.NearMiss())
    with pytest.raises(ValueError, match=r"SMOTE\(\)`.*Received: x=list"):
        build(list(X), resampling=pytest.importorskip("imblearn.over_sampling").SMOTE())


@pytest.mark.parametrize("workers", [1, 2])
def test_generated_samples_are_loaded_and_labelled(workers):
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


def test_bad_resampling():
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
