import json
import math

import numpy as np
import pytest
from evaluation.toy_pairs import random_pairs

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only


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


def test_a_report_of_negated_scores_shows_the_score():
    assert "Accepted up to the distance 0.5 (given)" in str(kbs.evaluate_pairs([0.2, 0.9], [1, 0], threshold=0.5))
    text = str(kbs.evaluate_pairs([-0.9, -0.2], [1, 0], threshold=-0.5))
    assert "Accepted from the score 0.5, here -0.5 (given)" in text


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


def test_curve_and_histogram_match_the_distances():
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
