"""Streaming metrics against exact values, found by walking over the thresholds one by one."""

import json
import math
from bisect import bisect_left, bisect_right
from functools import cache

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy import BACKEND, COUNTS, REPLICAS, WAYS_TO_COMPILE, clusters, in_two_replicas, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese.metrics import (
    BalancedPairAccuracy,
    EqualErrorRate,
    FalseAcceptRate,
    FalseRejectRate,
    MatthewsCorrelation,
    TrueAcceptRate,
    VerificationAUC,
    VerificationPRAUC,
)
from keras_balanced_siamese.metrics._score_bins import ScoreBins

# --- exact values -----------------------------------------------------------------------------------------------------


def walk(similar, different):
    """(accepted similar, accepted different) after each threshold, from none to all."""
    similar, different = sorted(similar), sorted(different)
    yield 0, 0
    for threshold in sorted({*similar, *different}):
        yield bisect_right(similar, threshold), bisect_right(different, threshold)


def exact_auc(similar, different, _):
    similar = sorted(similar)
    won = sum(bisect_left(similar, d) + bisect_right(similar, d) for d in different)
    return won / (2 * len(similar) * len(different))


def exact_eer(similar, different, _):
    last = (0.0, 1.0)
    for accepted, wrong in walk(similar, different):
        far, frr = wrong / len(different), 1 - accepted / len(similar)
        if far >= frr:
            step = (last[1] - last[0]) / ((last[1] - last[0]) + (far - frr))
            return last[0] + step * (far - last[0])
        last = (far, frr)
    raise AssertionError


def exact_precision(similar, different, _):
    total, last = 0.0, 0
    for accepted, wrong in walk(similar, different):
        if accepted > last:
            total += (accepted - last) * accepted / (accepted + wrong)
        last = accepted
    return total / len(similar)


def exact_tar(level):
    def exact(similar, different, _):
        within = [accepted for accepted, wrong in walk(similar, different) if wrong <= level * len(different)]
        return within[-1] / len(similar)

    return exact


def exact_far(_, different, threshold):
    return sum(d <= threshold for d in different) / len(different)


def exact_frr(similar, _, threshold):
    return sum(d > threshold for d in similar) / len(similar)


def exact_accuracy(similar, different, threshold):
    return 1 - (exact_far(similar, different, threshold) + exact_frr(similar, different, threshold)) / 2


def exact_mcc(similar, different, threshold):
    truth = [1] * len(similar) + [0] * len(different)
    decision = [int(d <= threshold) for d in [*similar, *different]]
    return float(np.corrcoef(truth, decision)[0, 1]) if 0 < sum(decision) < len(decision) else 0.0


EXACT = {
    "EqualErrorRate": exact_eer,
    "VerificationAUC": exact_auc,
    "VerificationPRAUC": exact_precision,
    "TrueAcceptRate": exact_tar(0.01),
    "FalseRejectRate": exact_frr,
    "FalseAcceptRate": exact_far,
    "BalancedPairAccuracy": exact_accuracy,
    "MatthewsCorrelation": exact_mcc,
}
RANKING = ["EqualErrorRate", "VerificationAUC", "VerificationPRAUC", "TrueAcceptRate"]
CLASSES = {
    cls.__name__: cls
    for cls in (
        EqualErrorRate,
        VerificationAUC,
        VerificationPRAUC,
        TrueAcceptRate,
        FalseRejectRate,
        FalseAcceptRate,
        BalancedPairAccuracy,
        MatthewsCorrelation,
    )
}
every_metric = pytest.mark.parametrize("name", EXACT)


def make(metric, threshold=0.5, **kwargs):
    return CLASSES[metric](**({} if metric in RANKING else {"threshold": threshold}), **kwargs)


def value(metric, labels, scores, *weights):
    metric.update_state(labels, scores, *weights)
    return float(metric.result())


def labelled(similar, different):
    return np.repeat([1.0, 0.0], [len(similar), len(different)]), np.array([*similar, *different], "float32")


# --- data -------------------------------------------------------------------------------------------------------------


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype("float32")))


