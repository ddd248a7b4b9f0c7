import math
import pickle
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_balanced_siamese import BalancedPairSequence, class_weights

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*with one sample form no pair:UserWarning", "ignore:.*instead of max_repeats:UserWarning"
)

heavy_tails = st.lists(st.integers(1, 40), min_size=2, max_size=6)
samplings = st.sampled_from(["balanced", "natural", "sqrt", 0.3, -0.5])
POWERS = {"balanced": 0.0, "natural": 1.0, "sqrt": 0.5}


def labels_of(counts):
    return np.random.default_rng(0).permutation(np.repeat([f"class {k}" for k in range(len(counts))], counts))


def epoch_of(pairs):
    """All pairs of the epoch: left labels, right labels, left, right, similar."""
    left, right, similar = (np.concatenate(part) for part in zip(*map(pairs.indices, range(len(pairs))), strict=True))
    names = np.array(pairs.classes)[pairs.labels]
    return names[left], names[right], left, right, similar


def build(counts, **kwargs):
    y = labels_of(counts)
    return BalancedPairSequence(np.arange(len(y)), y, **{"batch_size": 8, "seed": 3, **kwargs})


@given(heavy_tails, samplings, st.floats(0.0, 1.0), st.integers(1, 20), st.one_of(st.none(), st.integers(1, 7)))
def test_what_every_batch_promises(counts, sampling, fraction, batch_size, steps):
    assume(max(counts) > 1)
    pairs = build(
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


def test_each_half_of_a_batch_has_its_share_of_positives():
    (_, _), similar, _ = build([40, 40], batch_size=64)[0]
    assert similar[:32].sum() == similar[32:].sum() == 16


def quotas_with_a_cap(total, shares, caps):
    """Expected positives, found by handing on what classes cannot take until nobody has too much."""
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
def test_positive_shares_are_exact_and_negative_shares_as_promised(counts, sampling, most):
    assume(max(counts) > 1)
    pairs = build(counts, class_sampling=sampling, steps_per_epoch=100, max_repeats=most)
    a, b, _, _, similar = epoch_of(pairs)
    power = POWERS.get(sampling, sampling)
    share = {f"class {k}": n**power for k, n in enumerate(counts)}
    distinct = {f"class {k}": n * (n - 1) // 2 for k, n in enumerate(counts) if n > 1}
    allowed = max(most, math.ceil(400 / sum(distinct.values())))
    caps = {c: allowed * d for c, d in distinct.items()}
    expected = quotas_with_a_cap(400, {c: share[c] for c in distinct}, caps)
    seen = Counter(a[similar == 1])
    for label, n in expected.items():
        assert abs(seen[label] - n) < 1
        assert seen[label] <= caps[label]
    v = {c: s / sum(share.values()) for c, s in share.items()}
    both = 1 - sum(s * s for s in v.values())
    met = Counter(frozenset(pair) for pair in zip(a[similar == 0], b[similar == 0], strict=True))
    for one, other in combinations(v, 2):
        p = 2 * v[one] * v[other] / both
        assert abs(met[frozenset((one, other))] - 400 * p) <= 5 * math.sqrt(400 * p * max(1 - p, 0)) + 2


@given(heavy_tails, st.integers(1, 60), st.integers(0, 5))
def test_distinct_pairs_before_repeats_and_all_samples_before_any_twice(counts, steps, epoch):
    assume(max(counts) > 1)
    pairs = build(counts, positive_fraction=1.0, steps_per_epoch=steps, max_repeats=None)
    pairs.set_epoch(epoch)
    a, _, left, right, _ = epoch_of(pairs)
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
def test_epochs_go_through_all_pairs_before_any_comes_again(n):
    distinct = n * (n - 1) // 2
    pairs = build([n, n], batch_size=2, steps_per_epoch=6)  # 3 positives of each class in an epoch
    seen = Counter()
    for epoch in range(distinct // 3):
        pairs.set_epoch(epoch)
        a, _, left, right, similar = epoch_of(pairs)
        mine = (similar == 1) & (a == "class 0")
        seen.update(frozenset(pair) for pair in zip(left[mine].tolist(), right[mine].tolist(), strict=True))
    assert len(seen) == distinct
    assert set(seen.values()) == {1}


@given(heavy_tails)
def test_negatives_visit_all_samples_before_any_twice(counts):
    pairs = build(counts, positive_fraction=0.0, steps_per_epoch=10)
    _, _, left, right, _ = epoch_of(pairs)
    visits = np.bincount(np.concatenate([left, right]), minlength=sum(counts))
    for k in range(len(counts)):
        of_class = visits[pairs.labels == k]
        assert of_class.max() - of_class.min() <= 1


def test_small_classes_meet_in_all_combinations():
    pairs = build([3, 3], positive_fraction=0.0, steps_per_epoch=20)
    _, _, left, right, _ = epoch_of(pairs)
    assert len({frozenset(pair) for pair in zip(left.tolist(), right.tolist(), strict=True)}) == 9


def test_natural_fraction():
    pairs = build([60, 30, 10], class_sampling="natural", positive_fraction=None, batch_size=100, steps_per_epoch=100)
    similar = epoch_of(pairs)[4]
    assert similar.mean() == pytest.approx((60 * 59 + 30 * 29 + 10 * 9) / (100 * 99), abs=1e-4)
    balanced = build([60, 30, 10], positive_fraction=None, batch_size=100, steps_per_epoch=100)
    inside = sum((1 - 1 / n) / 9 for n in (60, 30, 10))
    assert epoch_of(balanced)[4].mean() == pytest.approx(inside / (1 - sum(1 / n / 9 for n in (60, 30, 10))), abs=1e-4)


def test_progressive_goes_from_natural_to_balanced():
    pairs = build([60, 20], class_sampling="progressive", epochs=5, steps_per_epoch=100)
    found = []
    for epoch in (0, 2, 4, 9):
        pairs.set_epoch(epoch)
        a, _, _, _, similar = epoch_of(pairs)
        found.append(Counter(a[similar == 1])["class 0"])
    assert found == [300, 250, 200, 200]
    for wrong in ({"class_sampling": "progressive"}, {"epochs": 3}):
        with pytest.raises(ValueError, match="`epochs` is for class_sampling='progressive'"):
            build([6, 6], **wrong)


def test_what_a_small_class_cannot_give_goes_to_the_others():
    pairs = build([2, 40, 40], steps_per_epoch=30, max_repeats=3)
    a, _, _, _, similar = epoch_of(pairs)
    seen = Counter(a[similar == 1])
    assert seen["class 0"] == 3
    assert seen["class 1"] in (58, 59)
    notes = pairs.describe().notes
    assert len(notes) == 1
    assert "1 class ('class 0') at the limit of 3 repeats" in notes[0]
    assert Counter(epoch_of(build([2, 40, 40], steps_per_epoch=30, max_repeats=None))[0])["class 0"] > 40


@pytest.mark.filterwarnings("error")
def test_a_cap_that_cannot_hold_warns():
    with pytest.warns(UserWarning, match=r"each comes up to 14 times instead of max_repeats=3"):
        build([3, 3], steps_per_epoch=20, max_repeats=3)


def test_classes_of_negatives_meet_as_often_as_the_formula_says():
    pairs = build([60, 30, 10], class_sampling="natural", positive_fraction=0.0, batch_size=100, steps_per_epoch=200)
    a, b, _, _, _ = epoch_of(pairs)
    met = Counter(frozenset(pair) for pair in zip(a, b, strict=True))
    v = {"class 0": 0.6, "class 1": 0.3, "class 2": 0.1}
    for one, other in combinations(v, 2):
        p = 2 * v[one] * v[other] / (1 - 0.36 - 0.09 - 0.01)
        assert met[frozenset((one, other))] / 20_000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000))


def test_the_epoch_depends_on_seed_epoch_and_index_only():
    first, again, other_seed = build([30, 9, 2]), build([30, 9, 2]), build([30, 9, 2], seed=4)
    for i in reversed(range(len(first))):  # in any order
        again.indices(i)
    for i in range(len(first)):
        np.testing.assert_array_equal(first.indices(i), again.indices(i))
    assert any((first.indices(i)[0] != other_seed.indices(i)[0]).any() for i in range(len(first)))
    later = build([30, 9, 2])
    later.set_epoch(5)
    assert any((first.indices(i)[0] != later.indices(i)[0]).any() for i in range(len(first)))
    later.set_epoch(0)
    np.testing.assert_array_equal(first.indices(1), later.indices(1))
    np.testing.assert_array_equal(first.indices(-1), first.indices(len(first) - 1))
    with pytest.raises(IndexError, match="batches"):
        first.indices(len(first))


def test_an_unseeded_sequence_repeats_itself_too():
    pairs = build([20, 5], seed=None)
    copy = pickle.loads(pickle.dumps(pairs))
    np.testing.assert_array_equal(pairs.indices(0), copy.indices(0))
    assert build([20, 5], seed=None).seed != pairs.seed


def test_epochs_together_see_the_whole_majority():
    pairs = build([200, 4], steps_per_epoch=10)
    seen = set()
    for epoch in range(40):
        pairs.set_epoch(epoch)
        seen.update(np.concatenate(epoch_of(pairs)[2:4]).tolist())
    assert len(seen) == 204


def test_fit_moves_on_but_a_fixed_sequence_does_not():
    moving, fixed = build([20, 5]), build([20, 5], redraw=False)
    for pairs in (moving, fixed):
        pairs.on_epoch_end()  # Keras calls it before the first epoch
        for i in range(len(pairs)):
            pairs[i]
        pairs.on_epoch_end()
    assert (moving.epoch, fixed.epoch) == (1, 0)


def test_weights_are_of_the_classes_and_have_mean_one_per_kind():
    weight = {"class 0": 0.5, "class 1": 2.0, "class 2": 8.0}
    pairs = build([60, 20, 6], class_weight=weight, steps_per_epoch=40)
    a, b, _, _, similar = epoch_of(pairs)
    weights = np.concatenate([pairs[i][2] for i in range(len(pairs))])
    raw = np.array([math.sqrt(weight[x] * weight[y]) for x, y in zip(a, b, strict=True)])
    for kind in (0, 1):
        assert weights[similar == kind].mean() == pytest.approx(1.0, rel=1e-5)
        ratio = weights[similar == kind] / raw[similar == kind]
        assert ratio.max() == pytest.approx(ratio.min(), rel=1e-5)


def test_class_weight_is_live_and_validated():
    pairs = build([20, 5])
    assert dict(pairs.class_weight) == {"class 0": 1.0, "class 1": 1.0}
    assert pairs[0][2].tolist() == [1.0] * 8
    pairs.class_weight = {"class 0": 1.0, "class 1": 4.0}
    assert pairs[0][2].max() > 1.5
    with pytest.raises(TypeError):
        pairs.class_weight["class 0"] = 2.0
    for bad in ({"class 0": 1.0}, {"class 0": 1.0, "class 1": -1.0}, {"class 0": 1.0, "class 1": 1.0, "class 9": 1.0}):
        with pytest.raises(ValueError, match="class_weight"):
            pairs.class_weight = bad


def test_weights_changed_within_an_epoch_have_mean_one_too():
    pairs = build([60, 20, 6], steps_per_epoch=40)
    pairs[0]
    pairs.class_weight = {"class 0": 0.5, "class 1": 2.0, "class 2": 8.0}
    weights = np.concatenate([pairs[i][2] for i in range(len(pairs))])
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)
    assert weights.std() > 0.3


