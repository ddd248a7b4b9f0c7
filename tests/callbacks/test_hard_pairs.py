"""Harder partners of pairs: what changes, and what must not."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs
from keras_balanced_siamese.callbacks._hard_pairs import SampleEmbeddings, harder_pairs

pytestmark = [
    pytest.mark.numpy_only,
    pytest.mark.filterwarnings(
        "ignore:.*instead of max_repeats:UserWarning", "ignore:.*with only one sample:UserWarning"
    ),
]


def plan_of(counts, epoch=0, **kwargs):
    y = np.repeat(np.arange(len(counts)), counts)
    pairs = kbs.BalancedPairSequence(y, y, **{"batch_size": 20, "steps_per_epoch": 10, "seed": 1, **kwargs})
    pairs.set_epoch(epoch)
    return pairs.plan


def embed(plan, points=None, without=()):
    row = np.arange(len(plan.codes))
    row[list(without)] = -1
    return SampleEmbeddings(np.random.default_rng(0).normal(size=(len(row), 3)) if points is None else points, row)


def mine(plan, embedded, share=1.0, candidates=32, skip=0.0, repeats=np.inf, seed=0):
    random = np.random.default_rng(seed)
    return harder_pairs(plan.pairs, plan.similar, plan.codes, embedded, share, candidates, skip, repeats, random)


@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=5).filter(lambda c: max(c) > 1),
    st.floats(0, 1),
    st.integers(1, 3),
)
def test_every_class_and_pair_of_classes_gets_its_promise(counts, share, repeats):
    plan = plan_of(counts, max_repeats=repeats)
    found = mine(plan, embed(plan, without=[0]), share, repeats=repeats)
    np.testing.assert_array_equal(found.pairs[:, 0], plan.pairs[:, 0])
    np.testing.assert_array_equal(plan.codes[found.pairs], plan.codes[plan.pairs])
    assert (found.pairs[:, 0] != found.pairs[:, 1]).all()
    assert 0 not in found.pairs[found.changed]
    for kind in (0, 1):
        of_kind = plan.similar == kind
        assert found.changed[of_kind].sum() <= round(share * of_kind.sum())
    np.testing.assert_array_equal(np.isfinite(found.distance), found.changed)

    def most(pairs):
        return max(Counter(map(frozenset, pairs[plan.similar == 1].tolist())).values())

    assert most(found.pairs) <= max(repeats, most(plan.pairs))


def test_positives_are_far_and_negatives_semi_hard():
    plan = plan_of([30, 20, 10], max_repeats=None)
    points = np.random.default_rng(0).normal(size=(60, 3)) + 2.0 * np.eye(3)[plan.codes]
    found, rounding = mine(plan, embed(plan, points), candidates=5000), 0.05  # of a mean of 5,000 draws

    def distance(i, j):
        return np.linalg.norm(points[i] - points[j])

    for (i, j), similar in zip(found.pairs.tolist(), plan.similar, strict=True):
        others = [distance(i, k) for k in range(60) if plan.codes[k] == plan.codes[j] and k != i]
        if similar:
            assert distance(i, j) == pytest.approx(max(others))
        else:
            about = np.mean([distance(i, k) for k in range(60) if plan.codes[k] == plan.codes[i] and k != i])
            beyond = [d for d in others if d > about + rounding]
            assert distance(i, j) <= min(beyond, default=np.inf) + 1e-9
            assert distance(i, j) >= about - rounding or not beyond


def test_the_farthest_positives_are_taken_for_wrong_labels():
    plan = plan_of([50, 50])
    points = np.random.default_rng(0).normal(size=(100, 3))
    points[7] += 100.0
    hard, careful = mine(plan, embed(plan, points)), mine(plan, embed(plan, points), skip=0.05)

    def visits(found):
        return (found.pairs[(plan.similar == 1) & found.changed] == 7).sum()

    assert visits(hard) > 20
    assert visits(careful) == 0


def test_half_of_the_pairs_are_changed():
    plan = plan_of([100, 100], max_repeats=None)
    found = mine(plan, embed(plan), share=0.5)
    assert 0.42 < found.changed.mean() <= 0.5