DISTRIBUTIONS = {  # (similar, different), and whether higher is similar
    "spread 1": lambda n, z: (abs(z(1, 1, n)), abs(z(2, 1, n)), False),
    "unit norm": lambda n, z: (z(1.36, 0.03, n), z(1.41, 0.03, n), False),
    "hundred": lambda n, z: (z(99, 1, n), z(101, 1, n), False),
    "high-dimensional": lambda n, z: (z(960, 30, n), z(1000, 30, n), False),
    "thousands": lambda n, z: (z(4950, 50, n), z(5050, 50, n), False),
    "thousands, wide": lambda n, z: (z(4700, 300, n), z(5300, 300, n), False),
    "squared pixels": lambda n, z: (z(18000, 2000, n), z(22000, 2000, n), False),
    "thousandths": lambda n, z: (z(1e-3, 3e-4, n), z(1.5e-3, 4.5e-4, n), False),
    "thousandths, narrow": lambda n, z: (z(1e-3, 5e-5, n), z(1.1e-3, 5.5e-5, n), False),
    "undecided": lambda n, z: (z(0.51, 0.02, n), z(0.49, 0.02, n), True),
    "lognormal": lambda n, z: (np.exp(z(-1, 3, n)), np.exp(z(1, 3, n)), False),
    "saturated": lambda n, z: (sigmoid(z(8, 3, n)), sigmoid(z(-8, 3, n)), True),
    "both saturated": lambda n, z: (sigmoid(z(8, 3, n)), sigmoid(z(6, 3, n)), True),
    "cosine": lambda n, z: (np.clip(z(0.8, 0.15, n), -1, 1), z(0.2, 0.2, n), True),
    "squared": lambda n, z: (np.minimum(z(5, 2, n) ** 2, 100), np.minimum(z(7, 2, n) ** 2, 100), False),
    "constant": lambda n, z: (np.full(n, 0.7), np.full(n, 0.7), False),
    "ties": lambda n, z: (np.round(z(3, 2, n)), np.round(z(5, 2, n)), False),
    "half precision": lambda n, z: (*(z(mean, 0.03, n).astype("float16") for mean in (1.36, 1.41)), False),
}
STEEP = ("hundred", "thousands", "thousandths, narrow")  # one bin holds more than a thousandth of the similar pairs


@cache
def drawn(distribution):
    similar, different, higher = DISTRIBUTIONS[distribution](10_000, np.random.default_rng(1).normal)
    return similar.astype("float32"), different.astype("float32"), higher


def tied(seed=0, n=60):
    rng = np.random.default_rng(seed)
    return (rng.random(n) < 0.4).astype("float32"), rng.integers(0, 9, n).astype("float32") / 8


# --- the same tests for every metric ----------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_within_a_thousandth_of_the_exact_value(distribution):
    similar, different, higher = drawn(distribution)
    labels, scores = labelled(similar, different)
    threshold = float(np.median(scores))  # a score that occurs
    sign = -1 if higher else 1
    ranked = make("EqualErrorRate", higher_is_similar=higher)
    ranked.update_state(labels, scores)
    for name in EXACT:
        metric = make(name, threshold, higher_is_similar=higher)
        if name in RANKING:
            metric.histogram.assign(ranked.histogram)
        else:
            metric.update_state(labels, scores)
        expected = EXACT[name]((sign * similar).tolist(), (sign * different).tolist(), sign * threshold)
        found = float(metric.result())
        tolerance = 2e-3 if name == "TrueAcceptRate" and distribution in STEEP else 1e-3
        assert found == pytest.approx(expected, abs=tolerance), name
        assert abs(found - expected) <= metric.error_bound(), name


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
def test_what_cannot_be_counted_is_never_hidden(name, kind):
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
    scores = keras.ops.convert_to_tensor(scores) if hasattr(keras, "ops") else __import__("tensorflow").constant(scores)
    scores._keras_mask = np.repeat(steps > 0, 4)
    hidden = value(make(name), labels, np.asarray(scores), np.repeat(steps > 0, 4))
    assert value(make(name), labels, scores) == pytest.approx(hidden, abs=1e-6)


# --- single metrics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("similar", "different", "expected"),
    [
        ([0.7] * 3, [0.7] * 5, {"EqualErrorRate": 0.5, "VerificationAUC": 0.5, "VerificationPRAUC": 3 / 8}),
        ([2.0, 3.0], [0.0, 1.0], {"EqualErrorRate": 1.0, "VerificationAUC": 0.0, "TrueAcceptRate": 0.0}),
        ([0.0, 1.0], [2.0, 3.0], {"EqualErrorRate": 0.0, "VerificationAUC": 1.0, "TrueAcceptRate": 1.0}),
        ([-math.inf, 1.0], [0.0, math.inf], {"VerificationAUC": 0.75, "EqualErrorRate": 0.5}),
        ([0.0], [1e-30], {"VerificationAUC": 1.0}),
        ([-1e30], [0.0], {"VerificationAUC": 1.0}),
        ([0.1, 0.2], [0.3, 0.4], {"MatthewsCorrelation": 0.0, "BalancedPairAccuracy": 0.5}),
    ],
)
def test_corner_cases(similar, different, expected):
    for name, wanted in expected.items():
        assert value(make(name), *labelled(similar, different)) == pytest.approx(wanted, abs=1e-6)


