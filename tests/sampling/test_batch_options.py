"""Small classes, weights, resampling, loading, summary and bad arguments of a sequence of batches."""

import warnings
from collections import Counter

import numpy as np
import pytest
from sampling.epochs import build_batches, labels_of, samples_of_epoch, visits_of

from keras_balanced_siamese import BalancedBatchSequence

pytestmark = [
    pytest.mark.numpy_only,
    pytest.mark.filterwarnings(
        "ignore:.*left out:UserWarning",
        "ignore:.*a batch holds copies:UserWarning",
        "ignore:.*is so long that:UserWarning",
    ),
]


def test_small_classes_warn_and_are_in_the_notes():
    with pytest.warns(
        UserWarning, match=r"1 class \('class 2'\) of 4 left out: fewer samples than min_samples=2"
    ) as warned:
        batches = BalancedBatchSequence(np.arange(44), labels_of([20, 20, 1, 3]), 2, 4, seed=3)
    assert any("1 class ('class 3') of 4 with fewer samples than samples_per_class=4" in str(w.message) for w in warned)
    assert all(w.filename == __file__ for w in warned)
    notes = batches.describe().notes
    assert notes[:2] == [
        "1 class ('class 2') left out: fewer than 2 samples",
        "1 class ('class 3') in copies: fewer than 4 samples",
    ]
    assert visits_of(batches)[2] == 0
    assert visits_of(build_batches([20, 20, 1, 3], min_samples=1))[2] > 0


def test_copies_that_a_batch_transform_changes_do_not_warn():
    def change(samples, rng):
        return samples + rng.random(len(samples))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = BalancedBatchSequence(np.arange(43), labels_of([20, 20, 3]), 2, 4, batch_transform=change, seed=3)
    assert not caught
    assert "1 class ('class 2') in copies: fewer than 4 samples" in batches.describe().notes
    with pytest.warns(UserWarning, match=r"a batch holds copies of their samples\. Pass a `batch_transform` that"):
        BalancedBatchSequence(np.arange(43), labels_of([20, 20, 3]), 2, 4, seed=3)


@pytest.mark.filterwarnings("error")
def test_classes_of_enough_samples_do_not_warn():
    build_batches([40, 40, 4], p=3)


def test_assigned_weights_take_effect_and_have_mean_one():
    batches = build_batches([60, 20, 6], p=2, steps_per_epoch=40)
    assert batches[0][2].tolist() == [1.0] * 8
    batches.class_weight = weight = {"class 0": 0.5, "class 1": 2.0, "class 2": 8.0}
    codes, weights = (np.concatenate(part) for part in zip(*(batches[i][1:] for i in range(40)), strict=True))
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)
    ratio = weights / np.array(list(weight.values()))[codes]
    assert ratio.max() == pytest.approx(ratio.min(), rel=1e-5)
    with pytest.raises(ValueError, match="class_weight"):
        batches.class_weight = {"class 0": 1.0}


def test_correcting_frequency_twice_warns():
    with pytest.warns(UserWarning, match=r"corrected twice.*class_sampling='balanced' draws 'class 2' \(10 samples\)"):
        build_batches([90, 90, 10], class_weight="balanced")
    with pytest.warns(UserWarning, match="corrected twice"):  # both are in every batch, whatever the shares
        build_batches([90, 10], class_weight="balanced", class_sampling="natural")


@pytest.mark.filterwarnings("error")
def test_weights_that_do_not_follow_frequency_do_not_warn():
    build_batches([90, 90, 90, 10], class_weight={"class 0": 1, "class 1": 2, "class 2": 1, "class 3": 1})
    build_batches([90, 90, 90, 30], class_weight="balanced", class_sampling="natural")


