"""Values, gradients and laws of the losses on batches, against loops over pairs and triplets."""

import functools
import json
import math

import keras
import numpy as np
import pytest
from losses.references import KINDS, SLOW, WEIGHTS, batch
from toy import differentiate

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import to_numpy


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_equal_loops_over_pairs_and_triplets(kind, weighted):
    loss = KINDS[kind](class_weight=WEIGHTS if weighted else None)
    for seed, (n, classes) in enumerate([(9, 2), (9, 4), (9, 4), (23, 4)]):
        labels, x = batch(n, seed=seed, classes=classes)
        w = [WEIGHTS[c] if weighted else 1.0 for c in labels.tolist()]
        assert float(loss(labels, x)) == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5, abs=1e-6)


@functools.cache
def slope_of(kind):
    return differentiate(KINDS[kind](class_weight=WEIGHTS))


def each_anchor(kind, labels=None, x=None, class_weight=None):
    loss = KINDS[kind](reduction=None, class_weight=class_weight)
    return to_numpy(loss(TWELVE[0] if labels is None else labels, TWELVE[1] if x is None else x))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_finite_differences_of_the_loops(kind):
    labels, x = np.array([0, 1, 0, 2, 1, 0, 1]), batch(7, dim=3, seed=4)[1]
    value, found = slope_of(kind)(labels, x)
    w = [WEIGHTS[c] for c in labels.tolist()]
    assert value == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5)
    expected, step = np.zeros_like(x, "float64"), 1e-6
    for place in np.ndindex(*x.shape):
        up, down = x.astype("float64"), x.astype("float64")
        up[place] += step
        down[place] -= step
        slow = SLOW[kind]
        expected[place] = (slow(labels.tolist(), up, w) - slow(labels.tolist(), down, w)) / (2 * step)
    assert (np.abs(expected).max(axis=1)[labels != 2] > 1e-3).all()  # no gradient compared is 0
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1.0, np.abs(expected).max()))


SOME = batch(6, 3, seed=2)[1]
TWELVE = batch(12, 3, seed=3)
HAZARDS = {
    "equal embeddings": ([0, 0, 0, 1, 1, 1], np.ones((6, 3))),
    "duplicated rows": ([0, 0, 1, 1, 1, 0], [[1, 2, 3], [1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6], [4, 5, 6]]),
    "zero vectors": ([0, 0, 1, 1, 2, 2], [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]),
    "all zero": ([0, 0, 1, 1, 2, 2], np.zeros((6, 3))),
    "huge": ([0, 1, 0, 1, 2, 2], SOME * 1e4),
    "tiny": ([0, 1, 0, 1, 2, 2], SOME * 1e-4),
    "tinier than float32 can square": ([0, 1, 0, 1, 2, 2], SOME * 1e-25),
    "far from the origin": ([0, 1, 0, 1, 2, 2], SOME + 1e4),
    "one item": ([0], [[1, 2, 3]]),
    "one class": ([1, 1, 1, 1, 1, 1], SOME),
    "no positive pair": ([0, 1, 2, 3], SOME[:4]),
    "one singleton": ([0, 0, 1, 0, 0, 0], SOME),
}
WITHOUT_PAIRS = ("one item", "one class", "no positive pair")


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("kind", KINDS)
def test_hazards_give_finite_values_and_gradients(kind, hazard):
    labels, x = HAZARDS[hazard]
    value, slope = slope_of(kind)(np.array(labels), np.asarray(x, "float32"))
    assert np.isfinite(value)
    assert value >= 0
    assert np.isfinite(slope).all()
    if hazard in WITHOUT_PAIRS:
        assert value == 0
        assert not slope.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_is_never_hidden(kind):
    labels, x = batch(6, 3)
    broken = x.copy()
    broken[2, 1] = np.nan
    assert math.isnan(float(KINDS[kind]()(labels, broken)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 2, 3, 4, 5], broken)))  # without any pair
    broken[2, 1] = np.inf
    for one in (labels, [0, 1, 2, 3, 4, 5]):
        assert math.isnan(float(KINDS[kind]()(one, broken)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 0, 1, -(2**24), -(2**24)], x)))
    assert math.isnan(float(KINDS[kind]()([0.0, 1, 0, 1, np.nan, 1], x)))
    assert math.isnan(float(KINDS[kind]()([0, 1, 0, 1, 2**24, 2**24 + 1], x)))  # equal in float32
    assert math.isnan(float(KINDS[kind](class_weight={0: 1.0, 1: 1.0})([0, 1, 0, 1, 7, 7], x)))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64")
