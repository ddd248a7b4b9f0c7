import pytest


@pytest.fixture(autouse=True)
def _no_figure_stays():
    """Close all figures after each test."""
    yield
    pytest.importorskip("matplotlib.pyplot").close("all")