def test_scikit_learn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    similar, different, _ = drawn("spread 1")
    labels, scores = labelled(similar, different)
    weights = np.random.default_rng(2).random(len(labels)).astype("float32")
    for name, exact in {
        "VerificationAUC": metrics.roc_auc_score,
        "VerificationPRAUC": metrics.average_precision_score,
    }.items():
        expected = exact(labels, -scores, sample_weight=weights)
        assert value(make(name), labels, scores, weights) == pytest.approx(expected, abs=1e-3)
    decided = scores <= 1.2
    for name, exact in {
        "MatthewsCorrelation": metrics.matthews_corrcoef,
        "BalancedPairAccuracy": metrics.balanced_accuracy_score,
    }.items():
        expected = exact(labels, decided, sample_weight=weights)
        assert value(make(name, 1.2), labels, scores, weights) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("far", [0.0, 0.001, 0.3, 0.999, 1.0])
def test_a_rate_that_is_met_exactly_is_not_passed(far):
    different = np.arange(1000) / 8
    similar = np.arange(1000) / 8 - 1 / 16  # each just before the different one
    expected = exact_tar(far)(similar.tolist(), different.tolist(), None)
    metric = TrueAcceptRate(far, resolution=2048)
    assert value(metric, *labelled(similar, different)) == pytest.approx(expected, abs=1e-5)


def test_counts_stay_exact_in_long_epochs():
    metric = EqualErrorRate()
    labels, scores, weights = [1, 1, 0, 0], [0.2, 0.8, 0.2, 0.8], np.array([3, 1, 1, 3]) * 2.0**20
    for _ in range(3):
        metric.update_state(labels, scores, weights)
    metric.update_state([1], [0.2], [1.0])
    assert float(metric.result()) == pytest.approx(0.25, abs=1e-6)
    assert float(np.max(np.asarray(metric.histogram))) == 9 * 2.0**20 + 1


small = st.lists(st.integers(-4, 8), min_size=1, max_size=25)
numbers = st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.one_of(small, numbers), st.one_of(small, numbers), st.sampled_from([1, 3, 64]))
@example([1e-40], [0], 1)
def test_the_error_bound_holds(similar, different, resolution):
    labels, scores = labelled(similar, different)
    scores = np.where(abs(scores) < 2.0**-126, np.float32(0), scores)  # what some backends do
    padded = (np.resize(one, 50) for one in (labels, scores))  # one shape, which is compiled once
    weights = (np.arange(50) < len(labels)).astype("float32")
    metrics = [make(name, resolution=resolution) for name in RANKING]
    metrics[0].update_state(*padded, weights)
    for name, metric in zip(RANKING, metrics, strict=True):
        metric.histogram.assign(metrics[0].histogram)
        expected = EXACT[name](scores[labels == 1].tolist(), scores[labels == 0].tolist(), None)
        assert abs(float(metric.result()) - expected) <= metric.error_bound(), name


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=300), st.sampled_from([1, 7, 512, 4096]))
def test_bins_never_swap_scores(scores, resolution):
    bins = ScoreBins(resolution)
    near = [
        np.nextafter(np.float32(s), np.float32(side), dtype="float32") for s in scores for side in (-np.inf, np.inf)
    ]
    ordered = np.sort(np.array([*scores, *near, 0.0, 0.5, 1.0, 2.0], "float32"))
    found = np.asarray(bins(keras.ops.convert_to_tensor(ordered) if hasattr(keras, "ops") else ordered))
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 0
    assert found[-1] < bins.count


