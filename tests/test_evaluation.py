import json
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_balanced_siamese as kbs

scores = st.lists(st.integers(0, 8), min_size=1, max_size=25)  # many ties


def slow_auc(similar, different):
    won = [1.0 if s < d else 0.5 if s == d else 0.0 for s in similar for d in different]
    return sum(won) / len(won)


def slow_eer(similar, different):
    """Walk along the curve until the false accept rate has overtaken the false reject rate."""
    last = (0.0, 1.0)
    for threshold in sorted({*similar, *different}):
        far = sum(d <= threshold for d in different) / len(different)
        frr = sum(s > threshold for s in similar) / len(similar)
        if far >= frr:
            share = (last[1] - last[0]) / ((last[1] - last[0]) + (far - frr))
            return last[0] + share * (far - last[0])
        last = (far, frr)
    raise AssertionError


def slow_points(similar, different):
    """True and false accept rate for every way to cut between distances."""
    return [
        (sum(d <= t for d in similar) / len(similar), sum(d <= t for d in different) / len(different))
        for t in [-math.inf, *sorted({*similar, *different})]
    ]


def report(similar, different, **kwargs):
    kwargs.setdefault("n_resamples", 0)
    return kbs.evaluate_pairs([*similar, *different], [1] * len(similar) + [0] * len(different), **kwargs)


@given(scores, scores)
def test_auc_and_eer_equal_the_slow_ones(similar, different):
    found = report(similar, different)
    assert found.roc_auc == pytest.approx(slow_auc(similar, different))
    assert found.eer == pytest.approx(slow_eer(similar, different))


@given(scores, scores)
def test_auc_equals_scikit_learn(similar, different):
    from sklearn.metrics import roc_auc_score

    truth = [1] * len(similar) + [0] * len(different)
    assert report(similar, different).roc_auc == pytest.approx(roc_auc_score(truth, [-s for s in similar + different]))


@given(scores, scores)
def test_decisions_and_average_precision_equal_scikit_learn(similar, different):
    metrics = pytest.importorskip("sklearn.metrics")
    found = report(similar, different)
    truth, distances = [1] * len(similar) + [0] * len(different), np.array(similar + different)
    accepted = distances <= found.threshold
    assert found.pr_auc == pytest.approx(metrics.average_precision_score(truth, -distances))
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(truth, accepted))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, accepted))


@given(scores, scores, st.sampled_from([0.05, 0.2, 0.5]))
def test_true_accept_rate_is_at_the_last_cut_within_the_false_accept_rate(similar, different, far):
    found = report(similar, different, far=[far])
    if len(different) * far < 1:
        assert math.isnan(found.tar_at_far[far])
        assert f"not measurable with {len(different)} different pairs" in str(found)
        return
    tar, achieved = max(point for point in slow_points(similar, different) if point[1] <= far)
    assert found.tar_at_far[far] == pytest.approx(tar)
    assert found.achieved_far[far] == pytest.approx(achieved)


@given(scores, scores)
def test_detection_cost_is_the_least_over_all_cuts(similar, different):
    found = report(similar, different, costs=[(10, 1, 0.05), (1, 3, 0.5)])
    for name, (miss, false, prior) in {"min_dcf_10_1_0.05": (10, 1, 0.05), "min_dcf_1_3_0.5": (1, 3, 0.5)}.items():
        costs = [miss * prior * (1 - tar) + false * (1 - prior) * far for tar, far in slow_points(similar, different)]
        assert found.micro[name] == pytest.approx(min(costs) / min(miss * prior, false * (1 - prior)))


@given(scores, scores, st.data())
def test_weights_are_repetitions(similar, different, data):
    times = data.draw(st.lists(st.integers(1, 3), min_size=len(similar + different), max_size=len(similar + different)))
    truth = [1] * len(similar) + [0] * len(different)
    weighted = kbs.evaluate_pairs(similar + different, truth, sample_weight=times, n_resamples=0, far=())
    repeated = kbs.evaluate_pairs(np.repeat(similar + different, times), np.repeat(truth, times), n_resamples=0, far=())
    assert weighted.micro == pytest.approx(repeated.micro)
    assert weighted.threshold == pytest.approx(repeated.threshold)


