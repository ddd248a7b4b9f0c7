"""Losses on pairs: values, gradients, shapes, class weights, arguments and configuration."""

import copy
import json
import math
import pickle
from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import gradient

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import to_numpy

LABELS = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
DISTANCES = np.array([0.1, 0.3, 1.3, 0.7, 1.1, 0.5])
SAMPLE_WEIGHT = np.array([1.2, 0.8, 0.5, 0.4, 1.5, 1.0])


def slow_contrastive(label, d, margin, weights, positive_margin=0.0, squared=True):
    """The loss of one pair with a hard or soft label."""
    pull = d - positive_margin if d > positive_margin else 0.0
    push = margin - d if d < margin else 0.0
    if squared:
        pull, push = pull * pull, push * push
    return (label * weights[1] + (1 - label) * weights[0]) * (label * pull + (1 - label) * push)


def slow_cosine(label, d, margin, weights):
    cosine = 1 - d
    push = cosine - margin if cosine > margin else 0.0
    return (label * weights[1] + (1 - label) * weights[0]) * (label * (1 - cosine) + (1 - label) * push)


def slow_crossentropy(label, p, weights, smoothing=0.0, gamma=0.0):
    target = label * (1 - smoothing) + smoothing / 2
    sides = [(target, p), (1 - target, 1 - p)]
    cost = sum(share * (1 - right) ** gamma * math.log(1 / right) for share, right in sides)
    return (label * weights[1] + (1 - label) * weights[0]) * cost


def per_item(loss, y_true, y_pred):
    return to_numpy(loss.call(np.asarray(y_true, "float32"), np.asarray(y_pred, "float32")))


def test_contrastive_equals_recorded_values_of_tensorflow_addons():
    # values of tensorflow-addons 0.23
    assert float(kbs.WeightedContrastiveLoss()(LABELS, DISTANCES)) == pytest.approx(0.621666, abs=1e-5)
    assert float(kbs.WeightedContrastiveLoss(margin=2.0)(LABELS, DISTANCES)) == pytest.approx(1.623333, abs=1e-5)
    weighted = kbs.WeightedContrastiveLoss()(LABELS, DISTANCES, sample_weight=SAMPLE_WEIGHT)
    assert float(weighted) == pytest.approx(0.4425, abs=1e-5)
    items = kbs.WeightedContrastiveLoss(reduction=None)(LABELS, DISTANCES)
    np.testing.assert_allclose(to_numpy(items), [0.81, 0.49, 1.69, 0.49, 0.0, 0.25], atol=1e-6)


