import pytest

from keras_balanced_siamese.neighbours import _exact, _retrieval


@pytest.fixture
def small_blocks(monkeypatch):
    """Make a few hundred items need many blocks."""
    monkeypatch.setattr(_retrieval, "SCRATCH", 5_000)
    monkeypatch.setattr(_exact, "SCRATCH", 5_000)
    monkeypatch.setattr(_exact, "GROUP", 3)
