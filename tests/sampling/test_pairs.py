"""Pairs of one epoch and of several."""

import math
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sampling.epochs import POWERS, build_pairs, pairs_of_epoch

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence

pytestmark = [
    pytest.mark.numpy_only,
    pytest.mark.filterwarnings(
        "ignore:.*with only one sample:UserWarning",
        "ignore:.*instead of max_repeats:UserWarning",
        "ignore:.*a batch holds copies:UserWarning",
    ),
]

heavy_tails = st.lists(st.integers(1, 40), min_size=2, max_size=6)
samplings = st.sampled_from(["balanced", "natural", "sqrt", 0.3, -0.5])


@given(heavy_tails, samplings, st.floats(0.0, 1.0), st.integers(1, 20), st.one_of(st.none(), st.integers(1, 7)))
def test_each_batch_has_its_share_of_similar_pairs(counts, sampling, fraction, batch_size, steps):
    assume(max(counts) > 1)
    pairs = build_pairs(
        counts, class_sampling=sampling, positive_fraction=fraction, batch_size=batch_size, steps_per_epoch=steps
    )
    total = found = 0
    for i in range(len(pairs)):
        (left, right), similar, weight = pairs[i]
        b = len(left)
        total, found = total + b, found + similar.sum()
        assert b == batch_size or (i == len(pairs) - 1 and steps is None)
        assert abs(similar.sum() - b * fraction) < 1 + 1e-6
        assert abs(found - total * fraction) <= 0.5 + 1e-6  # never further off, wherever the epoch is broken off
        assert similar.shape == (b, 1)
        assert weight.shape == (b,)
        assert (similar.dtype, weight.dtype) == (np.float32, np.float32)
        same_class = pairs.labels[left] == pairs.labels[right]
        np.testing.assert_array_equal(same_class, similar[:, 0] == 1)
        assert (left != right).all()
    assert total == (sum(counts) if steps is None else steps * batch_size)


def test_each_half_of_a_batch_has_its_share_of_similar_pairs():
    (_, _), similar, _ = build_pairs([40, 40], batch_size=64)[0]
    assert similar[:32].sum() == similar[32:].sum() == 16


def quotas_with_a_cap(total, shares, caps):
    """Expected positives: the excess of full classes is shared out again until no class is above its cap."""
    given, full = dict.fromkeys(shares, 0.0), set()
    while True:
        rest = total - sum(caps[c] for c in full)
        weight = sum(s for c, s in shares.items() if c not in full)
        given = {c: caps[c] if c in full else rest * s / weight for c, s in shares.items()}
        more = {c for c in shares if given[c] > caps[c] + 1e-9}
        if not more:
            return given
        full |= more


