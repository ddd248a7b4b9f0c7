import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import to_numpy

LABELS = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
DISTANCES = np.array([0.1, 0.3, 1.3, 0.7, 1.1, 0.5])
SAMPLE_WEIGHT = np.array([1.2, 0.8, 0.5, 0.4, 1.5, 1.0])


def slow_contrastive(label, d, margin, weights):
    """One pair, hard or soft label, the long way round."""
    pull = d * d
    push = (margin - d) ** 2 if d < margin else 0.0
    return (label * weights[1] + (1 - label) * weights[0]) * (label * pull + (1 - label) * push)


def slow_crossentropy(label, p, weights, smoothing=0.0):
    target = label * (1 - smoothing) + smoothing / 2
    return (label * weights[1] + (1 - label) * weights[0]) * -(target * math.log(p) + (1 - target) * math.log(1 - p))


def per_item(loss, y_true, y_pred):
    return to_numpy(loss.call(np.asarray(y_true, "float32"), np.asarray(y_pred, "float32")))


def test_contrastive_equals_tensorflow_addons():
    # values of tensorflow-addons 0.23
    assert float(kbs.WeightedContrastiveLoss()(LABELS, DISTANCES)) == pytest.approx(0.621666, abs=1e-5)
    assert float(kbs.WeightedContrastiveLoss(margin=2.0)(LABELS, DISTANCES)) == pytest.approx(1.623333, abs=1e-5)
    weighted = kbs.WeightedContrastiveLoss()(LABELS, DISTANCES, sample_weight=SAMPLE_WEIGHT)
    assert float(weighted) == pytest.approx(0.4425, abs=1e-5)
    items = kbs.WeightedContrastiveLoss(reduction=None)(LABELS, DISTANCES)
    np.testing.assert_allclose(to_numpy(items), [0.81, 0.49, 1.69, 0.49, 0.0, 0.25], atol=1e-6)


