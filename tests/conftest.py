import os
import tempfile

# worker threads of one lane must not fight for the cores, and plots need no display
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp())

import keras
import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _same_start():
    keras.utils.set_random_seed(0)