def test_class_weight_schemes():
    y = labels_of([20, 5])
    pairs = BalancedPairSequence(y, y, class_weight="sqrt", class_sampling="natural")
    assert pairs.class_weight["class 1"] / pairs.class_weight["class 0"] == pytest.approx(2.0)


@pytest.mark.parametrize("weights", ["balanced", "sqrt", class_weights(labels_of([90, 10]))])
def test_correcting_frequency_twice_warns(weights):
    with pytest.warns(UserWarning, match=r"corrected twice.*class_sampling='balanced' draws 'class 1' \(10 samples\)"):
        build([90, 10], class_weight=weights)


@pytest.mark.filterwarnings("error")
def test_weights_that_do_not_follow_frequency_do_not_warn():
    build([90, 10], class_weight={"class 0": 1.0, "class 1": 2.0})
    build([90, 10], class_weight="balanced", class_sampling="natural")


def test_mapping_of_shares():
    pairs = build([20, 20], class_sampling={"class 0": 3, "class 1": 1}, steps_per_epoch=50)
    a, _, _, _, similar = epoch_of(pairs)
    assert Counter(a[similar == 1])["class 0"] == 150


@pytest.mark.parametrize(
    "y", [np.repeat([7, -2], 5), np.repeat([True, False], 5), np.repeat(["x", "y"], 5), ["x"] * 5 + ["y"] * 5]
)
def test_labels_of_any_type(y):
    pairs = BalancedPairSequence(np.arange(10), y, batch_size=4, seed=0)
    (left, right), similar, _ = pairs[0]
    for i, j, s in zip(left, right, similar[:, 0], strict=True):
        assert (y[i] == y[j]) == bool(s)


