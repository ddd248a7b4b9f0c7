"""Settings, fixtures, and the guard of the tests that run on one lane only."""

import os
import tempfile

# worker threads of one lane must not fight for the cores, and plots need no display
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp())

import keras
import pytest
from hypothesis import settings
from toy import clusters

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _same_start():
    keras.utils.set_random_seed(0)


@pytest.fixture
def x():
    """Samples of three clusters, `(59, 4)` float32."""
    return clusters()[0]


@pytest.fixture
def y():
    """The labels of the samples `x`: 40 common, 14 medium, 5 rare."""
    return clusters()[1]
