import sys

import pytest

from keras_balanced_siamese.neighbours import _exact


@pytest.fixture
def small_blocks(monkeypatch):
    """Make a few hundred items need many blocks."""
    monkeypatch.setattr(_exact, "SCRATCH", 3_000)
    monkeypatch.setattr(_exact, "GROUP", 3)


@pytest.fixture(params=["usearch", "faiss"])
def kind(request):
    """The name of an installed index."""
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture
def fast_switches():
    """Let Python change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
