"""Batches of one epoch and of several."""

import math
import pickle
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sampling.epochs import POWERS, build_batches, labels_of, samples_of_epoch, visits_of

from keras_balanced_siamese.sampling._sample_order import random_order

pytestmark = [
    pytest.mark.numpy_only,
    pytest.mark.filterwarnings(
        "ignore:.*left out:UserWarning",
        "ignore:.*a batch holds copies:UserWarning",
        "ignore:.*is so long that:UserWarning",
    ),
]

heavy_tails = st.lists(st.integers(1, 60), min_size=2, max_size=7)
samplings = st.sampled_from(["balanced", "natural", "sqrt", 0.3, -0.5])
shapes = st.tuples(st.integers(2, 5), st.integers(2, 6))


@given(heavy_tails, shapes, samplings, st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 3))
def test_each_batch_has_p_classes_and_k_samples_of_each(counts, shape, sampling, steps, least):
    p, k = shape
    assume(sum(n >= least for n in counts) >= p)
    batches = build_batches(counts, p, k, class_sampling=sampling, steps_per_epoch=steps, min_samples=least)
    names = labels_of(counts)
    for i in range(len(batches)):
        samples, codes, weight = batches[i]
        assert (samples.shape, codes.shape, weight.shape) == ((p * k,),) * 3
        assert (codes.dtype, weight.dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(samples, batches.indices(i))
        found = names[samples]
        assert found.tolist() == [batches.classes[code] for code in codes]
        assert Counter(Counter(found).values()) == {k: p}
        for label in set(found):
            n = counts[int(label.split()[1])]
            assert n >= least
            times = Counter(samples[found == label].tolist()).values()
            assert len(times) == min(n, k)
            assert max(times) == math.ceil(k / n)  # 1 if the class has enough
            assert min(times) == max(k // n, 1)
    assert len(batches) == (math.ceil(sum(counts) / (p * k)) if steps is None else steps)


def quotas_with_caps(total, shares, caps):
    """Expected visits: the excess of full classes is shared out again until no class is above its cap."""
    full = set()
    while True:
        rest = total - sum(caps[c] for c in full)
        weight = sum(s for c, s in shares.items() if c not in full) or 1.0
        given = {c: caps[c] if c in full else rest * s / weight for c, s in shares.items()}
        more = {c for c in shares if given[c] > caps[c] + 1e-9}
        if not more:
            return given
        full |= more


@given(heavy_tails, shapes, samplings, st.integers(1, 40), st.integers(0, 3), st.integers(1, 4))
def test_each_class_has_its_share_and_comes_once_a_batch(counts, shape, sampling, steps, epoch, most):
    (p, k), able = shape, {c: n for c, n in enumerate(counts) if n > 1}
    assume(len(able) >= p)
    distinct = {c: n * (n - 1) / min(n, k) / (min(n, k) - 1) for c, n in able.items()}
    caps = {c: min(math.floor(most * d + 1e-9), steps) for c, d in distinct.items()}
    assume(sum(caps.values()) >= steps * p)
    batches = build_batches(counts, p, k, class_sampling=sampling, steps_per_epoch=steps, max_repeats=most)
    batches.set_epoch(epoch)
    power = POWERS.get(sampling, sampling)
    expected = quotas_with_caps(steps * p, {c: n**power for c, n in able.items()}, caps)
    visits = visits_of(batches)
    for c in range(len(counts)):
        assert abs(visits[c] - expected.get(c, 0)) < 1
        assert batches.class_distribution[f"class {c}"] == pytest.approx(expected.get(c, 0) / (steps * p))


def test_visits_beyond_the_limit_go_to_the_other_classes():
    capped, free = (
        build_batches([2, 40, 40, 40], steps_per_epoch=30, max_repeats=3),
        build_batches([2, 40, 40, 40], steps_per_epoch=30),
    )
    assert visits_of(capped).tolist() == [3, 19, 19, 19]
    assert visits_of(free).tolist() == [15, 15, 15, 15]
    assert any("1 class ('class 0') at the limit of 3 repeats" in note for note in capped.describe().notes)


@pytest.mark.filterwarnings("error")
def test_a_limit_that_is_too_low_warns():
    with pytest.warns(
        UserWarning, match=r"100 batches is so long that.* meet up to 33.3 times instead of max_repeats=3"
    ):
        batches = build_batches([4, 4, 4], 2, 3, steps_per_epoch=100, max_repeats=3)
    assert len(batches) == 100


@given(st.integers(2, 40), st.integers(2, 6), st.integers(1, 9), st.integers(0, 40))
def test_epochs_use_all_samples_before_any_twice(n, k, steps, skipped):
    batches = build_batches([n, 2 * n + 1, 17], 2, k, steps_per_epoch=steps, max_repeats=None)
    use = np.zeros(3 * n + 18, int)
    for epoch in range(4):
        batches.set_epoch(epoch)
        for index in samples_of_epoch(batches)[0]:  # wherever the epoch is broken off
            use += np.bincount(index.reshape(-1), minlength=len(use))
            for c in range(3):
                of_class = use[batches.labels == c]
                assert of_class.max() - of_class.min() <= 1
    again = build_batches([n, 2 * n + 1, 17], 2, k, steps_per_epoch=steps, max_repeats=None)
    again.set_epoch(skipped)  # away and back
    len(samples_of_epoch(again)[0])
    again.set_epoch(3)
    np.testing.assert_array_equal(samples_of_epoch(again)[0], samples_of_epoch(batches)[0])


def test_progressive_goes_from_natural_to_balanced():
    batches = build_batches([60, 20, 20], class_sampling="progressive", epochs=5, steps_per_epoch=60)
    found = []
    for epoch in (0, 2, 4, 9):
        batches.set_epoch(epoch)
        found.append(visits_of(batches).tolist())
    assert found == [[60, 30, 30], [56, 32, 32], [40, 40, 40], [40, 40, 40]]


def test_progressive_epochs_use_all_samples_before_any_twice():
    batches = build_batches([30, 11, 7], 2, 3, class_sampling="progressive", epochs=6, steps_per_epoch=5)
    use = np.zeros(48, int)
    for epoch in range(9):
        batches.set_epoch(epoch)
        use += np.bincount(samples_of_epoch(batches)[0].reshape(-1), minlength=48)
    last = build_batches([30, 11, 7], 2, 3, class_sampling="progressive", epochs=6, steps_per_epoch=5)
    last.set_epoch(8)  # at once
    np.testing.assert_array_equal(samples_of_epoch(last)[0], samples_of_epoch(batches)[0])
    for c in range(3):
        of_class = use[batches.labels == c]
        assert of_class.max() - of_class.min() <= 1


def test_any_two_samples_of_a_class_meet_equally_often():
    for n, k in ((8, 4), (9, 4), (13, 3), (12, 6)):
        met = np.zeros((n, n))
        order = random_order(np.array([n]), np.random.default_rng(0))
        places = order.places(np.zeros(40_000, int), np.arange(40_000), k)
        np.add.at(met, (places[:, :, None], places[:, None, :]), 1)
        apart = met[~np.eye(n, dtype=bool)] * (n - 1) / (40_000 * (k - 1) * k / n)
        assert apart.min() > 0.8
        assert apart.max() < 1.25


def test_shares_hold_over_epochs():
    batches = build_batches([50] * 7, steps_per_epoch=9)  # 18 visits for 7 classes
    total = np.zeros(7)
    for epoch in range(50):
        batches.set_epoch(epoch)
        total += visits_of(batches)
        assert abs(total - (epoch + 1) * 18 / 7).max() < 1.6


@pytest.mark.parametrize(("n_classes", "p", "steps"), [(16, 8, 64), (6, 2, 60), (40, 4, 30)])
def test_any_two_classes_meet_equally_often(n_classes, p, steps):
    batches = build_batches([40] * n_classes, p, 2, steps_per_epoch=steps, max_repeats=None)
    met, epochs = Counter(), 40
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        codes = samples_of_epoch(batches)[1][:, :, 0]
        for batch in codes.tolist():
            met.update(combinations(sorted(batch), 2))
        if math.comb(n_classes, p) > steps * 9:
            assert len({tuple(sorted(batch)) for batch in codes.tolist()}) > 0.9 * steps
    all_pairs = list(combinations(range(n_classes), 2))
    mean = epochs * steps * p * (p - 1) / 2 / len(all_pairs)
    for pair in all_pairs:
        assert abs(met[pair] - mean) < 5 * math.sqrt(mean) + 1


def test_two_classes_are_both_in_each_batch():
    index, codes = samples_of_epoch(build_batches([90, 10], 2, 4, class_sampling="natural"))
    assert (np.sort(codes[:, :, 0], axis=1) == [0, 1]).all()
    assert len(index) == math.ceil(100 / 8)


def test_classes_without_a_share_take_no_part():
    batches = build_batches([20, 20, 20], class_sampling={"class 0": 2, "class 1": 1, "class 2": 0}, steps_per_epoch=10)
    assert visits_of(batches).tolist() == [10, 10, 0]


def test_a_batch_depends_on_seed_epoch_and_index_only():
    first, again, other = build_batches([30, 9, 5]), build_batches([30, 9, 5]), build_batches([30, 9, 5], seed=4)
    for i in reversed(range(len(first))):  # in any order
        again.indices(i)
    for epoch in (2, 0, 5):
        first.set_epoch(epoch)
        again.set_epoch(epoch)
        np.testing.assert_array_equal(samples_of_epoch(first)[0], samples_of_epoch(again)[0])
    assert (samples_of_epoch(first)[0] != samples_of_epoch(other)[0]).any()
    other.set_epoch(5)
    assert (samples_of_epoch(first)[1] != samples_of_epoch(other)[1]).any()  # other classes too
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.indices(-1), first.indices(len(first) - 1))
    with pytest.raises(IndexError, match="batches"):
        first.indices(len(first))


def test_only_a_sequence_that_redraws_goes_to_the_next_epoch():
    moving, fixed = build_batches([20, 5]), build_batches([20, 5], redraw=False)
    for batches in (moving, fixed):
        batches.on_epoch_end()  # Keras calls it before the first epoch
        for i in range(len(batches)):
            batches[i]
        batches.on_epoch_end()
    assert (moving.epoch, fixed.epoch) == (1, 0)