def test_describe_names_every_class_and_share():
    summary = build([60, 20, 1], class_weight={"class 0": 1, "class 1": 2, "class 2": 4}).describe()
    text = str(summary)
    for part in ("class 2", "1,770", "74.07%", "50.00%", "33.33%", "50.6% of one class", "1 class ('class 2')"):
        assert part in text
    assert repr(summary) == text
    found = summary.to_dict()
    assert found["per_class"]["class 1"] == {
        "samples": 20,
        "sample_share": pytest.approx(20 / 81),
        "distinct_pairs": 190,
        "positives": pytest.approx(20.5),
        "positive_share": pytest.approx(0.5),
        "wanted_share": pytest.approx(1 / 3),
        "negative_share": pytest.approx(1 / 3),
        "repeats": pytest.approx(20.5 / 190),
        "weight": 2.0,
    }
    assert found["totals"] == {"pairs": 81, "positives": 41, "steps": 11, "batch_size": 8}


def test_singletons_are_named_and_take_part_in_negatives():
    with pytest.warns(UserWarning, match="1 class \\('class 2'\\) of 3 with one sample"):
        pairs = build([10, 10, 1], steps_per_epoch=20)
    a, b, _, _, similar = epoch_of(pairs)
    assert "class 2" not in a[similar == 1]
    assert "class 2" in {*a[similar == 0], *b[similar == 0]}


