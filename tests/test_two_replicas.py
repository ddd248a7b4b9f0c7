"""Training on two devices gives what one device gives."""

import json

import numpy as np
import pytest
import two_replicas
from fresh_process import output, start
from toy import BACKEND, linear_encoder
from two_replicas import adapted, adapted_in_batch, counted, plain

pytestmark = pytest.mark.skipif(BACKEND not in two_replicas.SCOPES, reason="one device only")


@pytest.fixture(scope="module")
def two_devices():
    """What each training gives on two devices, found in one process."""
    process = start(two_replicas.__file__, **two_replicas.VARIABLES)
    return json.loads(output(process).splitlines()[-1])


def test_two_replicas_adapt_the_weights_to_the_same_values(two_devices):
    found, alone = two_devices["adapted"], adapted()
    if found["loss"] != pytest.approx(alone["loss"], rel=1e-4):
        assert two_devices["plain"]["loss"] != pytest.approx(plain()["loss"], rel=1e-4)
        pytest.skip("this Keras trains in another way on two devices, with losses and callbacks of its own too")
    assert two_devices["plain"]["loss"] == pytest.approx(plain()["loss"], rel=1e-4)
    assert found.keys() == alone.keys()
    for key in alone:
        np.testing.assert_allclose(found[key], alone[key], rtol=1e-4, err_msg=key)
    assert alone["class_weight/1"][-1] != 1.0
    assert alone["class_weight_1/rare"][-1] > 1.5


def test_two_replicas_adapt_the_weights_of_a_loss_on_batches_to_the_same_values(two_devices):
    found, alone = two_devices["adapted_in_batch"], adapted_in_batch()
    if found["loss"] != pytest.approx(alone["loss"], rel=1e-4):
        assert two_devices["plain"]["loss"] != pytest.approx(plain()["loss"], rel=1e-4)
        pytest.skip("this Keras trains in another way on two devices, with losses and callbacks of its own too")
    assert found.keys() == alone.keys()
    for key in alone:
        np.testing.assert_allclose(found[key], alone[key], rtol=1e-4, err_msg=key)
    assert alone["class_weight/rare"][-1] != pytest.approx(1.0, abs=0.05)


def test_batches_that_are_read_before_the_training_are_not_an_epoch(two_devices):
    assert two_devices["plain"]["epoch"] == plain()["epoch"] == 3


def test_two_replicas_count_together(two_devices):
    found, alone = two_devices["counted"], counted()
    assert found.keys() == alone.keys()
    if found["loss"] != pytest.approx(alone["loss"], rel=1e-5):
        pytest.skip("this Keras shows one replica's share of any metric, the loss too")
    for key in set(alone) - {"loss"}:
        np.testing.assert_allclose(found[key], alone[key], atol=1e-6, err_msg=key)


def test_one_pass_on_two_replicas(two_devices):
    found = two_devices["in_one_pass"]
    assert np.abs(np.subtract(found["two"], linear_encoder().get_weights()[0])).max() > 1e-3
    np.testing.assert_allclose(found["one"], found["two"], rtol=1e-5, atol=1e-6)