def test_bins_are_fine_where_scores_crowd():
    bins = ScoreBins(512)
    assert bins.count == 150_016

    def separates(*scores):
        array = np.array(scores, "float32")
        found = np.asarray(bins(keras.ops.convert_to_tensor(array) if hasattr(keras, "ops") else array))
        return len(set(found.tolist())) == len(scores)

    assert separates(-1e-37, 0.0, 2e-38)
    assert separates(1.0, 1.0 + 2**-12, 1.41, 1.4101, 3.0, 3.001, 22.0, 22.01, 980.0, 980.3)
    assert separates(0.04, 0.0401, 0.3, 0.3001, 0.51, 0.5101, 0.8, 0.8001, 0.95, 0.9501)
    assert separates(1 - 2**-24, 1.0, 1 - 2**-23, 1 - 2**-13)
    assert separates(1e-3, 1.02e-3, -1e-3, -1.02e-3)
    assert separates(1e-3, 1.003e-3, 4950, 4952, 20_000, 20_010, 90_000, 90_030)
    assert separates(1e12, 1e9, 1e8, 1e4, -np.inf, -1e9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EqualErrorRate(similar_label=2), "similar_label=2"),
        (lambda: EqualErrorRate(resolution=0), "resolution=0"),
        (lambda: TrueAcceptRate(far=1.5), "far=1.5"),
        (lambda: FalseAcceptRate(float("nan")), "threshold=nan"),
        (lambda: VerificationAUC(classes=[]), r"classes=\[\]"),
        (lambda: VerificationAUC(classes=[None]), r"classes=\[None\]"),
        (lambda: VerificationAUC(classes=[1, "1"]), "twice"),
        (lambda: VerificationAUC(classes="abc"), "classes='abc'"),
        (lambda: VerificationAUC(classes=5), "classes=5"),
        (lambda: VerificationAUC(classes=range(100_000)), "100000 classes"),
        (lambda: VerificationAUC().update_state(np.ones((4, 2)), np.ones((4, 1))), r"\(4, 2\)"),
        (lambda: VerificationAUC().update_state(np.ones(4), np.ones((4, 2))), r"y_pred of shape \(4, 2\)"),
        (lambda: VerificationAUC().update_state(np.ones(4), np.ones(5)), r"\(5,\)"),
        (lambda: VerificationAUC(classes=["a"]).update_state(np.ones((4, 1)), np.ones((4, 1))), r"\(batch, 3\)"),
        (
            lambda: VerificationAUC().update_state(np.ones(4), np.ones(4), np.ones((4, 2))),
            r"sample_weight of .*\(4, 2\)",
        ),
        (lambda: VerificationAUC().update_state(np.ones(4), np.ones(4), np.ones(1)), r"sample_weight of .*\(1,\)"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- classes ----------------------------------------------------------------------------------------------------------


def pairs_of_clusters(n=80, seed=0):
    """Pairs of `toy.clusters`: left, right, and `(n, 3)` labels."""
    x, y = clusters()
    codes = np.array([list(COUNTS).index(label) for label in y])
    rng = np.random.default_rng(seed)
    left = rng.integers(0, len(y), n)
    right = np.array([rng.choice(np.flatnonzero((codes == codes[k]) == (i % 2))) for i, k in enumerate(left)])
    similar = codes[left] == codes[right]
    return x[left], x[right], np.stack([similar, codes[left], codes[right]], 1).astype("float32")


def exact_of_classes(name, labels, distances, threshold):
    """Overall, then each class: pairs chosen one by one."""
    rows = {"": (labels[:, 0] >= 0)}
    for code, label in enumerate(COUNTS):
        rows[f"/{label}"] = np.array([code in (a, b) for _, a, b in labels])
    found = {}
    for row, chosen in rows.items():
        similar = distances[chosen & (labels[:, 0] == 1)].tolist()
        different = distances[chosen & (labels[:, 0] == 0)].tolist()
        found[row] = EXACT[name](similar, different, threshold)
    return found


@every_metric
def test_each_class_has_its_value(name):
    left, right, labels = pairs_of_clusters()
    distances = np.linalg.norm(left - right, axis=1).round(1).astype("float32")
    metric = make(name, 4.0, classes=list(COUNTS), name="m")
    assert all(math.isnan(number) for number in metric.result().values())
    for part in np.array_split(np.arange(len(labels)), 3):
        metric.update_state(labels[part], distances[part])
    expected = exact_of_classes(name, labels, distances, 4.0)
    result = metric.result()
    assert list(result) == ["m", *(f"m/{label}" for label in COUNTS)]
    for row, wanted in expected.items():
        assert float(result[f"m{row}"]) == pytest.approx(wanted, abs=0.01 if name in RANKING else 1e-6), row
    assert metric.error_bound() <= 0.1


def test_codes_outside_the_classes():
    metric = BalancedPairAccuracy(0.5, classes=np.array(["a", "b"]))
    metric.update_state([[1, 0, 0], [0, 0, -1], [1, -1, -1]], [0.1, 0.9, 0.9])
    result = {key: float(number) for key, number in metric.result().items()}
    assert result["balanced_pair_accuracy/a"] == 1.0
    assert result["balanced_pair_accuracy"] == 0.75
    assert math.isnan(result["balanced_pair_accuracy/b"])
    metric.update_state([[0, 0, 2]], [0.9])
    assert math.isnan(metric.result()["balanced_pair_accuracy"])
    metric.reset_state()
    metric.update_state([[1, 0, 0], [0, -1, 0]], [0.1, 0.2])  # the class on the right counts beside an unknown one
    assert float(metric.result()["balanced_pair_accuracy/a"]) == 0.5


def test_classes_have_wider_bins_and_take_less_memory():
    metric = EqualErrorRate(classes=range(10))
    held = sum(np.prod(tuple(variable.shape)) for variable in metric.variables)
    assert held == 2 * metric._bins.count * (1 + 10 / 8)


@pytest.mark.parametrize("name", RANKING)
def test_values_of_classes_with_many_pairs(name):
    similar, different, _ = drawn("unit norm")
    labels, scores = labelled(similar, different)
    metric = make(name, classes=["a", "b"], name="m")
    metric.update_state(np.stack([labels, labels * 0, labels * 0], axis=1), scores)
    found = {key: float(one) for key, one in metric.result().items()}
    assert found["m/a"] == pytest.approx(found["m"], abs=2e-3)
    assert math.isnan(found["m/b"])


def test_accuracy_of_a_class_is_its_error_in_the_report():
    left, right, labels = pairs_of_clusters()
    distances = np.linalg.norm(left - right, axis=1).astype("float32")
    report = kbs.evaluate_pairs(distances, labels[:, 0], classes=labels[:, 1:])
    metric = BalancedPairAccuracy(report.eer_threshold, classes=[0.0, 1.0, 2.0])
    metric.update_state(labels, distances)
    for code in (0.0, 1.0, 2.0):
        found = 1 - float(metric.result()[f"balanced_pair_accuracy/{code}"])
        assert found == pytest.approx(report.per_class[code]["error"], abs=1e-6)


# --- in a model -------------------------------------------------------------------------------------------------------


def loss_of_first_column(labels, distance):
    return (distance - labels[:, :1]) ** 2


def metrics_of_fit(classes=(*COUNTS, "unseen")):
    return [
        EqualErrorRate(classes=classes, resolution=64),
        VerificationAUC(name="auc", resolution=64),
        BalancedPairAccuracy(1.0, classes=classes),
    ]


def model_of_fit(loss=loss_of_first_column, metrics=None, **kwargs):
    model = kbs.siamese_model(linear_encoder())
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=metrics or metrics_of_fit(), **kwargs)
    return model


