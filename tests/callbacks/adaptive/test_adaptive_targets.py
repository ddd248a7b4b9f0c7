"""Sequences and their shares as targets, and the frequencies that they correct."""

import numpy as np
import pytest
from callbacks.adaptive.adapted_epochs import follow, shares_of
from toy import clusters

import keras_balanced_siamese as kbs
from keras_balanced_siamese.callbacks.adaptive._checks import check_double_correction
from keras_balanced_siamese.callbacks.adaptive._targets import adapted_of

pytestmark = pytest.mark.numpy_only

NATURAL = {"class_sampling": "natural", "max_repeats": None, "seed": 0}


def test_weights_of_one_come_to_make_up_for_frequency():
    data, natural = clusters({"common": 400, "medium": 40, "rare": 4}), {**NATURAL, "steps_per_epoch": 40}
    pairs = kbs.BalancedPairSequence(*data, **natural)
    weights = follow(pairs, [[0.2] * 3] * 12)
    share = np.array(list(pairs.class_distribution.values()))
    np.testing.assert_allclose(weights[-1] * share, 1 / 3, rtol=1e-6)
    assert weights[-1, 2] > 10
    weights = follow(kbs.BalancedPairSequence(*data, class_weight="balanced", **natural), [[0.2] * 3] * 4)
    np.testing.assert_allclose(weights[-1], weights[0], rtol=1e-6)


def test_a_class_that_is_hardly_drawn_counts_as_drawn_once(x, y):
    shares = {"common": 0.98, "medium": 0.0199, "rare": 0.0001}
    pairs = kbs.BalancedPairSequence(x, y, class_sampling=shares, max_repeats=None, seed=0)
    weights = follow(pairs, [[0.2] * 3] * 3, bounds=None, max_step=None)
    drawn = np.array(list(pairs.class_distribution.values())) * 2 * len(pairs.plan.pairs)
    assert drawn[2] < 0.5
    np.testing.assert_allclose(weights[-1, 2] / weights[-1, 0], drawn[0], rtol=1e-9)


def test_a_class_with_the_whole_share_keeps_its_weight(x, y):
    shares = {"common": 1.0, "medium": 0.0, "rare": 0.0}
    pairs = kbs.BalancedPairSequence(x, y, positive_fraction=1.0, class_sampling=shares, seed=0)
    assert pairs.class_distribution == shares
    np.testing.assert_allclose(follow(pairs, [[0.1, 0.2, 0.3]] * 4)[:, 0], 1.0)


def test_deferred_weights_follow_what_a_sequence_draws(x, y):
    pairs = kbs.BalancedPairSequence(x, y, class_sampling="natural", seed=0)
    weights = follow(pairs, [[0.1, 0.2, 0.3]] * 3, strategy="deferred", bounds=None, max_step=None)
    drawn = np.array(list(pairs.class_distribution.values())) * 2 * len(pairs.plan.pairs)
    effective = 1e-4 / (1 - 0.9999**drawn)
    np.testing.assert_allclose(weights[-1] / weights[-1][0], effective / effective[0], rtol=1e-6)


def test_batches_carry_the_weights_of_their_sequence(x, y):
    batches = kbs.BalancedBatchSequence(x, y, 3, 2, seed=0)
    assert follow(batches, [[0.1, 0.1, 0.3]] * 4)[-1][2] > 1.15
    assert batches[0][2].max() > 1.15


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (kbs.BalancedPairSequence, {"batch_size": 8}),
        (kbs.BalancedPairSequence, {"batch_size": 8, "class_sampling": "natural", "steps_per_epoch": 30}),
        (kbs.BalancedPairSequence, {"batch_size": 8, "class_sampling": "progressive", "epochs": 5}),
        (kbs.BalancedPairSequence, {"batch_size": 8, "class_sampling": "natural", "resampling": "oversample"}),
        (kbs.BalancedBatchSequence, {"classes_per_batch": 3, "samples_per_class": 2, "steps_per_epoch": 20}),
        (kbs.BalancedBatchSequence, {"classes_per_batch": 2, "samples_per_class": 4, "class_sampling": "natural"}),
    ],
    ids=["balanced", "natural", "progressive", "oversampled", "batches", "natural batches"],
)
def test_counts_are_what_each_epoch_draws(kind, arguments, x, y):
    target, *others = (kind(x, y, seed=seed, **arguments) for seed in range(31))
    adapted = adapted_of(target, "weights")
    for epoch in range(4):
        adapted.begin(epoch)
        drawn = []
        for other in others:  # the same epoch of other seeds
            other.set_epoch(epoch)
            plan = other.plan
            members = plan.pairs if hasattr(plan, "pairs") else plan.samples
            drawn.append(np.bincount(plan.codes[members].ravel(), minlength=3))
        target.set_epoch(epoch + 1)  # as Keras does before the end of the epoch reaches a callback
        np.testing.assert_allclose(adapted.items_per_epoch(None), np.mean(drawn, axis=0), rtol=0.1, atol=2.0)


@pytest.mark.parametrize(
    ("errors", "wish"), [([0.2, 0.2, 0.2], [1, 1, 1]), ([0.1, 0.1, 0.4], [0.11, 0.11, 0.41])], ids=["even", "hard"]
)
def test_natural_shares_become_balanced_and_favour_hard_classes(errors, wish):
    data = clusters({"common": 200, "medium": 60, "rare": 20})
    for target in (kbs.BalancedPairSequence(*data, **NATURAL), kbs.BalancedBatchSequence(*data, 2, 4, **NATURAL)):
        shares = follow(target, [errors] * 12, adapt="sampling", tau=1.0)
        np.testing.assert_allclose(shares[-1], np.array(wish) / np.sum(wish), rtol=1e-6)
        np.testing.assert_allclose(shares_of(target), shares[-1], rtol=1e-12)
        assert dict(target.class_weight) == dict.fromkeys(target.classes, 1.0)


def test_batches_are_drawn_by_their_adapted_shares():
    batches = kbs.BalancedBatchSequence(*clusters({"common": 200, "medium": 60, "rare": 20}), 2, 4, **NATURAL)
    follow(batches, [[0.1, 0.1, 0.4]] * 12, adapt="sampling", tau=1.0)
    assert batches.plan.class_of.size == 70  # 280 samples, 4 of a class at a time
    # the share of the rare class is more, but a batch has two classes
    assert (batches.plan.class_of == 2).mean() == pytest.approx(0.5, abs=0.02)


def test_shares_given_class_by_class_follow_the_errors_alone(x, y):
    given = {"common": 0.5, "medium": 0.3, "rare": 0.2}
    pairs = kbs.BalancedPairSequence(x, y, class_sampling=given, seed=0)
    follow(pairs, [[0.2] * 3] * 4, adapt="sampling")
    np.testing.assert_allclose(shares_of(pairs), list(given.values()), rtol=1e-9)


def test_similar_weights_or_few_items_are_no_double_correction():
    x = np.zeros((300_000, 1), "float32")
    large = np.repeat([0, 1], [200_000, 100_000])  # their effective numbers of samples are alike
    kbs.BalancedPairSequence(x, large, class_weight="effective", seed=0)  # the suite turns warnings into errors
    check_double_correction([0, 1], np.array([30.0, 3.0]), np.array([1.0, 800.0]))
    with pytest.warns(UserWarning, match="corrected twice: give all classes the weight 1. Weights that are to favour"):
        check_double_correction([0, 1], np.array([1000.0, 900.0]), np.array([1.0, 8.0]))