def test_contrastive_equals_the_installed_tensorflow_addons():
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
    st.floats(0, 0.9),
    st.booleans(),
)
def test_contrastive_equals_the_formula_in_plain_python(pairs, margin, weights, share, squared):
    labels, distances = np.array(pairs).T
    arguments = {"positive_margin": share * margin, "squared": squared}
    loss = kbs.WeightedContrastiveLoss(margin, class_weight=dict(enumerate(weights)), **arguments)
    expected = [slow_contrastive(y, d, margin, weights, **arguments) for y, d in pairs]
    np.testing.assert_allclose(per_item(loss, labels, distances), expected, rtol=1e-5, atol=1e-5)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), min_size=1, max_size=12),
    st.floats(-1, 0.99),
    st.tuples(st.floats(0, 10), st.floats(0.1, 10)),
)
def test_cosine_equals_the_formula_in_plain_python(pairs, margin, weights):
    labels, distances = np.array(pairs).T
    loss = kbs.WeightedCosineLoss(margin, class_weight=dict(enumerate(weights)))
    expected = [slow_cosine(y, d, margin, weights) for y, d in pairs]
    np.testing.assert_allclose(per_item(loss, labels, distances), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("margin", [-1.0, 0.0, 0.4])
def test_cosine_loss_of_the_cosine_distance_equals_pytorch(margin):
    torch = pytest.importorskip("torch", reason="runs in the torch lane")
    left, right = np.random.default_rng(0).normal(size=(2, 40, 3)).astype("float32")
    theirs = torch.nn.CosineEmbeddingLoss(margin, reduction="none")
    labels = np.arange(40) % 2
    expected = theirs(torch.tensor(left), torch.tensor(right), torch.tensor(2 * labels - 1)).numpy()
    distance = to_numpy(kbs.CosineDistance()([left, right]))
    np.testing.assert_allclose(per_item(kbs.WeightedCosineLoss(margin), labels, distance), expected, atol=1e-6)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 0.999)), min_size=1, max_size=12),
    st.tuples(st.floats(0, 10), st.floats(0.1, 10)),
    st.floats(0, 1),
    st.one_of(st.just(0.0), st.floats(0, 5)),
)
def test_crossentropy_equals_the_formula_in_plain_python(pairs, weights, smoothing, gamma):
    labels, probabilities = np.array(pairs).T
    arguments = {"class_weight": dict(enumerate(weights)), "label_smoothing": smoothing, "focal_gamma": gamma}
    expected = [slow_crossentropy(y, p, weights, smoothing, gamma) for y, p in pairs]
    loss = kbs.WeightedBinaryCrossentropy(**arguments)
    np.testing.assert_allclose(per_item(loss, labels, probabilities), expected, rtol=1e-4, atol=1e-4)
    logits = np.log(probabilities / (1 - probabilities))
    loss = kbs.WeightedBinaryCrossentropy(from_logits=True, **arguments)
    np.testing.assert_allclose(per_item(loss, labels, logits), expected, rtol=1e-4, atol=1e-4)


def test_focal_equals_recorded_values_of_tensorflow_addons():
    # SigmoidFocalCrossEntropy of tensorflow-addons 0.23, alpha 0.25, gamma 2, of probabilities
    y = [1, 0, 0, 1, 0, 0, 1, 0, 0]
    p = np.linspace(0.01, 0.99, 9)
    alpha = {0: 0.75, 1: 0.25}
    expected = [
        1.128379464149475,
        0.0018715787446126342,
        0.014356100000441074,
        0.09437564015388489,
        0.12996505200862885,
        0.2831268906593323,
        0.0047853668220341206,
        1.1407841444015503,
        3.3851375579833984,
    ]
    focal = partial(kbs.WeightedBinaryCrossentropy, alpha, focal_gamma=2.0)
    np.testing.assert_allclose(per_item(focal(), y, p), expected, rtol=1e-5)
    np.testing.assert_allclose(per_item(focal(from_logits=True), y, np.log(p / (1 - p))), expected, rtol=1e-5)


def test_focal_equals_the_installed_tensorflow_addons():
    addons = pytest.importorskip("tensorflow_addons", reason="runs in the addons lane")
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, 50).astype("float32"), rng.normal(size=50).astype("float32") * 4
    for gamma, logits in ((0.5, True), (0.5, False), (3.0, True), (3.0, False)):
        theirs = addons.losses.SigmoidFocalCrossEntropy(logits, alpha=0.25, gamma=gamma, reduction="none")
        values = z if logits else 1 / (1 + np.exp(-z))
        ours = kbs.WeightedBinaryCrossentropy({0: 0.75, 1: 0.25}, from_logits=logits, focal_gamma=gamma)
        expected = to_numpy(theirs(y[:, None], values[:, None]))
        np.testing.assert_allclose(per_item(ours, y, values), expected, rtol=1e-4, atol=1e-6)