@pytest.mark.parametrize("how", [{}, *WAYS_TO_COMPILE], ids=str)
def test_fit_evaluate_and_history_show_the_value_of_all_pairs(how):
    left, right, labels = pairs_of_clusters()
    valid = pairs_of_clusters(50, seed=1)
    model = model_of_fit(**how)
    history = model.fit(
        [left, right], labels, batch_size=16, epochs=2, verbose=0, validation_data=([*valid[:2]], valid[2])
    ).history
    for prefix, (one, other, truth) in {"": (left, right, labels), "val_": valid}.items():
        distances = model.predict([one, other], verbose=0)
        expected = {}
        for metric in metrics_of_fit():
            metric.update_state(truth, distances)
            result = metric.result()
            expected.update(result if isinstance(result, dict) else {metric.name: result})
        assert math.isnan(expected["balanced_pair_accuracy/unseen"])
        for key, wanted in expected.items():
            np.testing.assert_allclose(history[prefix + key], [float(wanted)] * 2, atol=1e-6, err_msg=key)
    found = model.evaluate([*valid[:2]], valid[2], batch_size=16, verbose=0, return_dict=True)
    for key in found:
        np.testing.assert_allclose(found[key], history["val_" + key][-1], atol=1e-6, err_msg=key)
    as_list = model.evaluate([*valid[:2]], valid[2], batch_size=16, verbose=0)
    assert len(as_list) == len(found)


