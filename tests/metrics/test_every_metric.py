"""Laws and checks that are the same for every metric."""

import json
import math

import numpy as np
import pytest
from metrics.exact_values import CLASSES, EXACT, every_metric, make, tied, value

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import ops


@every_metric
def test_batches_and_their_order_do_not_matter(name):
    labels, scores = tied()
    expected = EXACT[name](scores[labels == 1].tolist(), scores[labels == 0].tolist(), 0.5)
    for cuts in ([], [1], [3, 3 + 17, 59]):
        metric = make(name)
        order = np.random.default_rng(len(cuts)).permutation(len(labels))
        for part in np.split(order, cuts):
            metric.update_state(labels[part], scores[part])
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


@every_metric
def test_a_weight_is_a_repetition(name):
    labels, scores = tied()
    times = np.arange(len(labels)) % 4
    repeated = value(make(name), np.repeat(labels, times), np.repeat(scores, times))
    assert value(make(name), labels, scores, times) == pytest.approx(repeated, abs=1e-6)
    assert value(make(name), labels[:, None], scores[:, None], times[:, None] / 8) == pytest.approx(repeated, abs=1e-6)


@every_metric
def test_labels_may_be_flipped(name):
    labels, scores = tied()
    assert value(make(name, similar_label=0), 1 - labels, scores) == value(make(name), labels, scores)


@every_metric
def test_scores_may_be_negated(name):
    labels, scores = tied()
    plain = value(make(name), labels, scores)
    assert value(make(name, -0.5, higher_is_similar=True), labels, -scores) == pytest.approx(plain, abs=1e-6)


@every_metric
def test_config_round_trip_and_reset(name):
    labels, scores = tied()
    metric = make(name, 0.25, higher_is_similar=True, similar_label=0, classes=["a", "b"], name="mine", dtype="float16")
    again = CLASSES[name].from_config(json.loads(json.dumps(metric.get_config())))
    assert again.get_config() == metric.get_config()
    again.update_state([[1, 0, 0], [0, 0, 1]], [0.1, 0.2])
    again.reset_state()
    assert all(math.isnan(found) for found in again.result().values())
    assert (again.name, again.classes, again.higher_is_similar, again.similar_label) == ("mine", ["a", "b"], True, 0)
    assert "float16" in str(again.result()["mine"].dtype)
    metric = make(name)
    first = value(metric, labels, scores)
    metric.update_state(labels, 1 - scores)
    metric.reset_state()
    assert math.isnan(metric.result())
    assert value(metric, labels, scores) == first


@every_metric
def test_without_one_kind_of_pairs_it_is_nan(name):
    measured = {"FalseRejectRate": 1, "FalseAcceptRate": 0}.get(name)
    for kind in (0, 1):
        found = value(make(name), [kind, kind], [0.2, 0.7])
        assert found == 0.5 if kind == measured else math.isnan(found)
        metric = make(name)
        metric.update_state([kind, kind], [0.2, 0.7])
        if kind != measured:
            assert math.isnan(metric.error_bound())
    assert math.isnan(make(name).result())


@every_metric
@pytest.mark.parametrize("kind", [0.0, 1.0])
def test_an_invalid_pair_makes_the_value_nan(name, kind):
    labels, scores = tied()
    metric = make(name)
    for *broken, weight in (
        (kind, np.nan, 1.0),
        (np.nan, 0.5, 1.0),
        (-1.0, 0.5, 1.0),
        (2.0, 0.5, 1.0),
        (kind, 0.5, -1.0),
    ):
        assert math.isfinite(value(metric, labels, scores))
        assert math.isnan(value(metric, [broken[0]], [broken[1]], [weight]))
        assert math.isnan(value(metric, labels, scores))
        assert math.isnan(metric.error_bound())
        metric.reset_state()
        assert math.isfinite(value(metric, labels, scores))
        assert math.isfinite(value(metric, [broken[0]], [broken[1]], [0.0]))  # a mask hides it
        metric.reset_state()


@every_metric
def test_a_soft_label_counts_on_both_sides(name):
    labels, scores = tied()
    both = np.concatenate([labels, 1 - labels]), np.tile(scores, 2), np.repeat([3.0, 1.0], len(labels))
    assert value(make(name), 0.25 + labels / 2, scores) == pytest.approx(value(make(name), *both), abs=1e-6)


