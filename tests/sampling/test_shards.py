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
def test_the_parts_of_a_batch_are_together_the_batch(count, size, resampling):
    whole = build(batch_size=count * size, steps_per_epoch=4, resampling=resampling)
    parts = [whole.shard(k, count) for k in range(count)]
    for epoch in (0, 3):
        for one in (whole, *parts):
            one.set_epoch(epoch)
        for step in (*range(4), None):
            found = [part.indices(step) for part in parts]
            rows = size if step is not None else 4 * size
            assert {len(side) for sides in found for side in sides} == {rows}
            if step is not None:
                together = [np.concatenate(sides) for sides in zip(*found, strict=True)]
                for side, expected in zip(together, whole.indices(step), strict=True):
                    np.testing.assert_array_equal(side, expected)


def test_a_shard_has_its_own_epoch_and_weights():
    options = {"class_weight": {"common": 1, "medium": 2, "rare": 3}, "transform": lambda sample: 2 * sample}
    whole = build(batch_size=6, steps_per_epoch=2, with_classes=True, workers=2, **options)
    part = whole.shard(1, 3)
    assert len(part) == len(whole) == 2
    for k in range(2):
        for found, expected in zip([*part[k][0], *part[k][1:]], [*whole[k][0], *whole[k][1:]], strict=True):
            np.testing.assert_array_equal(found, expected[2:4])
    part.on_epoch_end()
    assert (part.epoch, whole.epoch) == (1, 0)
    part.class_weight = {"common": 5, "medium": 1, "rare": 1}
    assert whole.class_weight["common"] == 1


def test_the_random_numbers_of_the_parts_differ():
    whole = build(batch_size=4, steps_per_epoch=2, batch_transform=lambda x, rng: x + rng.normal(size=x.shape))
    noise = [whole.shard(rank, 2)[1][0][0] - X[whole.shard(rank, 2).indices(1)[0]] for rank in range(2)]
    assert (np.abs(noise[0] - noise[1]) > 1e-3).all()


@pytest.mark.parametrize(
    ("kwargs", "arguments", "match"),
    [
        ({"steps_per_epoch": 5}, (0, 2), r"2 processes cannot share each batch equally.*25 items in batches of 5"),
        ({"batch_size": 8}, (0, 2), r"cannot share each batch equally.*`steps_per_epoch`.*75 items in batches of 8"),
        ({}, (3, 3), "`rank` must be from 0 to count - 1"),
        ({}, (0, 0), "`count` must be at least 1"),
    ],
)
def test_bad_shards(kwargs, arguments, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs).shard(*arguments)


def test_a_shard_cannot_be_sharded():
    with pytest.raises(ValueError, match="already part 0 of 3"):
        build(batch_size=3).shard(0, 3).shard(0, 1)


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
