"""Class shares that are assigned to a sequence."""

import numpy as np
import pytest

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("epoch", [0, 3, 5, 7])
def test_assigned_shares_act_as_those_of_a_new_sequence(epoch):
    y = np.repeat([0, 1, 2], [30, 12, 6])
    shares = {0: 0.2, 1: 0.5, 2: 0.3}
    for cls, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        changed = cls(y, y, *shape, class_sampling="natural", seed=0)
        changed.set_epoch(5)
        assert len([changed[i] for i in range(len(changed))]) == len(changed)
        changed.class_sampling = shares
        other = cls(y, y, *shape, class_sampling=shares, seed=0)
        for one in (changed, other):
            one.set_epoch(epoch)
        for i in range(len(other)):
            for found, expected in zip(changed.indices(i), other.indices(i), strict=True):
                np.testing.assert_array_equal(found, expected)
        assert changed.class_sampling == shares
        assert changed.class_shares == shares
        assert changed.class_distribution == other.class_distribution


def test_shares_with_the_sum_one_stay_equal_to_the_last_bit():
    y, shares = np.repeat([0, 1, 2], [30, 12, 6]), {0: 0.7, 1: 0.2, 2: 0.1}
    assert 0.7 + 0.2 + 0.1 != 1  # but for rounding; `sum` is more precise from Python 3.12 on
    for cls, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        one = cls(y, y, *shape, class_sampling=shares, seed=0)
        assert one.class_shares == shares
        one.class_sampling = one.class_shares
        assert one.class_sampling == shares


def test_a_mapping_that_is_changed_later_changes_no_shares():
    y = np.repeat([0, 1, 2], [30, 12, 6])
    for cls, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        shares = {0: 0.2, 1: 0.5, 2: 0.3}
        other = cls(y, y, *shape, class_sampling=shares, seed=0)
        changed = cls(y, y, *shape, seed=0)
        changed.class_sampling = shares
        shares[2] = 3.0
        for one in (other, changed):
            assert one.class_sampling == one.class_shares == {0: 0.2, 1: 0.5, 2: 0.3}


def test_a_copy_of_a_sequence_keeps_its_shares():
    y = np.repeat([0, 1, 2], [30, 12, 6])
    for cls, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        whole = cls(y, y, *shape, class_sampling="natural", steps_per_epoch=6, seed=0)
        part = whole.shard(0, 2)
        whole.class_sampling = "balanced"
        assert part.class_sampling == "natural"
        assert whole.class_shares == pytest.approx(dict.fromkeys(range(3), 1 / 3))
        assert part.class_shares == pytest.approx({0: 30 / 48, 1: 12 / 48, 2: 6 / 48})


def test_shares_that_are_refused_change_nothing():
    y = np.repeat([0, 1, 2], [30, 12, 6])
    for cls, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        one = cls(y, y, *shape, class_sampling="natural", seed=0)
        for bad in ("even", "progressive", {0: 1.0, 1: 0.0, 2: 0.0}, {0: 1.0}):
            with pytest.raises(ValueError, match="class"):
                one.class_sampling = bad
            assert one.class_sampling == "natural"
        with pytest.raises(TypeError, match="a number or a mapping"):
            one.class_sampling = np.full(3, 1 / 3)
        moving = cls(y, y, *shape, class_sampling="progressive", epochs=3, seed=0)
        with pytest.raises(ValueError, match="cannot be assigned or replaced"):
            moving.class_sampling = "balanced"