@given(heavy_tails, samplings, st.integers(1, 4))
def test_shares_of_similar_and_of_different_pairs_hold(counts, sampling, most):
    assume(max(counts) > 1)
    pairs = build_pairs(counts, class_sampling=sampling, steps_per_epoch=100, max_repeats=most)
    a, b, _, _, similar = pairs_of_epoch(pairs)
    power = POWERS.get(sampling, sampling)
    share = {f"class {k}": n**power for k, n in enumerate(counts)}
    distinct = {f"class {k}": n * (n - 1) // 2 for k, n in enumerate(counts) if n > 1}
    allowed = max(most, math.ceil(400 / sum(distinct.values())))
    caps = {c: allowed * d for c, d in distinct.items()}
    expected = quotas_with_a_cap(400, {c: share[c] for c in distinct}, caps)
    positives = Counter(a[similar == 1])
    for label, n in expected.items():
        assert abs(positives[label] - n) < 1
        assert positives[label] <= caps[label]
    v = {c: s / sum(share.values()) for c, s in share.items()}
    both = 1 - sum(s * s for s in v.values())
    met = Counter(frozenset(pair) for pair in zip(a[similar == 0], b[similar == 0], strict=True))
    for one, other in combinations(v, 2):
        p = 2 * v[one] * v[other] / both
        assert abs(met[frozenset((one, other))] - 400 * p) <= 5 * math.sqrt(400 * p * max(1 - p, 0)) + 2


@given(heavy_tails, st.integers(1, 60), st.integers(0, 5))
def test_all_pairs_and_all_samples_come_before_any_twice(counts, steps, epoch):
    assume(max(counts) > 1)
    pairs = build_pairs(counts, positive_fraction=1.0, steps_per_epoch=steps, max_repeats=None)
    pairs.set_epoch(epoch)
    a, _, left, right, _ = pairs_of_epoch(pairs)
    for k, n in enumerate(counts):
        mine = a == f"class {k}"
        repeats = Counter(frozenset(pair) for pair in zip(left[mine], right[mine], strict=True))
        possible = n * (n - 1) // 2
        full, rest = divmod(int(mine.sum()), possible) if possible else (0, 0)
        assert Counter(repeats.values()) == Counter(
            {times: number for times, number in ((full, possible - rest), (full + 1, rest)) if times and number}
        )
        if n > 1 and n % 2 == 0:  # in an odd class one sample sits out each round
            visits = np.bincount(np.concatenate([left[mine], right[mine]]), minlength=sum(counts))
            of_class = visits[pairs.labels == k]
            assert of_class.max() - of_class.min() <= 1 + (epoch > 0)  # an epoch can begin in the middle of a round


@pytest.mark.parametrize("n", [6, 7])
def test_epochs_use_all_pairs_before_any_twice(n):
    distinct = n * (n - 1) // 2
    pairs = build_pairs([n, n], batch_size=2, steps_per_epoch=6)  # 3 positives of each class in an epoch
    used = Counter()
    for epoch in range(distinct // 3):
        pairs.set_epoch(epoch)
        a, _, left, right, similar = pairs_of_epoch(pairs)
        mine = (similar == 1) & (a == "class 0")
        used.update(frozenset(pair) for pair in zip(left[mine].tolist(), right[mine].tolist(), strict=True))
    assert len(used) == distinct
    assert set(used.values()) == {1}


@given(heavy_tails)
def test_different_pairs_use_all_samples_before_any_twice(counts):
    pairs = build_pairs(counts, positive_fraction=0.0, steps_per_epoch=10)
    _, _, left, right, _ = pairs_of_epoch(pairs)
    visits = np.bincount(np.concatenate([left, right]), minlength=sum(counts))
    for k in range(len(counts)):
        of_class = visits[pairs.labels == k]
        assert of_class.max() - of_class.min() <= 1


def test_samples_of_small_classes_meet_in_all_combinations():
    pairs = build_pairs([3, 3], positive_fraction=0.0, steps_per_epoch=20)
    _, _, left, right, _ = pairs_of_epoch(pairs)
    assert len({frozenset(pair) for pair in zip(left.tolist(), right.tolist(), strict=True)}) == 9


def test_natural_fraction_follows_its_formula():
    pairs = build_pairs(
        [60, 30, 10], class_sampling="natural", positive_fraction=None, batch_size=100, steps_per_epoch=100
    )
    similar = pairs_of_epoch(pairs)[4]
    assert similar.mean() == pytest.approx((60 * 59 + 30 * 29 + 10 * 9) / (100 * 99), abs=1e-4)
    balanced = build_pairs([60, 30, 10], positive_fraction=None, batch_size=100, steps_per_epoch=100)
    inside = sum((1 - 1 / n) / 9 for n in (60, 30, 10))
    assert pairs_of_epoch(balanced)[4].mean() == pytest.approx(
        inside / (1 - sum(1 / n / 9 for n in (60, 30, 10))), abs=1e-4
    )


def test_progressive_goes_from_natural_to_balanced():
    pairs = build_pairs([60, 20], class_sampling="progressive", epochs=5, steps_per_epoch=100)
    found = []
    for epoch in (0, 2, 4, 9):
        pairs.set_epoch(epoch)
        a, _, _, _, similar = pairs_of_epoch(pairs)
        found.append(Counter(a[similar == 1])["class 0"])
    assert found == [300, 250, 200, 200]
    for wrong in ({"class_sampling": "progressive"}, {"epochs": 3}):
        with pytest.raises(ValueError, match="`epochs` is for class_sampling='progressive'"):
            build_pairs([6, 6], **wrong)


def test_shares_can_be_a_mapping():
    pairs = build_pairs([20, 20], class_sampling={"class 0": 3, "class 1": 1}, steps_per_epoch=50)
    a, _, _, _, similar = pairs_of_epoch(pairs)
    assert Counter(a[similar == 1])["class 0"] == 150


def test_pairs_beyond_the_limit_go_to_the_other_classes():
    pairs = build_pairs([2, 40, 40], steps_per_epoch=30, max_repeats=3)
    a, _, _, _, similar = pairs_of_epoch(pairs)
    positives = Counter(a[similar == 1])
    assert positives["class 0"] == 3
    assert positives["class 1"] in (58, 59)
    notes = pairs.describe().notes
    assert len(notes) == 1
    assert "1 class ('class 0') at the limit of 3 repeats" in notes[0]
    assert Counter(pairs_of_epoch(build_pairs([2, 40, 40], steps_per_epoch=30, max_repeats=None))[0])["class 0"] > 40


@pytest.mark.filterwarnings("error")
def test_a_limit_that_is_too_low_warns():
    with pytest.warns(UserWarning, match=r"each comes up to 14 times instead of max_repeats=3"):
        build_pairs([3, 3], steps_per_epoch=20, max_repeats=3)


def test_classes_of_different_pairs_follow_the_formula():
    pairs = build_pairs(
        [60, 30, 10], class_sampling="natural", positive_fraction=0.0, batch_size=100, steps_per_epoch=200
    )
    a, b, _, _, _ = pairs_of_epoch(pairs)
    met = Counter(frozenset(pair) for pair in zip(a, b, strict=True))
    v = {"class 0": 0.6, "class 1": 0.3, "class 2": 0.1}
    for one, other in combinations(v, 2):
        p = 2 * v[one] * v[other] / (1 - 0.36 - 0.09 - 0.01)
        assert met[frozenset((one, other))] / 20_000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000))