def random_pairs(n=600, n_classes=6, seed=0):
    """Distances with ties, classes of different difficulty, and which samples they are of."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(n_classes, size=(n, 2))
    classes[: n // 2, 1] = classes[: n // 2, 0]
    similar = classes[:, 0] == classes[:, 1]
    offset = np.linspace(-0.3, 0.3, n_classes)[classes].mean(axis=1)
    distances = np.abs(rng.normal(1.0 - 0.5 * similar + offset, 0.3)).round(2)
    samples = classes * 10 + rng.integers(10, size=(n, 2))
    return {"distances": distances, "similar": similar, "classes": classes, "samples": samples}


def test_a_class_has_the_figures_of_its_pairs():
    data = random_pairs()
    found = kbs.evaluate_pairs(**data, n_resamples=0)
    for label, row in found.per_class.items():
        its = (data["classes"] == label).any(axis=1)
        alone = kbs.evaluate_pairs(
            data["distances"][its], data["similar"][its], threshold=found.threshold, n_resamples=0
        )
        expected = {**alone.micro, "n_similar": alone.n_similar, "n_different": alone.n_different}
        assert row == pytest.approx(expected, nan_ok=True)
    for name in ("eer", "error", "roc_auc", "mcc"):
        assert found.macro[name] == pytest.approx(np.mean([row[name] for row in found.per_class.values()]))


def test_order_of_pairs_and_sides_does_not_matter():
    data = random_pairs()
    order = np.random.default_rng(1).permutation(len(data["similar"]))
    turned = {name: values[order] for name, values in data.items()}
    turned |= {name: turned[name][:, ::-1] for name in ("classes", "samples")}
    found, again = (kbs.evaluate_pairs(**one, n_resamples=0) for one in (data, turned))
    assert again.micro == pytest.approx(found.micro, nan_ok=True)
    assert again.macro == pytest.approx(found.macro, nan_ok=True)


def test_groups_are_thirds_by_training_counts():
    data = random_pairs(n_classes=7)
    counts = {3: 900, 0: 500, 6: 90, 1: 80, 2: 20, 4: 5}  # 5 was never seen
    found = kbs.evaluate_pairs(**data, class_counts=counts, n_resamples=0)
    assert {name: group["classes"] for name, group in found.groups.items()} == {
        "head": [0, 3],
        "medium": [1, 6],
        "tail": [2, 4, 5],
    }
    assert found.groups["tail"]["eer"] == pytest.approx(np.mean([found.per_class[c]["eer"] for c in (2, 4, 5)]))
    assert found.class_counts[5] == 0
    labels = [label for label, n in counts.items() for _ in range(n)]
    assert kbs.evaluate_pairs(**data, class_counts=labels, n_resamples=0).groups == found.groups
    same = dict.fromkeys(range(7), 10)
    assert kbs.evaluate_pairs(**data, class_counts=same, n_resamples=0).groups == {}


@pytest.mark.parametrize("counts", [[4, 2, 2], {"a ": 4, "b ": 2}, np.array([4, 2])], ids=str)
def test_counts_of_other_classes_are_refused(counts):
    with pytest.raises(
        ValueError, match=r"to_dict\(\)`.*`dict\(enumerate\(np.bincount\(y\)\)\)`.*classes are 'a', 'b'"
    ):
        kbs.evaluate_pairs([0.1, 0.9], [1, 0], classes=[["a", "a"], ["a", "b"]], class_counts=counts)
    with pytest.raises(ValueError, match="`class_counts` needs `classes`"):
        kbs.evaluate_pairs([0.1, 0.9], [1, 0], class_counts={"a": 4})


def test_a_given_threshold_decides():
    data = random_pairs()
    found = kbs.evaluate_pairs(**data, threshold=0.6, n_resamples=0)
    assert found.threshold_given
    assert (found.threshold, found.eer_threshold != 0.6) == (0.6, True)
    assert found.micro["false_reject_rate"] == np.mean(data["distances"][data["similar"]] > 0.6)
    assert found.micro["false_accept_rate"] == np.mean(data["distances"][~data["similar"]] <= 0.6)


def test_infinite_distances_are_the_largest():
    found = report([0.1, math.inf], [0.5, math.inf])
    assert (found.eer, found.roc_auc) == (0.5, slow_auc([0.1, math.inf], [0.5, math.inf]))
    assert math.isfinite(found.histogram["edges"][-1])


@pytest.mark.parametrize(
    ("similar", "different"),
    [([0.1 + 0.2] * 4, [0.3] * 4), ([0.0], [5e-324]), ([1e150, -1e150], [1e150, 1e-310]), ([1e9, 1e9 + 1e-7], [1e9])],
)
def test_bins_of_nearly_equal_and_of_huge_distances(similar, different):
    found = report(similar, different)
    edges = found.histogram["edges"]
    assert edges == sorted(set(edges))
    assert edges[0] <= min(similar + different) <= max(similar + different) <= edges[-1]
    assert (sum(found.histogram["similar"]), sum(found.histogram["different"])) == pytest.approx((1, 1))


def test_equally_distant_embeddings_are_a_coin():
    found = kbs.evaluate_embeddings(np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0], [0, 1, 2] * 4)
    assert np.ptp(found.histogram["edges"]) > 1


def test_bins_leave_out_what_is_far_from_all_others():
    distances = np.random.default_rng(0).uniform(1, 2, 4000)
    distances[[0, 1, 2000, 2001]] = [1e9, math.inf, -1e9, -math.inf]
    found = report(distances[:2000], distances[2000:])
    edges = found.histogram["edges"]
    assert (edges[0], edges[-1]) == pytest.approx((1, 2), abs=0.01)
    assert found.histogram["above"] == {"similar": 0.001, "different": 0}
    assert found.histogram["below"] == {"similar": 0, "different": 0.001}
    assert sum(found.histogram["similar"]) == pytest.approx(0.999)
    assert report(distances[:2000], distances[2000:], threshold=7.0).histogram["edges"][-1] == 7


def test_constant_distances_are_a_coin():
    found = report([0.5] * 20, [0.5] * 30)
    assert (found.roc_auc, found.eer, found.pr_auc, found.mcc) == (0.5, 0.5, 0.4, 0.0)
    assert found.tar_at_far[0.1] == 0.0


def test_two_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    n, gap = 100_000, 2.0
    found = report(rng.normal(size=n), rng.normal(size=n) + gap)
    assert found.eer == pytest.approx(NormalDist().cdf(-gap / 2), abs=0.005)
    assert found.roc_auc == pytest.approx(NormalDist().cdf(gap / math.sqrt(2)), abs=0.005)
    assert found.eer_threshold == pytest.approx(gap / 2, abs=0.02)


def test_per_class_rates():
    distances = [0.1, 0.9, 0.2, 0.3, 0.8, 0.7]
    similar = [1, 1, 1, 0, 0, 0]
    classes = [["a", "a"], ["a", "a"], ["b", "b"], ["a", "b"], ["b", "a"], ["a", "c"]]
    found = kbs.evaluate_pairs(distances, similar, classes=classes)
    assert 0.3 <= found.eer_threshold < 0.7
    a, b, c = (found.per_class[label] for label in "abc")
    assert (a["false_reject_rate"], a["false_accept_rate"]) == pytest.approx((1 / 2, 1 / 3))
    assert (b["false_reject_rate"], b["false_accept_rate"]) == pytest.approx((0, 1 / 2))
    assert a["error"] == pytest.approx(5 / 12)
    assert (a["n_similar"], a["n_different"], c["n_similar"], c["n_different"]) == (2, 3, 0, 1)
    assert math.isnan(c["error"])
    assert "error" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["per_class"]["a"]["n_similar"] == 2


def test_accepting_everything_is_an_error_of_a_half_for_each_class():
    found = kbs.evaluate_pairs(
        np.zeros(8), [1, 1, 1, 1, 0, 0, 0, 0], classes=[[0, 0], [0, 0], [1, 1], [1, 1]] + [[0, 1]] * 4
    )
    assert found.eer == pytest.approx(0.5)
    assert [row["error"] for row in found.per_class.values()] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.1, 0.2], [1]), "same length"),
        (([0.1, math.nan], [1, 0]), "NaN"),
        (([0.1, 0.2], [1, 2]), "0 and 1 only"),
        (([0.1, 0.2], [1, 1]), "Both similar and different"),
        (([], []), "Both similar and different"),
        (([1e308, 1.0, -1e308], [1, 0, 0]), "at most 1e[+]150.*Received: 2 of 3.*position 0"),
        ((np.zeros((3, 3)), np.eye(3)), r"`i, j = np.triu_indices\(n, 1\)`.*shape \(3, 3\)"),
        ((np.zeros((2, 1)), [[1, 0]]), r"`similar` must hold one value.*shape \(1, 2\)"),
        (([0.1, 0.2], ["same", "different"]), "`left_labels == right_labels`.*'same', 'different'"),
        (([0.1, 0.2], [1, None]), r"0 and 1 only.*\[None\]"),
    ],
)
def test_bad_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_pairs(*arguments)


def test_distances_that_are_not_numbers():
    with pytest.raises(TypeError, match="`distances` must hold numbers"):
        kbs.evaluate_pairs(["0.1", "0.2"], [1, 0])


def test_pairs_of_weight_zero_are_not_there():
    data = random_pairs(n=200)
    weight = np.where((data["classes"] == 5).any(axis=1), 0, 2.0)
    kept = {name: values[weight > 0] for name, values in data.items()}
    found = kbs.evaluate_pairs(**data, sample_weight=weight)
    expected = kbs.evaluate_pairs(**kept, sample_weight=weight[weight > 0])
    assert found.to_json() == expected.to_json()
    assert 5 not in found.per_class


def test_bad_classes():
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=["a", "b"])
    with pytest.raises(ValueError, match="exactly where both sides"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "b"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"at 1 of 2 pairs, the first at position 0\.$"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "b"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"2 of 2 pairs.*labels reversed"):
        kbs.evaluate_pairs([0.1, 0.2], [0, 1], classes=[["a", "a"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"np.stack\(\[left, right\], axis=1\)"):
        kbs.evaluate_pairs([0.1, 0.2, 0.3], [1, 0, 0], classes=(["a", "a", "a"], ["a", "b", "b"]))
    with pytest.raises(ValueError, match=r"missing.*position 3"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "a"], ["a", math.nan]])
    with pytest.raises(TypeError, match="all of one type"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[("1", "1"), ("1", 2)])


# Intervals


def test_intervals_hold_the_figures_and_come_again():
    data = random_pairs()
    found, again = kbs.evaluate_pairs(**data), kbs.evaluate_pairs(**data)
    assert found.intervals == again.intervals
    assert found.resampled == "classes"
    for part, figures in (("micro", found.micro), ("macro", found.macro)):
        for name, (low, high) in found.intervals[part].items():
            assert low <= figures[name] <= high, name
    for label, bounds in found.intervals["per_class"].items():
        for name, (low, high) in bounds.items():
            assert low <= found.per_class[label][name] <= high, (label, name)
    other = kbs.evaluate_pairs(**data, seed=1)
    assert other.intervals["micro"]["eer"] != found.intervals["micro"]["eer"]
    assert other.intervals["micro"]["eer"] == pytest.approx(found.intervals["micro"]["eer"], abs=0.05)


def test_pairs_of_few_classes_say_less_than_independent_ones():
    data = random_pairs()
    by_class = kbs.evaluate_pairs(**data).intervals["micro"]["eer"]
    alone = np.arange(2 * len(data["similar"])).reshape(-1, 2)  # every sample in one pair only
    by_sample = kbs.evaluate_pairs(**{**data, "samples": alone}, resample="samples").intervals["micro"]["eer"]
    assert by_class[1] - by_class[0] > 1.3 * (by_sample[1] - by_sample[0])
    n = len(data["similar"]) / 2
    eer = kbs.evaluate_pairs(**data, n_resamples=0).eer
    independent = 2 * 1.96 * math.sqrt(eer * (1 - eer) / n)  # of either rate; where they meet is known better
    assert 0.5 * independent < by_sample[1] - by_sample[0] < 1.1 * independent


def test_intervals_of_rates_with_independent_pairs_are_the_binomial_ones():
    rng = np.random.default_rng(0)
    n = 4000
    distances = np.concatenate([rng.normal(0, 1, n), rng.normal(2, 1, n)])
    similar, samples = np.arange(2 * n) < n, np.arange(4 * n).reshape(-1, 2)
    found = kbs.evaluate_pairs(distances, similar, samples=samples, threshold=1.0)
    for name in ("false_reject_rate", "false_accept_rate"):
        low, high = found.intervals["micro"][name]
        rate = found.micro[name]
        assert high - low == pytest.approx(2 * 1.96 * math.sqrt(rate * (1 - rate) / n), rel=0.1)


def test_no_error_among_few_is_not_no_error():
    label = np.repeat(np.arange(5), 4)
    classes = np.concatenate([np.stack([label, label], axis=1), np.stack([label, (label + 1) % 5], axis=1)])
    samples = classes * 100 + np.arange(80).reshape(-1, 2)
    found = kbs.evaluate_pairs([0.1] * 20 + [0.9] * 20, [1] * 20 + [0] * 20, classes=classes, samples=samples)
    assert found.eer == found.per_class[0]["error"] == 0
    assert found.intervals["micro"]["eer"] == (0, pytest.approx(1 - 0.025 ** (1 / 5)))
    assert found.intervals["per_class"][0]["error"][0] == 0
    assert 0.1 < found.intervals["per_class"][0]["error"][1] < 0.6


def test_two_classes_say_nothing_about_the_false_accepts_of_others():
    data = random_pairs(n=200, n_classes=2)
    found = kbs.evaluate_pairs(**data, threshold=0.8)
    assert 0 < found.micro["false_accept_rate"] < 1
    for part in ("micro", "macro"):
        assert np.isnan(found.intervals[part]["false_accept_rate"]).all()
    low, high = found.intervals["micro"]["false_reject_rate"]
    assert high - low > 0.1
    line = next(line for line in str(found).splitlines() if line.startswith("false accept rate"))
    assert "[" not in line


def slow_variance(influence, sides):
    """Sum over all ordered couples of pairs that share a unit."""
    return sum(
        x * y
        for x, one in zip(influence, sides, strict=True)
        for y, other in zip(influence, sides, strict=True)
        if set(one) & set(other)
    )


def test_variance_counts_what_two_pairs_share_once():
    from keras_balanced_siamese.evaluation._intervals import _counted_once

    rng = np.random.default_rng(3)
    for _ in range(20):
        sides = rng.integers(7, size=(30, 2))
        influence = rng.normal(size=30)
        of_unit = sum(sum(x for x, side in zip(influence, sides, strict=True) if u in side) ** 2 for u in range(7))
        shrink_to_mean = _counted_once(*sides.T, influence, 7)
        expected = min(max(slow_variance(influence, sides.tolist()) / of_unit, 0.5), 1)
        assert shrink_to_mean**2 == pytest.approx(expected)


@pytest.mark.parametrize(("freedom", "exact"), [(3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_quantiles_of_students_t(freedom, exact):
    from keras_balanced_siamese.evaluation._intervals import t_quantile

    assert t_quantile(freedom, 0.95) == pytest.approx(exact, rel=0.01)


def test_what_has_no_unit_has_no_interval():
    data = random_pairs()
    assert kbs.evaluate_pairs(data["distances"], data["similar"]).intervals == {}
    assert kbs.evaluate_pairs(**data, n_resamples=0).resampled is None
    assert "per_class" not in kbs.evaluate_pairs(data["distances"], data["similar"], classes=data["classes"]).intervals
    found = kbs.evaluate_pairs(data["distances"], data["similar"], samples=data["samples"])
    assert (found.resampled, sorted(found.intervals)) == ("samples", ["micro"])


def test_more_units_than_are_drawn_singly():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(3000), 2)[:, None] + np.tile([[0, 0], [0, 1]], (3000, 1))
    similar = classes[:, 0] == classes[:, 1]
    found = kbs.evaluate_pairs(rng.normal(1 - similar, 0.5), similar, classes=classes, threshold=0.5)
    low, high = found.intervals["micro"]["false_reject_rate"]
    rate = found.micro["false_reject_rate"]
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(rate * (1 - rate) / 3000), rel=0.15)


# Embeddings


def blobs(counts=(12, 8, 5, 2, 1), dim=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([f"c{k}" for k in range(len(counts))], counts))
    centres = {label: rng.normal(size=dim) for label in np.unique(y)}
    return np.stack([centres[label] + rng.normal(size=dim) for label in y]), y


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_embeddings_are_judged_by_all_their_pairs(distance):
    x, y = blobs()
    found = kbs.evaluate_embeddings(x, y, distance=distance, n_resamples=0)
    distances, classes = [], []
    for i in range(len(x)):
        for j in range(i):
            cosine = x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j])
            distances.append(np.linalg.norm(x[i] - x[j]) if distance == "euclidean" else 1 - cosine)
            classes.append([y[i], y[j]])
    similar = [a == b for a, b in classes]
    expected = kbs.evaluate_pairs(distances, similar, classes=classes, n_resamples=0)
    assert {name: found.micro[name] for name in expected.micro} == pytest.approx(expected.micro, nan_ok=True)
    for label, row in expected.per_class.items():
        assert {name: found.per_class[label][name] for name in row} == pytest.approx(row, nan_ok=True)


def test_embeddings_of_one_direction_find_nothing_under_the_cosine_distance():
    x = np.random.default_rng(0).uniform(0.5, 2, (60, 1)) * [0.3, 0.7, 1.1]
    found = kbs.evaluate_embeddings(x, np.arange(60) % 3, distance="cosine", n_resamples=0)
    assert (found.micro["recall@1"], found.micro["map@r"]) == (0, 0)
    assert (found.roc_auc, found.eer) == pytest.approx((0.5, 0.5))


def test_retrieval_is_averaged_over_samples_and_over_classes():
    x = np.array([[0.0], [0.1], [1.0], [1.2], [1.05], [5.0]])
    found = kbs.evaluate_embeddings(x, ["a", "a", "b", "b", "a", "alone"], k=(1, 3), n_resamples=50)
    # the nearest: 0 finds 0.1 (a), 0.1 finds 0 (a), 1.0 and 1.2 find 1.05 (a), 1.05 finds 1.0 (b); "alone" has none
    assert found.micro["recall@1"] == pytest.approx(2 / 5)
    assert found.per_class["a"]["recall@1"] == pytest.approx(2 / 3)
    assert found.per_class["b"]["recall@1"] == 0
    assert math.isnan(found.per_class["alone"]["recall@1"])
    assert found.macro["recall@1"] == pytest.approx(1 / 3)
    assert found.micro["recall@3"] == 1
    assert "recall@1" in found.intervals["micro"]
    assert "R-precision" in str(found)


def test_drawn_pairs_stand_for_all():
    x, y = blobs(counts=(300, 100, 30, 10, 3, 2))
    everything = kbs.evaluate_embeddings(x, y, max_pairs=10**6, n_resamples=0)
    drawn = kbs.evaluate_embeddings(x, y, max_pairs=20_000, n_resamples=0)
    assert drawn.n_similar + drawn.n_different <= 20_000
    assert drawn.per_class["c5"]["n_similar"] == 1
    assert drawn.per_class["c4"]["n_similar"] == 3
    for name in ("roc_auc", "eer", "pr_auc"):
        assert drawn.micro[name] == pytest.approx(everything.micro[name], abs=0.02)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(4, 400), st.integers(0, 99))
def test_pairs_are_distinct_and_their_weights_add_up_to_all(counts, max_pairs, seed):
    from keras_balanced_siamese.evaluation._all_pairs import choose_pairs

    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    pairs, weight = choose_pairs(codes, max_pairs, np.random.default_rng(seed))
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == len(pairs) == len(weight)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    similar = codes[pairs[:, 0]] == codes[pairs[:, 1]]
    n = len(codes)
    of_class = [m * (m - 1) // 2 for m in counts]
    assert weight[similar].sum() == pytest.approx(sum(of_class))
    assert weight[~similar].sum() == pytest.approx(n * (n - 1) / 2 - sum(of_class))
    if n * (n - 1) // 2 <= max_pairs:
        assert len(pairs) == n * (n - 1) // 2
    else:
        assert similar.sum() <= max(max_pairs // 2, sum(m > 0 for m in of_class))


def test_every_different_pair_is_as_likely():
    from keras_balanced_siamese.evaluation._all_pairs import choose_pairs

    codes = np.repeat([0, 1, 2], [6, 3, 1])
    seen = np.zeros((10, 10))
    for seed in range(2000):
        pairs, _ = choose_pairs(codes, 10, np.random.default_rng(seed))
        different = pairs[codes[pairs[:, 0]] != codes[pairs[:, 1]]]
        seen[different.min(axis=1), different.max(axis=1)] += 1
    share = seen[np.triu(codes[:, None] != codes)] / 2000
    assert len(share) == 27
    assert share == pytest.approx(np.full(27, 5 / 27), abs=0.05)


# What comes of a report


def test_report_as_json_and_as_a_table(tmp_path):
    found = kbs.evaluate_pairs(**random_pairs(n=100), class_counts={c: 2**c for c in range(6)})
    text = found.to_json(tmp_path / "report.json", indent=1)
    read = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert read == json.loads(text)
    assert read["micro"]["tar_at_far_0.0001"] is None
    assert read["micro"]["eer"] == found.eer
    assert read["groups"]["tail"]["classes"] == [0, 1]
    lines = str(found).splitlines()
    assert lines[0].endswith("of 6 classes")
    assert any(line.startswith("equal error rate") and "[" in line for line in lines)
    assert "0 *" in str(found)
    assert str(found).isascii()


def test_report_as_a_data_frame():
    pytest.importorskip("pandas")
    found = kbs.evaluate_pairs(**random_pairs(), class_counts={c: 2**c for c in range(6)}, n_resamples=0)
    frame = found.to_pandas()
    assert frame.loc[("all", "micro"), "eer"] == found.eer
    assert frame.loc[("group", "tail"), "roc_auc"] == found.groups["tail"]["roc_auc"]
    assert frame.loc[("class", 3), "n_similar"] == found.per_class[3]["n_similar"]
    assert "classes" not in frame
    assert not any(name.endswith("_low") for name in frame)
    data = random_pairs(n=100)
    found = kbs.evaluate_pairs(**data, class_counts={c: 2**c for c in range(6)}, n_resamples=20)
    frame = found.to_pandas()
    bounds = found.intervals
    for key, its in {
        ("all", "micro"): bounds["micro"],
        ("all", "macro"): bounds["macro"],
        ("group", "head"): bounds["groups"]["head"],
        ("class", 3): bounds["per_class"][3],
    }.items():
        assert frame.loc[key, ["error_low", "error_high"]].tolist() == list(its["error"])


def test_a_table_of_many_classes_shows_the_worst():
    data = random_pairs(n=20_000, n_classes=80)
    found = kbs.evaluate_pairs(**data, n_resamples=0)
    lines = str(found).splitlines()
    assert "... and 50 with smaller errors" in lines[-1]
    shown = [float(line.split()[1]) for line in lines[-31:-1]]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(max(row["error"] for row in found.per_class.values()), abs=1e-4)


def test_curve_and_histogram_for_plots():
    data = random_pairs(n=5000)
    found = kbs.evaluate_pairs(**data, n_resamples=0)
    threshold, far, frr = (np.array(found.curve[name]) for name in ("threshold", "far", "frr"))
    for t, a, r in list(zip(threshold, far, frr, strict=True))[::20]:
        assert a == pytest.approx(np.mean(data["distances"][~data["similar"]] <= t))
        assert r == pytest.approx(np.mean(data["distances"][data["similar"]] > t))
    assert (far[-1], frr[-1]) == (1, 0)
    assert (threshold[0], far[0], frr[0]) == (-math.inf, 0, 1)
    assert json.loads(found.to_json())["curve"]["threshold"][0] is None
    assert sum(found.histogram["similar"]) == pytest.approx(1)
    assert len(found.histogram["edges"]) == len(found.histogram["different"]) + 1


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"threshold": math.nan}, "finite distance"),
        ({"threshold": "eer"}, "finite distance"),
        ({"far": [0.0]}, "far"),
        ({"far": [1.5]}, "between 0 and 1"),
        ({"costs": [(1, 1)]}, "cost of a miss"),
        ({"costs": [(1, 1, 0)]}, "cost of a miss"),
        ({"costs": [("a", 1, 0.5)]}, "cost of a miss"),
        ({"resample": "pairs"}, "'classes', 'samples'"),
        ({"resample": "samples"}, "needs `samples`"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"sample_weight": [1, -1, 1, 1]}, "at least 0"),
        ({"sample_weight": [1, 1]}, "one weight per pair"),
        ({"sample_weight": [1, 1, 0, 0]}, "with a weight above 0"),
        ({"class_counts": {"a": -1}}, "class_counts"),
        ({"samples": [1, 2, 3, 4]}, r"shape \(n, 2\)"),
    ],
)
def test_bad_arguments(wrong, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_pairs([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], **wrong)


def test_single_numbers_where_several_belong():
    with pytest.raises(TypeError, match=r"`far=\[0.1\]`"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], far=0.1)
    with pytest.raises(TypeError, match=r"`costs=\[\(10, 1, 0.01\)\]`"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], costs=(10, 1, 0.01))
    with pytest.raises(TypeError, match=r"`k=\[5\]`"):
        kbs.evaluate_embeddings(np.eye(4), [0, 0, 1, 1], k=5)


def test_any_false_accept_rate_is_found_again():
    found = kbs.evaluate_pairs([0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], far=[1 / 3])
    assert found.tar_at_far[1 / 3] == 1
    assert "TAR at FAR 0.333333 " in str(found)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((3, 2)), ["a", "b"], "one label per embedding"),
        (np.zeros((3, 2)), ["a", "a", "a"], "two classes"),
        (np.zeros((3, 2)), ["a", "b", "c"], "two samples"),
        (np.full((3, 2), np.nan), ["a", "a", "c"], "finite"),
        (np.zeros(3), ["a", "a", "c"], "one embedding per row"),
        (np.zeros((3, 8, 8, 1)), ["a", "a", "c"], r"`encoder.predict\(images\)`"),
    ],
)
def test_bad_embeddings(x, y, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_embeddings(x, y)
