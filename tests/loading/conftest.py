"""No workers of other tests, whose sequences may still exist."""

import pytest

from keras_balanced_siamese.loading import _workers


@pytest.fixture(autouse=True, scope="module")
def _workers_of_this_file_only():
    _workers._end_all()
