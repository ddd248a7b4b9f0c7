"""Losses on batches equal those of other packages where all class weights are 1."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from losses.references import batch, distance
from toy import differentiate

import keras_balanced_siamese as kbs

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "addons_triplet.json").read_text())["cases"]
METRICS = {"L2": "euclidean", "squared-L2": "squared", "angular": "cosine"}


def ours_for(name):
    mining, metric, margin, *soft = name.split("|")
    margin = "soft" if soft == ["soft=True"] else float(margin)
    return kbs.WeightedTripletLoss(margin, "semi-hard" if mining == "semihard" else "hard", METRICS[metric])


@pytest.mark.parametrize("name", GOLDEN[0]["results"])
def test_triplets_equal_recorded_values_of_tensorflow_addons(name):
    both = differentiate(ours_for(name))
    for case in GOLDEN:
        labels, x = case["labels"], np.array(case["embeddings"], "float32")
        single = [a for a in range(len(labels)) if labels.count(labels[a]) == 1]
        if name.startswith("hard") and single:
            continue  # see the next test
        value, slope = both(np.array(labels), x)
        theirs, their_slope = case["results"][name]
        assert value == pytest.approx(theirs, rel=1e-5)
        np.testing.assert_allclose(slope, their_slope, atol=1e-5)


def test_hard_triplets_leave_out_an_anchor_without_a_positive():
    case = GOLDEN[2]
    labels, x = case["labels"], np.array(case["embeddings"], "float32")
    assert labels.count(0) == 1  # tensorflow-addons counts it as if it had a positive at distance 0
    nearest = min(distance("euclidean", x[0], x[b]) for b in range(1, 7))
    ours = float(kbs.WeightedTripletLoss(1.0, "hard")(labels, x))
    theirs = case["results"]["hard|L2|1.0|soft=False"][0]
    assert theirs == pytest.approx((6 * ours + max(0 - nearest + 1.0, 0)) / 7, rel=1e-5)


def test_triplets_equal_the_installed_tensorflow_addons():
    addons = pytest.importorskip("tensorflow_addons", reason="runs in the addons lane").losses
    labels, x = np.repeat(np.arange(4), 4), batch(16, 5)[1]
    for metric, kind in METRICS.items():
        theirs = float(addons.TripletSemiHardLoss(0.8, metric)(labels, x))
        assert float(kbs.WeightedTripletLoss(0.8, distance=kind)(labels, x)) == pytest.approx(theirs, rel=1e-5)
        for soft in (False, True):
            theirs = float(addons.TripletHardLoss(0.8, soft, metric)(labels, x))
            ours = kbs.WeightedTripletLoss("soft" if soft else 0.8, "hard", kind)(labels, x)
            assert float(ours) == pytest.approx(theirs, rel=1e-5)
    assert math.isnan(float(addons.TripletSemiHardLoss()(np.arange(16), x)))  # no positive pair: ours gives 0
    assert float(kbs.WeightedTripletLoss()(np.arange(16), x)) == 0
    assert float(addons.TripletSemiHardLoss()(np.zeros(16), x)) > 0  # one class: theirs pulls it together
    assert float(kbs.WeightedTripletLoss()(np.zeros(16), x)) == 0


def test_cosine_losses_equal_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses", reason="runs in the torch lane")
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    torch = pytest.importorskip("torch")
    labels = np.repeat(np.arange(4), 5)
    for seed in range(4):
        x = batch(20, 6, seed=seed)[1]
        for temperature in (0.1, 0.5):
            ours = kbs.WeightedSupervisedContrastiveLoss(temperature)
            reference = losses.SupConLoss(temperature)
            compare(torch, ours, reference, labels, x)
        compare(torch, kbs.WeightedMultiSimilarityLoss(epsilon=None), losses.MultiSimilarityLoss(2, 50, 0.5), labels, x)
        mined = losses.MultiSimilarityLoss(2, 50, 0.5), miners.MultiSimilarityMiner(0.1)
        compare(torch, kbs.WeightedMultiSimilarityLoss(), lambda a, b, m=mined: m[0](a, b, m[1](a, b)), labels, x)


def compare(torch, ours, theirs, labels, x):
    value, slope = differentiate(ours)(labels, x)
    embeddings = torch.tensor(x, requires_grad=True)
    reference = theirs(embeddings, torch.tensor(labels))
    reference.backward()
    assert value == pytest.approx(float(reference.detach()), rel=1e-5)
    np.testing.assert_allclose(slope, embeddings.grad.numpy(), atol=1e-5)