def test_gamma_0_margin_0_and_squared_are_the_plain_losses():
    z = np.array([-1e4, -30.0, -0.1, 0.0, 2.0, 1e4], "float32")
    for y in (np.zeros(6), np.ones(6)):
        plain = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
        loss = kbs.WeightedBinaryCrossentropy(from_logits=True, focal_gamma=0.0)
        np.testing.assert_allclose(per_item(loss, y, z), plain, rtol=1e-6)
    p = np.clip(DISTANCES / 2, 0, 1)
    np.testing.assert_allclose(
        per_item(kbs.WeightedBinaryCrossentropy(focal_gamma=0.0), LABELS, p),
        -np.log(np.where(LABELS == 1, p, 1 - p)),
        rtol=1e-6,
    )
    explicit = kbs.WeightedContrastiveLoss(positive_margin=0.0, squared=True)
    np.testing.assert_array_equal(
        per_item(explicit, LABELS, DISTANCES), per_item(kbs.WeightedContrastiveLoss(), LABELS, DISTANCES)
    )


@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0])
@pytest.mark.parametrize("from_logits", [False, True])
def test_focal_gradients_are_right_inside_and_finite_at_the_ends(gamma, from_logits):
    inner = [0.1, 0.3, 0.5, 0.7, 0.95]
    values = np.array([-2.0, -0.5, 0.0, 0.5, 3.0] if from_logits else inner)
    ends = np.array([-1e4, -100.0, 100.0, 1e4] if from_logits else [0.0, 1e-9, 1.0 - 1e-7, 1.0])

    def cost(y, value):
        return slow_crossentropy(y, 1 / (1 + math.exp(-value)) if from_logits else value, (0.5, 3.0), 0.0, gamma)

    points = np.concatenate([values, ends])
    loss = kbs.WeightedBinaryCrossentropy({0: 0.5, 1: 3.0}, from_logits, focal_gamma=gamma, reduction="sum")
    y = np.repeat([0.0, 1.0], len(points))
    slopes = gradient(np.tile(points, 2)[:, None], y[:, None], loss=loss).reshape(2, -1)
    assert np.isfinite(slopes).all()
    expected = [[(cost(y, v + 1e-5) - cost(y, v - 1e-5)) / 2e-5 for v in values] for y in (0.0, 1.0)]
    np.testing.assert_allclose(slopes[:, :5], expected, rtol=1e-4, atol=1e-6)
    if from_logits:  # right with certainty: no gradient; wrong with certainty: that of cross-entropy
        np.testing.assert_allclose(slopes[:, 5:], [[0, 0, 0.5, 0.5], [-3, -3, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "slow"),
    [
        (partial(kbs.WeightedContrastiveLoss, 1.0), partial(slow_contrastive, margin=1.0)),
        (
            partial(kbs.WeightedContrastiveLoss, 1.0, positive_margin=0.25, squared=False),
            partial(slow_contrastive, margin=1.0, positive_margin=0.25, squared=False),
        ),
        (
            partial(kbs.WeightedContrastiveLoss, 1.0, positive_margin=0.25),
            partial(slow_contrastive, margin=1.0, positive_margin=0.25),
        ),
        (partial(kbs.WeightedCosineLoss, 0.3), partial(slow_cosine, margin=0.3)),
    ],
)
def test_gradients_equal_finite_differences(loss, slow):
    d = [0.1, 0.4, 0.6, 0.9, 1.2, 1.9] * 2
    y = [0.0] * 6 + [1.0] * 6
    weights = 0.5, 3.0
    slopes = gradient(
        np.array(d)[:, None], np.array(y)[:, None], loss=loss(class_weight=dict(enumerate(weights)), reduction="sum")
    )
    rises = [slow(a, v + 1e-5, weights=weights) - slow(a, v - 1e-5, weights=weights) for a, v in zip(y, d, strict=True)]
    np.testing.assert_allclose(slopes[:, 0], np.array(rises) / 2e-5, rtol=1e-4, atol=1e-6)


def test_large_logits_are_exact_and_certain_probabilities_finite():
    loss = kbs.WeightedBinaryCrossentropy(from_logits=True)
    np.testing.assert_allclose(per_item(loss, [1, 0, 1, 0], [1000, 1000, -1000, -1000]), [0, 1000, 1000, 0])
    finite = per_item(kbs.WeightedBinaryCrossentropy(), [1, 0, 1, 0], [1, 1, 0, 0])
    assert np.isfinite(finite).all()
    assert finite[1] > 15
    assert finite[0] < 1e-6


LOSSES = [
    kbs.WeightedContrastiveLoss,
    partial(kbs.WeightedContrastiveLoss, positive_margin=0.2, squared=False),
    kbs.WeightedCosineLoss,
    kbs.WeightedBinaryCrossentropy,
    partial(kbs.WeightedBinaryCrossentropy, focal_gamma=0.5),
]


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("label_shape", [(6,), (6, 1)])
@pytest.mark.parametrize("value_shape", [(6,), (6, 1)])
def test_shapes_n_and_n_by_1_give_the_same_loss(cls, label_shape, value_shape):
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
def test_labels_of_any_type_give_the_same_loss(cls, labels):
    np.testing.assert_allclose(float(cls()(labels, DISTANCES / 2)), float(cls()(LABELS, DISTANCES / 2)))


@pytest.mark.parametrize("cls", LOSSES)
def test_similar_label_0_reads_inverted_labels(cls):
    weights = {0: 0.5, 1: 3.0}
    swapped = {0: 3.0, 1: 0.5}
    ours = per_item(cls(class_weight=weights), LABELS, DISTANCES / 2)
    inverted = per_item(cls(class_weight=swapped, similar_label=0), 1 - LABELS, DISTANCES / 2)
    np.testing.assert_allclose(ours, inverted, rtol=1e-6)


@pytest.mark.parametrize("cls", LOSSES)
def test_batches_of_one_pair_or_one_label_have_their_own_mean(cls):
    plain = per_item(cls(), LABELS, DISTANCES / 2)
    for chosen in (LABELS == 1, LABELS == 0, np.arange(6) == 2):
        value = float(cls()(LABELS[chosen], DISTANCES[chosen] / 2))
        assert value == pytest.approx(plain[chosen].mean(), rel=1e-5)


@pytest.mark.parametrize("cls", LOSSES)
def test_reductions_equal_numpy(cls):
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
        model = keras.Sequential([keras.Input((1,)), keras.layers.Activation("linear")])
        model.compile("sgd", cls(), jit_compile=keras.backend.backend() != "torch")
        assert np.isnan(model.test_on_batch(np.array(p)[:, None], np.array(y)[:, None]))


@pytest.mark.parametrize("cls", LOSSES)
def test_weights_multiply_losses_and_the_order_does_not_matter(cls):
    plain = per_item(cls(), LABELS, DISTANCES / 2)
    weighted = per_item(cls(class_weight={0: 2.0, 1: 5.0}), LABELS, DISTANCES / 2)
    np.testing.assert_allclose(weighted, plain * np.where(LABELS == 1, 5.0, 2.0), rtol=1e-6)
    order = np.random.default_rng(0).permutation(6)
    np.testing.assert_allclose(per_item(cls(), LABELS[order], DISTANCES[order] / 2), plain[order])


def test_margins_of_1e_6_and_10_follow_the_formula():
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
def test_class_weight_is_live_read_only_and_checked(cls):
    loss = cls()
    assert dict(loss.class_weight) == {0: 1.0, 1: 1.0}
    loss.class_weight = {0: 0.25, 1: 4.0}
    assert dict(loss.class_weight) == {0: 0.25, 1: 4.0}
    np.testing.assert_allclose(per_item(loss, [0.0], [0.5]), per_item(cls(), [0.0], [0.5]) / 4, rtol=1e-6)
    with pytest.raises(TypeError):
        loss.class_weight[0] = 2.0
    with pytest.raises(ValueError, match="the keys 'similar'"):
        loss.class_weight = {1: 1.0}


@pytest.mark.parametrize("cls", LOSSES)
def test_booleans_are_no_keys_where_the_label_1_means_different(cls):
    weights = kbs.class_weights(np.array([True] * 9 + [False]))
    with pytest.raises(ValueError, match=r"True may mean a similar pair or the label 1.*keys 'similar'"):
        cls(class_weight=weights, similar_label=0)
    assert dict(cls(class_weight=weights).class_weight) == {0: 5.0, 1: np.float32(5 / 9)}


BAD_WEIGHTS = [
    ({0: 1.0}, ValueError, "the keys 'similar' and 'different', or 0 and 1"),
    ({0: 1.0, 1: 1.0, 2: 1.0}, ValueError, "the keys 'similar'"),
    ({"similar": 1.0, "dissimilar": 1.0}, ValueError, "the keys 'similar'"),
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
def test_bad_class_weights_are_refused(cls, weights, error, match):
    with pytest.raises(error, match=match):
        cls(class_weight=weights)


@pytest.mark.parametrize("cls", LOSSES)
def test_labels_outside_0_and_1_give_nan(cls):
    for y in ([1.0, 2.0], [-1.0, 1.0]):
        assert np.isnan(float(cls()(np.array(y), np.array([0.5, 0.5]))))


@pytest.mark.parametrize("margin", [0, -1, math.nan, math.inf])
def test_a_bad_margin_is_refused(margin):
    with pytest.raises(ValueError, match=r"`margin` must be positive.*Received: margin="):
        kbs.WeightedContrastiveLoss(margin)
    with pytest.raises(TypeError, match="`margin` must be a number"):
        kbs.WeightedContrastiveLoss("1")


@pytest.mark.parametrize("bad", [-0.1, 1.0, 2.0, math.nan, math.inf])
def test_a_bad_positive_margin_is_refused(bad):
    with pytest.raises(ValueError, match=r"`positive_margin` must be .*Received: positive_margin="):
        kbs.WeightedContrastiveLoss(1.0, positive_margin=bad)


@pytest.mark.parametrize("bad", [-1.1, 1.0, math.nan, math.inf])
def test_a_bad_cosine_margin_is_refused(bad):
    with pytest.raises(ValueError, match=r"`margin` must be .*Received: margin="):
        kbs.WeightedCosineLoss(bad)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_a_bad_gamma_is_refused(bad):
    with pytest.raises(ValueError, match=r"`focal_gamma` must be .*Received: focal_gamma="):
        kbs.WeightedBinaryCrossentropy(focal_gamma=bad)


@pytest.mark.numpy_only
def test_losses_state_whether_higher_predictions_are_similar():
    reads = {cls: cls.higher_is_similar for cls in (kbs.WeightedCosineLoss, kbs.WeightedBinaryCrossentropy)}
    assert reads == {kbs.WeightedCosineLoss: False, kbs.WeightedBinaryCrossentropy: True}


def test_a_bad_smoothing_or_similar_label_is_refused():
    with pytest.raises(ValueError, match="label_smoothing"):
        kbs.WeightedBinaryCrossentropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="similar_label"):
        kbs.WeightedContrastiveLoss(similar_label=2)


@pytest.mark.parametrize("cls", LOSSES)
def test_config_keeps_the_current_weights_through_json(cls):
    loss = cls(class_weight={0: 1.0, 1: 2.0}, similar_label=0, reduction="sum", name="mine", dtype="float16")
    loss.class_weight = {0: 0.5, 1: 1.5}
    config = json.loads(json.dumps(loss.get_config()))
    again = type(loss).from_config(config)
    assert again.get_config() == loss.get_config()
    assert dict(again.class_weight) == {0: 0.5, 1: 1.5}
    assert again.dtype == "float16"


@pytest.mark.parametrize("cls", LOSSES)
def test_weights_of_two_classes_of_samples_are_not_taken_for_those_of_pairs(cls):
    y = np.repeat([0, 1], [95, 5])
    with pytest.warns(UserWarning, match=r"not the classes of the samples.*similar == 1.*95 times 0 and 5 times 1"):
        cls(class_weight=kbs.class_weights(y))
    with pytest.warns(UserWarning, match="not the classes of the samples"):
        cls().class_weight = kbs.class_weights(y)


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("kind", [bool, "float32", "float64"])
def test_weights_of_pair_labels_pass(cls, kind):
    similar = np.repeat([0, 1], [95, 5])
    weights = kbs.class_weights(similar.astype(kind))
    assert dict(cls(class_weight=weights).class_weight) == pytest.approx({0: 100 / 190, 1: 10.0})
    cls(class_weight=kbs.class_weights(similar == 1))  # the cure
    cls(class_weight=dict(kbs.class_weights(similar)))
    cls(class_weight={0: 1, 1: 10})


@pytest.mark.parametrize("cls", LOSSES)
def test_weights_may_name_the_kinds_of_pairs(cls):
    named = {"similar": 3.0, "different": 0.5}
    assert dict(cls(class_weight=named).class_weight) == {0: 0.5, 1: 3.0}
    assert dict(cls(class_weight=named, similar_label=0).class_weight) == {0: 3.0, 1: 0.5}
    loss = cls()
    loss.class_weight = named
    assert dict(loss.class_weight) == {0: 0.5, 1: 3.0}
    for bad in ({"similar": 1.0}, {"similar": 1.0, "different": -1.0}, {"similar": 1.0, "different": 1.0, 0: 1.0}):
        with pytest.raises(ValueError, match="Received"):
            cls(class_weight=bad)


@pytest.mark.parametrize("cls", LOSSES)
@pytest.mark.parametrize("config", [{"class_weight": [1, 2]}, {"class_weight": {"a": 1, "b": 1}}, {"class_weight": 3}])
def test_a_config_with_bad_weights_is_refused_as_by_the_constructor(cls, config):
    with pytest.raises((TypeError, ValueError), match=r"`class_weight` must.*Received"):
        (cls.func if isinstance(cls, partial) else cls).from_config(config)


@pytest.mark.parametrize("bad", [[1.0, -5.0], [1.0, math.nan], [math.inf, 1.0], [0.0, 0.0]])
def test_bad_weights_in_a_file_are_refused(bad):
    loss, saved = kbs.WeightedContrastiveLoss(class_weight={0: 0.5, 1: 2.0}), {}
    loss.save_own_variables(saved)
    saved["class_weight"] = np.array(bad, "float32")
    with pytest.raises(ValueError, match=">= 0"), pytest.warns(UserWarning, match="not loaded"):
        loss.load_own_variables(saved)
    assert dict(loss.class_weight) == {0: 0.5, 1: 2.0}


FIXED = {"margin": 0.4, "positive_margin": 0.3, "squared": True, "from_logits": True, "focal_gamma": 1.0}


@pytest.mark.parametrize("cls", LOSSES)
def test_arguments_cannot_be_assigned(cls):
    loss = cls()
    config = loss.get_config()
    for name in ["similar_label", *(name for name in FIXED if hasattr(loss, name))]:
        with pytest.raises(AttributeError, match=rf"`{name}` cannot be changed.*construct a new.*Received: {name}="):
            setattr(loss, name, FIXED.get(name, 0))
    assert loss.get_config() == config


@pytest.mark.parametrize("cls", LOSSES)
def test_a_loss_can_be_copied_and_pickled(cls):
    loss = cls(class_weight={0: 0.5, 1: 2.0})
    loss.class_weight = {0: 0.25, 1: 4.0}
    for again in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert again.get_config() == loss.get_config()
        again.class_weight = {0: 1.0, 1: 1.0}
        assert dict(loss.class_weight) == {0: 0.25, 1: 4.0}