@every_metric
def test_shapes_and_masks(name):
    labels, scores = tied(n=24)
    plain = value(make(name), labels, scores)
    for shape in ((24, 1), (6, 4), (6, 4, 1)):
        assert value(make(name), labels.reshape(shape), scores.reshape(shape)) == plain
    assert value(make(name), labels.reshape(6, 4), scores.reshape(6, 4, 1)) == plain
    assert value(make(name), labels, scores[:, None]) == plain
    assert value(make(name), np.stack([labels, labels, labels], 1), scores[:, None]) == plain  # classes go unused
    steps = np.arange(6) % 3
    expected = value(make(name), labels, scores, np.repeat(steps, 4))
    assert value(make(name), labels.reshape(6, 4), scores.reshape(6, 4, 1), steps) == expected
    scores = ops.convert_to_tensor(scores)
    scores._keras_mask = np.repeat(steps > 0, 4)
    hidden = value(make(name), labels, np.asarray(scores), np.repeat(steps > 0, 4))
    assert value(make(name), labels, scores) == pytest.approx(hidden, abs=1e-6)


def test_two_rates_have_two_names():
    assert [kbs.TrueAcceptRate(far).name for far in (0.01, 0.001, 1e-5)] == [
        f"tar_at_far_{far}" for far in ("0_01", "0_001", "1e-05")
    ]
    assert kbs.TrueAcceptRate(0.01, name="mine").name == "mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kbs.EqualErrorRate(similar_label=2), "similar_label=2"),
        (lambda: kbs.EqualErrorRate(resolution=0), "resolution=0"),
        (lambda: kbs.TrueAcceptRate(far=1.5), "far=1.5"),
        (lambda: kbs.FalseAcceptRate(float("nan")), "threshold=nan"),
        (lambda: kbs.VerificationAUC(classes=[]), r"classes=\[\]"),
        (lambda: kbs.VerificationAUC(classes=[None]), r"classes=\[None\]"),
        (lambda: kbs.VerificationAUC(classes=[1, "1"]), "twice"),
        (lambda: kbs.VerificationAUC(classes="abc"), "classes='abc'"),
        (lambda: kbs.VerificationAUC(classes=5), "classes=5"),
        (lambda: kbs.VerificationAUC(classes=range(100_000)), "100000 classes"),
        (lambda: kbs.VerificationAUC().update_state(np.ones((4, 2)), np.ones((4, 1))), r"\(4, 2\)"),
        (lambda: kbs.VerificationAUC().update_state(np.ones(4), np.ones((4, 2))), r"y_pred of shape \(4, 2\)"),
        (lambda: kbs.VerificationAUC().update_state(np.ones(4), np.ones(5)), r"\(5,\)"),
        (lambda: kbs.VerificationAUC(classes=["a"]).update_state(np.ones((4, 1)), np.ones((4, 1))), r"\(batch, 3\)"),
        (
            lambda: kbs.VerificationAUC().update_state(np.ones(4), np.ones(4), np.ones((4, 2))),
            r"sample_weight of .*\(4, 2\)",
        ),
        (lambda: kbs.VerificationAUC().update_state(np.ones(4), np.ones(4), np.ones(1)), r"sample_weight of .*\(1,\)"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@every_metric
def test_arguments_cannot_be_assigned(name):
    metric = make(name)
    config = metric.get_config()
    for argument in ("threshold", "far", "resolution", "higher_is_similar", "similar_label", "classes"):
        if hasattr(metric, argument):
            with pytest.raises(AttributeError, match=rf"`{argument}` cannot be changed.*Received: {argument}="):
                setattr(metric, argument, 1)
    assert metric.get_config() == config


@every_metric
def test_names_of_classes_are_safe_and_apart(name):
    metric = make(name, classes=["a+b", "a b", "a#b"], name="mine")
    assert metric.log_names == {"a+b": "mine/a_b_2", "a b": "mine/a b", "a#b": "mine/a_b"}
    assert list(metric.result()) == ["mine", "mine/a_b_2", "mine/a b", "mine/a_b"]