X, Y = np.zeros((6, 2)), np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("x", "y", "kwargs", "error", "match"),
    [
        (X, Y[:5], {}, ValueError, r"same length.*len\(x\)=6, len\(y\)=5"),
        ([X, X], Y, {}, ValueError, r"several inputs go into a tuple.*len\(x\)=2"),
        (X[:0], Y[:0], {}, ValueError, "at least one"),
        (X, np.zeros(6), {}, ValueError, "at least two classes"),
        (X, np.arange(6), {}, ValueError, "two or more samples.*positive_fraction=0"),
        (X, np.array([0, 0, 0, 1, 1, math.nan]), {}, ValueError, "missing"),
        (X, np.eye(6), {}, ValueError, "argmax"),
        (5, Y, {}, TypeError, "`x` must be"),
        ("abcdef", Y, {}, TypeError, "`x` must be"),
        ((), Y, {}, ValueError, "at least one input"),
        (X, Y, {"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        (X, Y, {"batch_size": 2.5}, TypeError, "whole number"),
        (X, Y, {"steps_per_epoch": 0}, ValueError, "`steps_per_epoch`"),
        (X, Y, {"positive_fraction": 1.2}, ValueError, "from 0 to 1"),
        (X, Y, {"positive_fraction": math.nan}, ValueError, "from 0 to 1"),
        (X, Y, {"class_sampling": "flat"}, ValueError, "balanced.*sqrt.*natural.*progressive"),
        (X, Y, {"class_sampling": math.inf}, ValueError, "finite"),
        (X, Y, {"class_sampling": None}, TypeError, "class_sampling"),
        (X, Y, {"class_sampling": np.array([0.5, 0.5])}, TypeError, "a number or a mapping"),
        (X, Y, {"class_sampling": {0: 1.0}}, ValueError, "Missing"),
        (X, Y, {"class_sampling": {0: 1.0, 1: 0.0}}, ValueError, "two classes with a share above 0"),
        (X, Y, {"class_weight": "rare"}, ValueError, "balanced.*Received: class_weight='rare'"),
        (X, Y, {"class_weight": {0: 1.0}}, ValueError, "Missing"),
        (X, Y, {"class_weight": {0: 1.0, 1: math.nan}}, ValueError, "finite"),
        (X, Y, {"seed": -1}, ValueError, "`seed`"),
        (X, Y, {"transform": "load"}, TypeError, "`transform`"),
    ],
)
def test_bad_input(x, y, kwargs, error, match):
    with pytest.raises(error, match=match):
        BalancedPairSequence(x, y, **kwargs)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_draw_the_same_batches(workers):
    from concurrent.futures import ThreadPoolExecutor

    expected = [build([30, 9, 2]).indices(i) for i in range(6)]
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        found = list(pool.map(build([30, 9, 2]).indices, range(6)))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