def test_contrastive_equals_tensorflow_addons_itself():
    addons = pytest.importorskip("tensorflow_addons", reason="runs in the addons lane")
    rng = np.random.default_rng(0)
    y, d = rng.integers(0, 2, 50).astype("float32"), (rng.random(50) * 3).astype("float32")
    for margin in (0.5, 1.0, 2.0):
        theirs = float(addons.losses.ContrastiveLoss(margin)(y, d))
        assert float(kbs.WeightedContrastiveLoss(margin)(y, d)) == pytest.approx(theirs, rel=1e-6)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), min_size=1, max_size=12),
    st.floats(0.1, 3),
    st.tuples(st.floats(0, 10), st.floats(0.1, 10)),
)
def test_contrastive_equals_the_slow_one(pairs, margin, weights):
    labels, distances = np.array(pairs).T
    loss = kbs.WeightedContrastiveLoss(margin, class_weight=dict(enumerate(weights)))
    expected = [slow_contrastive(y, d, margin, weights) for y, d in pairs]
    np.testing.assert_allclose(per_item(loss, labels, distances), expected, rtol=1e-5, atol=1e-5)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 0.999)), min_size=1, max_size=12),
    st.tuples(st.floats(0, 10), st.floats(0.1, 10)),
    st.floats(0, 1),
)
def test_crossentropy_equals_the_slow_one(pairs, weights, smoothing):
    labels, probabilities = np.array(pairs).T
    class_weight = dict(enumerate(weights))
    expected = [slow_crossentropy(y, p, weights, smoothing) for y, p in pairs]
    loss = kbs.WeightedBinaryCrossentropy(class_weight, label_smoothing=smoothing)
    np.testing.assert_allclose(per_item(loss, labels, probabilities), expected, rtol=1e-4, atol=1e-4)
    logits = np.log(probabilities / (1 - probabilities))
    loss = kbs.WeightedBinaryCrossentropy(class_weight, from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(per_item(loss, labels, logits), expected, rtol=1e-4, atol=1e-4)


def test_logits_of_a_thousand_are_exact_and_probabilities_of_0_and_1_finite():
    loss = kbs.WeightedBinaryCrossentropy(from_logits=True)
    np.testing.assert_allclose(per_item(loss, [1, 0, 1, 0], [1000, 1000, -1000, -1000]), [0, 1000, 1000, 0])
    finite = per_item(kbs.WeightedBinaryCrossentropy(), [1, 0, 1, 0], [1, 1, 0, 0])
    assert np.isfinite(finite).all()
    assert finite[1] > 15
    assert finite[0] < 1e-6


LOSSES = [kbs.WeightedContrastiveLoss, kbs.WeightedBinaryCrossentropy]


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("label_shape", [(6,), (6, 1)])
@pytest.mark.parametrize("value_shape", [(6,), (6, 1)])
def test_ranks_are_aligned(cls, label_shape, value_shape):
    y, p = LABELS.reshape(label_shape), (DISTANCES / 2).reshape(value_shape)
    items = per_item(cls(), y, p)
    assert items.shape == (6,)
    np.testing.assert_allclose(items, per_item(cls(), LABELS, DISTANCES / 2))
    for weight in (SAMPLE_WEIGHT, SAMPLE_WEIGHT[:, None]):
        expected = float(np.mean(items * SAMPLE_WEIGHT))
        assert float(cls()(y, p, sample_weight=weight)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("shapes", [((6,), (6, 2)), ((6, 2), (6, 1)), ((5,), (6,)), ((1,), (6, 1)), ((6, 1), (1, 1))])
def test_other_shapes_are_refused(cls, shapes):
    with pytest.raises(ValueError, match="one label and one prediction per pair") as error:
        cls()(np.zeros(shapes[0]), np.zeros(shapes[1]))
    assert str(shapes[0]) in str(error.value)


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("labels", [LABELS.astype(int), LABELS.astype(bool), LABELS.astype("float16")])
def test_labels_of_any_type(cls, labels):
    np.testing.assert_allclose(float(cls()(labels, DISTANCES / 2)), float(cls()(LABELS, DISTANCES / 2)))


@pytest.mark.parametrize("cls", LOSSES)
def test_similar_label_0_reads_inverted_labels(cls):
    weights = {0: 0.5, 1: 3.0}
    swapped = {0: 3.0, 1: 0.5}
    ours = per_item(cls(class_weight=weights), LABELS, DISTANCES / 2)
    inverted = per_item(cls(class_weight=swapped, similar_label=0), 1 - LABELS, DISTANCES / 2)
    np.testing.assert_allclose(ours, inverted, rtol=1e-6)


@pytest.mark.parametrize("cls", LOSSES)
def test_reductions(cls):
    items = per_item(cls(), LABELS, DISTANCES / 2).astype("float64")
    expected = {
        "sum": (items * SAMPLE_WEIGHT).sum(),
        "sum_over_batch_size": (items * SAMPLE_WEIGHT).mean(),
        "mean": (items * SAMPLE_WEIGHT).mean(),
        "mean_with_sample_weight": (items * SAMPLE_WEIGHT).sum() / SAMPLE_WEIGHT.sum(),
    }
    for reduction, value in expected.items():
        reduced = cls(reduction=reduction)(LABELS, DISTANCES / 2, sample_weight=SAMPLE_WEIGHT)
        assert float(reduced) == pytest.approx(value, rel=1e-5)
    for none in (None, "none"):
        each = to_numpy(cls(reduction=none)(LABELS, DISTANCES / 2, sample_weight=SAMPLE_WEIGHT))
        np.testing.assert_allclose(each, items * SAMPLE_WEIGHT, rtol=1e-5)
    with pytest.raises(ValueError, match="reduction"):
        cls(reduction="average")


@pytest.mark.parametrize("cls", LOSSES)
def test_a_nan_is_never_hidden(cls):
    for y, p in (([1.0, 0.0], [np.nan, 0.5]), ([0.0, 1.0], [np.nan, 0.5]), ([np.nan, 1.0], [0.5, 0.5])):
        assert np.isnan(float(cls()(np.array(y), np.array(p))))


@pytest.mark.parametrize("cls", LOSSES)
def test_weights_multiply_and_scale(cls):
    plain = per_item(cls(), LABELS, DISTANCES / 2)
    weighted = per_item(cls(class_weight={0: 2.0, 1: 5.0}), LABELS, DISTANCES / 2)
    np.testing.assert_allclose(weighted, plain * np.where(LABELS == 1, 5.0, 2.0), rtol=1e-6)
    order = np.random.default_rng(0).permutation(6)
    np.testing.assert_allclose(per_item(cls(), LABELS[order], DISTANCES[order] / 2), plain[order])


def test_a_vast_margin_and_a_tiny_one():
    d = np.array([0.2, 5.0])
    np.testing.assert_allclose(per_item(kbs.WeightedContrastiveLoss(1e-6), [0, 0], d), [0, 0])
    np.testing.assert_allclose(per_item(kbs.WeightedContrastiveLoss(10.0), [0, 0], d), [9.8**2, 25.0], rtol=1e-6)


@pytest.mark.parametrize("cls", LOSSES)
def test_half_precision_losses_are_computed_in_float32(cls):
    loss = cls(dtype="float16")
    y, p = np.array([1.0, 0.0], "float16"), np.array([0.01, 0.99], "float16")
    value = float(loss(y, p))
    assert math.isfinite(value)
    assert value == pytest.approx(float(cls()(y, p)), rel=2e-3)


@pytest.mark.parametrize("cls", LOSSES)
def test_class_weight_is_live_and_validated(cls):
    loss = cls()
    assert dict(loss.class_weight) == {0: 1.0, 1: 1.0}
    loss.class_weight = {0: 0.25, 1: 4.0}
    assert dict(loss.class_weight) == {0: 0.25, 1: 4.0}
    np.testing.assert_allclose(per_item(loss, [0.0], [0.5]), per_item(cls(), [0.0], [0.5]) / 4, rtol=1e-6)
    with pytest.raises(TypeError):
        loss.class_weight[0] = 2.0
    with pytest.raises(ValueError, match="Missing"):
        loss.class_weight = {1: 1.0}


BAD_WEIGHTS = [
    ({0: 1.0}, ValueError, "Missing"),
    ({0: 1.0, 1: 1.0, 2: 1.0}, ValueError, "unknown"),
    ({0: 1.0, 1: -1.0}, ValueError, ">= 0"),
    ({0: 1.0, 1: math.nan}, ValueError, "finite"),
    ({0: 1.0, 1: math.inf}, ValueError, "finite"),
    ({0: 0.0, 1: 0.0}, ValueError, "not all"),
    ({0: 1.0, 1: 1e300}, ValueError, "finite"),
    ({0: 1.0, 1: "heavy"}, TypeError, "number"),
    ({0: 1.0, 1: "2"}, TypeError, "number"),
    ([1.0, 2.0], TypeError, "mapping"),
]


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize(("weights", "error", "match"), BAD_WEIGHTS)
def test_bad_class_weights(cls, weights, error, match):
    with pytest.raises(error, match=match):
        cls(class_weight=weights)


@pytest.mark.parametrize("margin", [0, -1, math.nan, math.inf])
def test_bad_margin(margin):
    with pytest.raises(ValueError, match=r"`margin` must be positive.*Received: margin="):
        kbs.WeightedContrastiveLoss(margin)
    with pytest.raises(TypeError, match="`margin` must be a number"):
        kbs.WeightedContrastiveLoss("1")


def test_other_bad_arguments():
    with pytest.raises(ValueError, match="label_smoothing"):
        kbs.WeightedBinaryCrossentropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="similar_label"):
        kbs.WeightedContrastiveLoss(similar_label=2)


@pytest.mark.parametrize("cls", LOSSES)
def test_config_survives_json_with_the_weights_of_now(cls):
    loss = cls(class_weight={0: 1.0, 1: 2.0}, similar_label=0, reduction="sum", name="mine", dtype="float16")
    loss.class_weight = {0: 0.5, 1: 1.5}
    config = json.loads(json.dumps(loss.get_config()))
    again = cls.from_config(config)
    assert again.get_config() == loss.get_config()
    assert dict(again.class_weight) == {0: 0.5, 1: 1.5}
    assert again.dtype == "float16"
