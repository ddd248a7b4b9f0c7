import numpy as np
import pytest

from keras_balanced_siamese.evaluation import reliability

pytestmark = pytest.mark.numpy_only


def test_calibration_error_by_hand():
    probability, similar = np.array([0.1] * 10 + [0.8] * 5), np.array([1] * 2 + [0] * 8 + [1] * 3 + [0] * 2)
    found = reliability(probability, similar.astype(bool), np.full(15, 1 / 15))
    assert found["expected_calibration_error"] == pytest.approx(10 / 15 * 0.1 + 5 / 15 * 0.2)
    assert found["brier"] == pytest.approx((2 * 0.81 + 8 * 0.01 + 3 * 0.04 + 2 * 0.64) / 15)
    assert found["bins"]["count"] == [10, 5]


def test_brier_and_log_loss_equal_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p, similar = rng.random(500), rng.random(500) < 0.4
    found = reliability(p, similar, np.full(500, 1 / 500))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(similar, p))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(similar, p))