def test_callbacks_know_which_way_is_better():
    lower = {"EqualErrorRate", "FalseAcceptRate", "FalseRejectRate"}
    for name in EXACT:
        assert make(name)._direction == ("down" if name in lower else "up")
    pytest.importorskip("keras", minversion="3", reason="Keras 2 goes by the name")
    left, right, labels = pairs_of_clusters()
    model = model_of_fit(metrics=[make("EqualErrorRate", resolution=1), make("TrueAcceptRate", resolution=1)])
    for name in ("val_equal_error_rate", "val_tar_at_far_0.01"):
        stop = keras.callbacks.EarlyStopping(monitor=name, patience=0)
        data = ([left, right], labels)
        epochs = model.fit(*data, validation_data=data, batch_size=80, epochs=3, verbose=0, callbacks=[stop]).epoch
        assert epochs == [0, 1]  # nothing is learned, so nothing gets better


def test_two_rates_have_two_names():
    assert [TrueAcceptRate(far).name for far in (0.01, 0.001, 1e-5)] == [
        f"tar_at_far_{far}" for far in ("0.01", "0.001", "1e-05")
    ]
    assert TrueAcceptRate(0.01, name="mine").name == "mine"


def test_equal_scores_are_accepted_together_as_in_the_report():
    labels, scores = tied(n=400)
    for distances in (np.full(400, 0.5), scores):
        for far in (0.01, 0.2, 0.5):
            expected = kbs.evaluate_pairs(distances, labels, far=[far], n_resamples=0).micro[f"tar_at_far_{far:g}"]
            found = value(TrueAcceptRate(far), labels, distances)
            assert found == pytest.approx(expected, abs=1e-6)


def test_weighted_metrics_get_the_sample_weights():
    left, right, labels = pairs_of_clusters()
    model = kbs.siamese_model(linear_encoder())
    model.compile(
        "sgd", loss_of_first_column, metrics=[VerificationAUC(name="plain")], weighted_metrics=[VerificationAUC()]
    )
    weight = np.arange(len(labels)) % 3
    found = model.evaluate([left, right], labels, batch_size=32, sample_weight=weight, verbose=0, return_dict=True)
    distances = model.predict([left, right], verbose=0)
    assert found["plain"] == pytest.approx(value(VerificationAUC(), labels, distances), abs=1e-6)
    assert found["verification_auc"] == pytest.approx(value(VerificationAUC(), labels, distances, weight), abs=1e-6)


def test_half_precision_scores():
    left, right, labels = pairs_of_clusters()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_of_fit(metrics=[VerificationAUC()])
        history = model.fit([left, right], labels, batch_size=16, verbose=0).history
        distances = model.predict([left, right], verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    exact = exact_auc(distances[labels[:, 0] == 1, 0].tolist(), distances[labels[:, 0] == 0, 0].tolist(), None)
    assert history["verification_auc"][0] == pytest.approx(exact, abs=1e-2)


def test_saved_models_give_the_same_values(tmp_path):
    left, right, labels = pairs_of_clusters()
    metrics = [make(name, classes=list(COUNTS), resolution=8) for name in ("EqualErrorRate", "TrueAcceptRate")]
    metrics += [make("VerificationPRAUC", resolution=8), make("MatthewsCorrelation")]
    model = model_of_fit("mean_absolute_error", metrics, jit_compile=False)
    model.fit([left, right], labels, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    objects = {f"keras_balanced_siamese>{name}": cls for name, cls in CLASSES.items()}
    again = keras.models.load_model(tmp_path / "model.keras", custom_objects={**CLASSES, **objects})
    found = [one.evaluate([left, right], labels, verbose=0, return_dict=True) for one in (model, again)]
    assert "tar_at_far_0.01/rare" in found[0]
    assert found[0] == pytest.approx(found[1], nan_ok=True)


@pytest.mark.skipif(BACKEND not in REPLICAS, reason="one device only")
def test_two_replicas_count_together():
    def train():
        data = pairs_of_clusters()
        return model_of_fit().fit(data[:2], data[2], batch_size=16, epochs=2, verbose=0).history

    found, alone = in_two_replicas("test_metrics", train), train()
    assert found.keys() == alone.keys()
    if found["loss"] != pytest.approx(alone["loss"], rel=1e-5):
        pytest.skip("this Keras shows one replica's share of any metric, the loss too")
    for key in set(alone) - {"loss"}:
        np.testing.assert_allclose(found[key], alone[key], atol=1e-6, err_msg=key)