@pytest.mark.parametrize("kind", KINDS)
def test_float64_is_computed_in_float64(kind):
    labels, x = batch(9, 3)
    x = x.astype("float64")
    value = KINDS[kind](class_weight=WEIGHTS, dtype="float64")(labels, x)
    expected = SLOW[kind](labels.tolist(), x, [WEIGHTS[c] for c in labels.tolist()])
    # on PyTorch, some operations of Keras return float32
    assert float(value) == pytest.approx(expected, rel=1e-5 if keras.backend.backend() == "torch" else 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_type_give_the_same_loss(kind):
    labels, x = batch(8, 3, classes=2)
    expected = float(KINDS[kind]()(labels, x))
    for given in (labels[:, None], labels.astype("float32"), labels.astype(bool), labels.astype("uint8"), labels - 5):
        assert float(KINDS[kind]()(given, x)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="One-hot"):
        KINDS[kind]()(np.eye(2)[labels], x)
    with pytest.raises(ValueError, match="shape"):
        KINDS[kind]()(labels[:5], x)
    with pytest.raises(ValueError, match="shape"):
        KINDS[kind]()(labels, x[:, 0])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "transfer" not in kind])  # the order chooses its donors
def test_permuting_the_batch_permutes_the_losses(kind):
    order = np.random.default_rng(0).permutation(12)
    shuffled = each_anchor(kind, TWELVE[0][order], TWELVE[1][order])
    np.testing.assert_allclose(shuffled, each_anchor(kind)[order], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_rotating_the_embeddings_changes_nothing(kind):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    rotated = each_anchor(kind, x=(TWELVE[1] @ rotation).astype("float32"))
    np.testing.assert_allclose(rotated, each_anchor(kind), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_renaming_the_classes_changes_nothing(kind):
    renamed = each_anchor(kind, np.array([70, -3, 12, 5])[TWELVE[0]])
    np.testing.assert_allclose(renamed, each_anchor(kind), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_weights_scale_the_losses(kind):
    plain = each_anchor(kind)
    ones = each_anchor(kind, class_weight=dict.fromkeys(range(4), 1.0))
    np.testing.assert_allclose(ones, plain, rtol=1e-5, atol=1e-6)
    power = 1 if kind.startswith(("supervised", "multi")) else 2  # those use the weight of the anchor alone
    power = 0 if kind == "contrastive-active" else power  # a weighted mean
    threes = each_anchor(kind, class_weight=dict.fromkeys(range(4), 3.0))
    np.testing.assert_allclose(threes, plain * 3**power, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weights_multiply_anchors(kind):
    labels, x = batch(10, 3)
    loss, w = KINDS[kind](), np.linspace(0, 2, 10)
    each = to_numpy(KINDS[kind](reduction=None)(labels, x))
    assert each.shape == (10,)
    assert float(loss(labels, x)) == pytest.approx(each.mean(), rel=1e-5)
    assert float(loss(labels, x, sample_weight=w)) == pytest.approx((each * w).mean(), rel=1e-5)


def test_anchors_without_partners_do_not_enter_the_mean():
    labels, x = np.array([0, 0, 1, 2]), batch(4, 3)[1]
    for kind in KINDS:
        each = to_numpy(KINDS[kind](reduction=None)(labels, x))
        assert (each[2:] == 0).all()
        w = [1.0] * 4
        assert each[:2].sum() / 4 == pytest.approx(SLOW[kind](labels.tolist(), x, w), rel=2e-5, abs=1e-6)


def test_gradients_are_exact_far_from_the_origin():
    labels, x = np.array([0, 0, 1, 1, 2, 2]), (SOME * 8).round() / 8  # few digits, so that the shift is exact
    near, far = (slope_of("contrastive")(labels, (x + shift).astype("float32"))[1] for shift in (0.0, 2.0**13))
    assert np.abs(near).max() > 0.1
    np.testing.assert_allclose(far, near, atol=1e-5)


@pytest.mark.parametrize("kind", ["contrastive-cosine", "supervised", "multi-similarity-unmined"])
def test_a_zero_vector_has_a_zero_gradient_on_cosines(kind):
    x = SOME.copy()
    x[1] = 0
    _, slope = slope_of(kind)(np.array([0, 0, 1, 1, 0, 1]), x)
    assert not slope[1].any()
    assert slope[[0, 2, 3, 4, 5]].any(axis=1).all()


def test_class_labels_are_float32_where_keras_defaults_to_float16():
    keras.backend.set_floatx("float16")
    try:
        assert "float32" in str(kbs.WeightedTripletLoss().dtype)
    finally:
        keras.backend.set_floatx("float32")


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: kbs.WeightedTripletLoss(margin=0), ValueError, "`margin` must be positive"),
        (lambda: kbs.WeightedTripletLoss(margin="hard"), TypeError, "`margin` must be a number"),
        (lambda: kbs.WeightedTripletLoss(margin=np.ones(2)), TypeError, "`margin` must be a number"),
        (lambda: kbs.WeightedTripletLoss(mining="semihard"), ValueError, "`mining` must be one of"),
        (lambda: kbs.WeightedTripletLoss(mining=np.ones(2)), ValueError, "`mining` must be one of"),
        (lambda: kbs.WeightedBatchContrastiveLoss(squared="no"), TypeError, "`squared` must be True or False"),
        (lambda: kbs.WeightedTripletLoss(distance="L2"), ValueError, "`distance` must be one of"),
        (lambda: kbs.WeightedTripletLoss("soft", "all"), ValueError, "needs a number as `margin`"),
        (lambda: kbs.WeightedTripletLoss(dtype="float16"), ValueError, "half precision cannot hold"),
        (lambda: kbs.WeightedBatchContrastiveLoss(1.0, 1.0), ValueError, "less than `margin`"),
        (lambda: kbs.WeightedSupervisedContrastiveLoss(0.0), ValueError, "`temperature` must be positive"),
        (lambda: kbs.WeightedMultiSimilarityLoss(epsilon=-1), ValueError, "`epsilon` must be at least 0"),
        (lambda: kbs.WeightedTripletLoss(class_weight={0.5: 1.0}), ValueError, "integers of `y_true`"),
        (lambda: kbs.WeightedTripletLoss(class_weight={2**24: 1.0}), ValueError, "below 2"),
        (lambda: kbs.WeightedTripletLoss(class_weight={}), ValueError, "integers of"),
        (lambda: kbs.WeightedTripletLoss(class_weight=[1.0]), TypeError, "mapping"),
        (lambda: kbs.WeightedTripletLoss(class_weight={0: -1.0}), ValueError, ">= 0"),
    ],
)
def test_bad_arguments_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_by_name_are_those_of_the_sorted_positions(kind):
    named = {"pear": 1.25, "apple": 0.5, "quince": 0.75, "fig": 2.0}
    assert [named[label] for label in sorted(named)] == list(WEIGHTS.values())
    np.testing.assert_array_equal(each_anchor(kind, class_weight=named), each_anchor(kind, class_weight=WEIGHTS))


def test_weights_by_name_keep_their_names():
    loss = kbs.WeightedTripletLoss(class_weight={"10": 2.0, "9": 0.5})
    assert dict(loss.class_weight) == {"10": 2.0, "9": 0.5}
    config = json.loads(json.dumps(loss.get_config()))
    assert dict(kbs.WeightedTripletLoss.from_config(config).class_weight) == {"10": 2.0, "9": 0.5}
    loss.class_weight = {"9": 3.0, "10": 1.0}
    assert dict(loss.class_weight) == {"10": 1.0, "9": 3.0}
    assert loss.live_weights.classes == [0, 1]
    with pytest.raises(ValueError, match="names of the data, or the integers"):
        kbs.WeightedTripletLoss(class_weight={"a": 1.0, 1: 2.0})


def test_gather_is_checked_and_missing_in_older_configs():
    with pytest.raises((TypeError, ValueError), match="gather"):
        kbs.WeightedTripletLoss(gather=2)
    config = kbs.WeightedTripletLoss(gather=False).get_config()
    assert config.pop("gather") is False
    assert kbs.WeightedTripletLoss.from_config(config).gather is True
