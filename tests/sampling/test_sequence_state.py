"""Attributes of a sequence: the state that changes and is reset, and the arguments that stay."""

import copy
import pickle

import numpy as np
import pytest
from toy import clusters

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence

pytestmark = pytest.mark.numpy_only

X, Y = clusters()
SEQUENCES = [
    lambda **kwargs: BalancedPairSequence(X, Y, 8, **{"seed": 0, **kwargs}),
    lambda **kwargs: BalancedBatchSequence(X, Y, 2, 4, **{"seed": 0, **kwargs}),
]
IDS = ["pairs", "batches"]


def whole_epoch(sequence):
    """All that one epoch serves, as one list of arrays."""
    found = []
    for k in range(len(sequence)):
        samples, labels, weights = sequence[k]
        found += [*(samples if isinstance(samples, tuple) else [samples]), labels, weights]
    return found


def assert_same_epoch(one, other):
    for found, expected in zip(whole_epoch(one), whole_epoch(other), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("build", SEQUENCES, ids=IDS)
@pytest.mark.parametrize("weights", [None, {"common": 1.0, "medium": 2.0, "rare": 5.0}])
def test_reset_returns_to_the_start(build, weights):
    used, fresh = (build(class_weight=weights, class_sampling="natural") for _ in range(2))
    for _ in range(3):
        whole_epoch(used)
        used.on_epoch_end()
        used.class_weight = {"common": 0.1, "medium": 7.0, "rare": 2.0}
        used.class_sampling = {"common": 0.2, "medium": 0.2, "rare": 0.6}
    assert used.epoch == 3
    used.reset()
    assert (used.epoch, used.class_sampling) == (0, "natural")
    assert used.class_weight == fresh.class_weight
    for _ in range(2):
        assert_same_epoch(used, fresh)
        used.on_epoch_end()
        fresh.on_epoch_end()


@pytest.mark.parametrize("build", SEQUENCES, ids=IDS)
def test_reset_drops_replaced_pairs_and_keeps_the_part(build):
    part, fresh = (build(steps_per_epoch=6).shard(1, 2) for _ in range(2))
    first = next(name for name in ("pairs", "samples") if hasattr(part.plan, name))
    part.replace_plan(part.plan._replace(**{first: getattr(part.plan, first)[::-1]}))
    assert (part[0][0][0] != fresh[0][0][0]).any()
    part.reset()
    assert len(part) == 6
    assert_same_epoch(part, fresh)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda sequence: pickle.loads(pickle.dumps(sequence))])
@pytest.mark.parametrize("build", SEQUENCES, ids=IDS)
def test_a_copy_has_its_own_state(build, how):
    one = build(class_weight={"common": 1.0, "medium": 2.0, "rare": 5.0})
    one.set_epoch(2)
    other = how(one)
    assert_same_epoch(one, other)
    other.class_weight = {"common": 1.0, "medium": 1.0, "rare": 1.0}
    other.reset()
    assert (one.epoch, other.epoch) == (2, 0)
    assert one.class_weight == other.class_weight == {"common": 1.0, "medium": 2.0, "rare": 5.0}
    assert other.batches_served == len(other)


@pytest.mark.parametrize("build", SEQUENCES, ids=IDS)
@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("batch_size", 64, "construct another sequence with batch_size"),
        ("seed", 3, "construct another sequence with seed"),
        ("positive_fraction", 0.2, "construct another sequence with positive_fraction"),
        ("classes_per_batch", 3, "construct another sequence with classes_per_batch"),
        ("samples_per_class", 3, "construct another sequence with samples_per_class"),
        ("steps_per_epoch", 3, "construct another sequence with steps_per_epoch"),
        ("transform", np.sqrt, "construct another sequence with transform"),
        ("batch_transform", np.sqrt, "construct another sequence with batch_transform"),
        ("with_classes", True, "construct another sequence with with_classes"),
        ("max_repeats", 2, "construct another sequence with max_repeats"),
        ("resampling", "oversample", "construct another sequence with resampling"),
        ("min_samples", 3, "construct another sequence with min_samples"),
        ("workers", 4, r"starts its own workers: construct it with workers=4"),
        ("use_multiprocessing", True, r"starts its own workers: construct it with use_multiprocessing=True"),
        ("max_queue_size", 4, r"starts its own workers: construct it with max_queue_size=4"),
        ("epoch", 3, r"Call `set_epoch\(3\)`"),
        ("class_shares", {"common": 1.0}, "Assign `class_sampling`"),
        ("class_distribution", {"common": 1.0}, "Assign `class_sampling`"),
        ("labels", Y, "those of `y`"),
        ("num_batches", 3, "steps_per_epoch"),
    ],
)
def test_attributes_without_an_effect_cannot_be_assigned(build, name, value, cure):
    for one in (build(), pickle.loads(pickle.dumps(build()))):
        before = getattr(one, name, None)
        with pytest.raises(AttributeError, match=rf"`{name}` of a sequence cannot be assigned\..*{cure}.*Received"):
            setattr(one, name, value)
        np.testing.assert_array_equal(getattr(one, name, None), before)


@pytest.mark.parametrize("build", SEQUENCES, ids=IDS)
def test_redraw_can_be_assigned(build):
    one = build()
    for redraw, expected in ((True, 1), (False, 1), (0, 1), (np.True_, 2)):
        one.redraw = redraw
        assert one.redraw is bool(redraw)
        whole_epoch(one)
        one.on_epoch_end()
        assert one.epoch == expected
    with pytest.raises(TypeError, match="`redraw` must be True or False"):
        one.redraw = "no"
    assert one.redraw is True