def test_resampling_gives_each_class_as_many_samples():
    under = build_batches([40, 40, 8], resampling="undersample", class_sampling="natural")
    assert len(under) == 3
    used = Counter()
    for epoch in range(5):
        under.set_epoch(epoch)
        index, codes = samples_of_epoch(under)
        assert all(len(set(index[codes == c].tolist())) == 8 for c in range(3))
        used.update(index.reshape(-1).tolist())
    assert sum(under.labels[i] == 0 for i in used) > 8
    some = build_batches([40, 40, 8], 2, 3, resampling="undersample", steps_per_epoch=7)
    for epoch in range(5):
        some.set_epoch(epoch)
        index, codes = samples_of_epoch(some)
        for c in range(3):
            times = np.bincount(np.unique(index[codes == c], return_inverse=True)[1].reshape(-1))
            assert len(times) == 8
            assert max(times) - min(times) <= 1
    over = build_batches(
        [40, 40, 8], resampling="oversample", class_sampling="natural", steps_per_epoch=30, max_repeats=None
    )
    assert visits_of(over).tolist() == [20, 20, 20]


class RandomUnderSampler:
    """A stand-in for the class of this name in imbalanced-learn."""

    def get_params(self):
        return {"random_state": None}

    def set_params(self, random_state):
        self.rng = np.random.default_rng(random_state)

    def fit_resample(self, x, y):
        least = np.bincount(y).min()
        chosen = [self.rng.choice(np.flatnonzero(y == c), least, replace=False) for c in np.unique(y)]
        self.sample_indices_ = np.concatenate(chosen)
        return x[self.sample_indices_], y[self.sample_indices_]


def test_a_sampler_resamples_each_epoch_by_its_number():
    batches = build_batches([40, 40, 8], resampling=RandomUnderSampler())
    assert len(batches) == 3
    drawn = []
    for epoch in (0, 7, 0):
        batches.set_epoch(epoch)
        index, codes = samples_of_epoch(batches)
        assert all(len(set(index[codes == c].tolist())) == 8 for c in range(3))
        drawn.append(index)
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert (drawn[0] != drawn[1]).any()


class Doubling:
    """A sampler that generates samples."""

    def get_params(self):
        return {}

    def fit_resample(self, x, y):
        return np.concatenate([x, x + 0.5]), np.concatenate([y, y])


def test_a_sampler_may_generate_samples():
    y = labels_of([10, 10])
    x = np.arange(20.0)[:, None]
    batches = BalancedBatchSequence(x, y, 2, 4, resampling=Doubling(), seed=0)
    samples = np.concatenate([batches[i][0] for i in range(len(batches))])
    assert len(batches) == 5
    assert (samples % 1 == 0.5).any()
    assert [batches.classes[c] for c in batches[0][1]] == [y[int(v)] for v in batches[0][0][:, 0]]


def test_describe_lists_each_class_and_its_batches():
    summary = build_batches(
        [60, 20, 20], class_weight={"class 0": 1, "class 1": 2, "class 2": 4}, steps_per_epoch=30
    ).describe()
    text = str(summary)
    for part in ("class 0", "60.00%", "33.33%", "30 batches of 8: 2 classes, 4 samples of each"):
        assert part in text
    assert repr(summary) == text
    assert summary.to_dict()["per_class"]["class 1"] == {
        "samples": 20,
        "sample_share": pytest.approx(0.2),
        "batches": pytest.approx(20),
        "share": pytest.approx(1 / 3),
        "wanted_share": pytest.approx(1 / 3),
        "repeats": pytest.approx(4),
        "weight": 2.0,
    }
    assert summary.totals == {"steps": 30, "batch_size": 8, "classes_per_batch": 2, "samples_per_class": 4}
    assert build_batches([9, 9]).describe().notes == [
        "2 classes ('class 0', 'class 1') in every batch: the rest of their share goes to the other classes"
    ]