def test_a_batch_depends_on_seed_epoch_and_index_only():
    first, again, other_seed = build_pairs([30, 9, 2]), build_pairs([30, 9, 2]), build_pairs([30, 9, 2], seed=4)
    for i in reversed(range(len(first))):  # in any order
        again.indices(i)
    for i in range(len(first)):
        np.testing.assert_array_equal(first.indices(i), again.indices(i))
    assert any((first.indices(i)[0] != other_seed.indices(i)[0]).any() for i in range(len(first)))
    later = build_pairs([30, 9, 2])
    later.set_epoch(5)
    assert any((first.indices(i)[0] != later.indices(i)[0]).any() for i in range(len(first)))
    later.set_epoch(0)
    np.testing.assert_array_equal(first.indices(1), later.indices(1))
    np.testing.assert_array_equal(first.indices(-1), first.indices(len(first) - 1))
    with pytest.raises(IndexError, match="batches"):
        first.indices(len(first))


def test_a_copy_without_a_seed_draws_the_same():
    pairs = build_pairs([20, 5], seed=None)
    copy = pickle.loads(pickle.dumps(pairs))
    np.testing.assert_array_equal(pairs.indices(0), copy.indices(0))
    assert build_pairs([20, 5], seed=None).seed != pairs.seed


def test_epochs_together_use_the_whole_majority():
    pairs = build_pairs([200, 4], steps_per_epoch=10)
    used = set()
    for epoch in range(40):
        pairs.set_epoch(epoch)
        used.update(np.concatenate(pairs_of_epoch(pairs)[2:4]).tolist())
    assert len(used) == 204


def test_only_a_sequence_that_redraws_goes_to_the_next_epoch():
    moving, fixed = build_pairs([20, 5]), build_pairs([20, 5], redraw=False)
    for pairs in (moving, fixed):
        pairs.on_epoch_end()  # Keras calls it before the first epoch
        for i in range(len(pairs)):
            pairs[i]
        pairs.on_epoch_end()
    assert (moving.epoch, fixed.epoch) == (1, 0)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_get_the_same_batches(workers):
    expected = [build_pairs([30, 9, 2]).indices(i) for i in range(6)]
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        found = list(pool.map(build_pairs([30, 9, 2]).indices, range(6)))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("cls", "shape"), [(BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))])
def test_repeats_have_no_limit_by_default(cls, shape):
    y = np.repeat(["tiny", "other", "more"], [2, 40, 40])
    sequence = cls(np.arange(82), y, *shape, steps_per_epoch=60)
    assert sequence.class_distribution["tiny"] == pytest.approx(1 / 3)


@given(st.permutations(range(24)))
def test_the_order_of_the_samples_does_not_change_the_shares(order):
    x, y, order = np.arange(24), np.repeat([0, 1, 2], 8), np.array(order)
    one = BalancedPairSequence(x, y, batch_size=6, seed=1)
    other = BalancedPairSequence(x[order], y[order], batch_size=6, seed=1)
    assert str(one.describe()) == str(other.describe())
    for k in range(len(one)):
        i, j, similar = other.indices(k)
        np.testing.assert_array_equal(other[k][0][0], x[order[i]])
        assert ((y[order[i]] == y[order[j]]) == (similar == 1)).all()
