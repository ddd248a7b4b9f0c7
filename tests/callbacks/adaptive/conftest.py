"""Fixtures of the tests of `AdaptiveClassWeight`."""

import pytest

import keras_balanced_siamese as kbs


@pytest.fixture
def pairs(x, y):
    """Balanced pairs of the samples `x`."""
    return kbs.BalancedPairSequence(x, y, seed=0)
