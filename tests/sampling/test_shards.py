"""Parts of an epoch for several processes."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese import BalancedPairSequence

pytestmark = [pytest.mark.numpy_only, pytest.mark.filterwarnings("ignore:.*instead of max_repeats:UserWarning")]

COUNTS = {"common": 50, "medium": 20, "rare": 5}
Y = np.repeat(list(COUNTS), list(COUNTS.values()))
X = np.random.default_rng(0).normal(size=(len(Y), 3)).astype("float32")


def build(x=X, **kwargs):
    return BalancedPairSequence(x, Y, **{"batch_size": 5, "seed": 1, **kwargs})


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([None, "undersample", "oversample"]))
def test_shards_are_disjoint_and_together_the_epoch(count, times, resampling):
    whole = build(steps_per_epoch=count * times, resampling=resampling)
    parts = [whole.shard(k, count) for k in range(count)]
    for epoch in (0, 3):
        for one in (whole, *parts):
            one.set_epoch(epoch)
        assert {len(part) for part in parts} == {times}
        served = [tuple(map(tuple, part.indices(k))) for k in range(times) for part in parts]
        assert served == [tuple(map(tuple, whole.indices(k))) for k in range(len(whole))]


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["balanced", "natural"]))
def test_the_parts_of_a_step_are_a_batch_of_all_processes(count, steps, class_sampling):
    options = {"class_sampling": class_sampling}
    parts = [build(steps_per_epoch=count * steps, **options).shard(k, count) for k in range(count)]
    whole = build(batch_size=5 * count, steps_per_epoch=steps, **options)
    for step in range(steps):
        together = [np.concatenate(sides) for sides in zip(*(part.indices(step) for part in parts), strict=True)]
        for found, expected in zip(together, whole.indices(step), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_shard_has_its_own_epoch_and_weights():
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
def test_bad_shards(kwargs, arguments, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs).shard(*arguments)


def test_a_shard_cannot_be_sharded():
    with pytest.raises(ValueError, match="already part 0 of 3"):
        build().shard(0, 3).shard(0, 1)


def test_an_epoch_ends_with_the_part_that_an_engine_serves():
    """An engine may give each process every second batch of a whole sequence."""
    whole = build(steps_per_epoch=6)
    with mock.patch("keras_balanced_siamese.sampling._epoch_sequence.parts_by_number", return_value=2):
        for epoch in range(3):
            for k in range(epoch % 2, 6, 2):
                assert whole.epoch == epoch
                whole[k]
            whole.on_epoch_end()
    assert whole.epoch == 3