def test_shards_of_a_batch_are_together_the_batch():
    whole = build_batches([40, 20, 20], steps_per_epoch=6, class_weight={"class 0": 1, "class 1": 3, "class 2": 2})
    parts = [whole.shard(k, 4) for k in range(4)]
    for i in range(6):
        for *found, expected in zip(*(part[i] for part in parts), whole[i], strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)
        np.testing.assert_array_equal(np.concatenate([part.indices(i) for part in parts]), whole.indices(i))
    with pytest.raises(ValueError, match="cannot share each batch equally"):
        whole.shard(0, 3)


@pytest.mark.parametrize(("workers", "processes"), [(0, False), (3, False), (2, True)])
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning", "ignore:.*fork.*:DeprecationWarning")
def test_batches_are_the_same_with_workers(workers, processes):
    one, many = build_batches([40, 20, 20]), build_batches([40, 20, 20], workers=workers, use_multiprocessing=processes)
    for i in range(len(one)):
        for found, expected in zip(many[i], one[i], strict=True):
            np.testing.assert_array_equal(found, expected)


def test_batches_apply_transforms():
    sizes = []

    def both(samples, rng):
        sizes.append(len(samples))
        return samples + rng.random(len(samples))

    batches = build_batches([9, 9], 2, 4, transform=lambda v: v * 10.0, batch_transform=both)
    samples, _, _ = batches[0]
    np.testing.assert_array_equal(np.floor(samples), batches.indices(0) * 10)
    assert sizes == [8]
    with pytest.raises(ValueError, match=r"all 8 of a batch\. Received: 7"):
        build_batches([9, 9], 2, 4, batch_transform=lambda samples: samples[1:])[0]


def test_batches_take_several_inputs_and_boolean_labels():
    a, y = np.arange(20), np.repeat([True, False], 10)
    (one, two), codes, _ = BalancedBatchSequence((a, a * 2.0), y, 2, 4, seed=0)[0]
    np.testing.assert_array_equal(one * 2.0, two)
    np.testing.assert_array_equal(y[one], codes == 1)


X, Y = np.zeros((9, 2)), np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])


@pytest.mark.parametrize(
    ("y", "kwargs", "error", "match"),
    [
        (Y[:5], {}, ValueError, r"same length.*len\(x\)=9, len\(y\)=5"),
        (np.zeros(9), {}, ValueError, "at least two classes"),
        (
            Y,
            {},
            ValueError,
            "smaller `classes_per_batch` or `min_samples`.*Received: 2 such classes of 3, classes_per_batch=8",
        ),
        (
            Y,
            {"classes_per_batch": 3},
            ValueError,
            r"share above 0 and at least 2 samples\..*Received: 2 such classes of 3",
        ),
        (
            Y,
            {"classes_per_batch": 2, "class_sampling": {0: 1, 1: 0, 2: 1}},
            ValueError,
            "Received: 1 such classes of 3",
        ),
        (Y, {"classes_per_batch": 1}, ValueError, "`classes_per_batch` must be at least 2"),
        (Y, {"samples_per_class": 1}, ValueError, "`samples_per_class` must be at least 2"),
        (Y, {"samples_per_class": 2.5}, TypeError, "whole number"),
        (Y, {"min_samples": 0}, ValueError, "`min_samples` must be at least 1"),
        (Y, {"classes_per_batch": 2, "max_repeats": 0}, ValueError, "`max_repeats`"),
        (Y, {"steps_per_epoch": 0}, ValueError, "`steps_per_epoch`"),
        (Y, {"class_sampling": "flat"}, ValueError, "balanced.*sqrt.*natural.*progressive"),
        (Y, {"class_sampling": "progressive"}, ValueError, "`epochs` is for"),
        (Y, {"resampling": "both"}, ValueError, "`resampling`"),
        (Y, {"classes_per_batch": 2, "class_weight": {0: 1.0}}, ValueError, "Missing"),
        (Y, {"transform": "load"}, TypeError, "`transform`"),
    ],
)
def test_bad_input(y, kwargs, error, match):
    with pytest.raises(error, match=match):
        BalancedBatchSequence(X, y, **kwargs)
