import json
import math

import numpy as np
import pytest
from evaluation.toy_pairs import random_pairs

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only


def test_figures_of_a_class_are_those_of_its_pairs():
    data = random_pairs()
    found = kbs.evaluate_pairs(**data, n_resamples=0)
    for label, row in found.per_class.items():
        chosen = (data["classes"] == label).any(axis=1)
        alone = kbs.evaluate_pairs(
            data["distances"][chosen], data["similar"][chosen], threshold=found.threshold, n_resamples=0
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


def test_rates_of_each_class_by_hand():
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


def test_accepting_everything_has_an_error_of_one_half():
    found = kbs.evaluate_pairs(
        np.zeros(8), [1, 1, 1, 1, 0, 0, 0, 0], classes=[[0, 0], [0, 0], [1, 1], [1, 1]] + [[0, 1]] * 4
    )
    assert found.eer == pytest.approx(0.5)
    assert [row["error"] for row in found.per_class.values()] == [0.5, 0.5]


def test_groups_are_thirds_by_training_counts():
    data = random_pairs(n_classes=7)
    counts = {3: 900, 0: 500, 6: 90, 1: 80, 2: 20, 4: 5}  # class 5 has no training samples
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
def test_counts_of_other_classes_are_an_error(counts):
    with pytest.raises(
        ValueError, match=r"to_dict\(\)`.*`dict\(enumerate\(np.bincount\(y\)\)\)`.*classes are 'a', 'b'"
    ):
        kbs.evaluate_pairs([0.1, 0.9], [1, 0], classes=[["a", "a"], ["a", "b"]], class_counts=counts)
    with pytest.raises(ValueError, match="`class_counts` needs `classes`"):
        kbs.evaluate_pairs([0.1, 0.9], [1, 0], class_counts={"a": 4})
