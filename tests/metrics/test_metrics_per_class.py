"""Values of each class."""

import math

import numpy as np
import pytest
from metrics.exact_values import EXACT, RANKING, every_metric, labelled, make, pairs_of_clusters, samples_of
from toy import COUNTS

import keras_balanced_siamese as kbs


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
    for row, exact in expected.items():
        assert float(result[f"m{row}"]) == pytest.approx(exact, abs=0.01 if name in RANKING else 1e-6), row
    assert metric.error_bound() <= 0.1


def test_codes_outside_the_classes():
    metric = kbs.BalancedPairAccuracy(0.5, classes=np.array(["a", "b"]))
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
    metric = kbs.EqualErrorRate(classes=range(10))
    held = sum(np.prod(tuple(variable.shape)) for variable in metric.variables)
    assert held == 2 * metric._bins.count * (1 + 10 / 8)


@pytest.mark.parametrize("name", RANKING)
def test_values_of_classes_with_many_pairs(name):
    similar, different, _ = samples_of("unit norm")
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
    metric = kbs.BalancedPairAccuracy(report.eer_threshold, classes=[0.0, 1.0, 2.0])
    metric.update_state(labels, distances)
    for code in (0.0, 1.0, 2.0):
        found = 1 - float(metric.result()[metric.log_names[code]])
        assert found == pytest.approx(report.per_class[code]["error"], abs=1e-6)
