"""Laws of all plots of a report."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
import matplotlib as mpl
import matplotlib.pyplot as plt
from plots.pictures import LONG, MANY, assert_fits, full_report

pytestmark = pytest.mark.numpy_only


REPORT_PLOTS = (plots.plot_distances, plots.plot_roc, plots.plot_det, plots.plot_per_class, plots.plot_reliability)


@pytest.mark.parametrize("name", ["full", "long labels", "perfect", "infinite"])
def test_single_plots_fit(name):
    report = MANY[name]()
    for plot in REPORT_PLOTS:
        if (plot is plots.plot_per_class and not report.per_class) or (
            plot is plots.plot_reliability and not report.calibration
        ):
            continue
        assert_fits(plot(report).figure)
        plt.close("all")


@pytest.mark.parametrize("plot", REPORT_PLOTS)
def test_given_axes_are_returned_and_nothing_else_changes(plot):
    report = full_report()
    figure, ax = plt.subplots(layout="constrained")
    before = dict(mpl.rcParams)
    assert plot(report, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]
    assert dict(mpl.rcParams) == before
    assert plot(report).figure is not figure


@pytest.mark.parametrize("names", [None, LONG])
@pytest.mark.parametrize("plot", REPORT_PLOTS)
def test_plots_beside_each_other_fit_without_a_layout(plot, names):
    report = full_report(4 if names is None else 40, names=names)
    figure, both = plt.subplots(1, 2)
    for ax in both:
        plot(report, ax=ax)
    assert_fits(figure)


def test_embeddings_beside_each_other_fit_without_a_layout():
    figure, both = plt.subplots(1, 2, figsize=(10, 4))
    for ax, names in zip(both, (["a", "b"], LONG[:10]), strict=True):
        plots.plot_embeddings(
            np.random.default_rng(0).normal(size=(50, 3)), [names[k % len(names)] for k in range(50)], ax=ax
        )
    assert_fits(figure)


def test_a_layout_of_the_user_is_kept():
    report = full_report()
    adjusted, (ax, _) = plt.subplots(1, 2)
    adjusted.subplots_adjust(left=0.3)
    plots.plot_roc(report, ax=ax)
    assert adjusted.get_layout_engine() is None
    assert ax.get_position().x0 == pytest.approx(0.3)
    spaced, (ax, _) = plt.subplots(1, 2, gridspec_kw={"wspace": 0.9})
    plots.plot_roc(report, ax=ax)
    assert spaced.get_layout_engine() is None
    placed = plt.figure()
    plots.plot_roc(report, ax=placed.add_axes((0.2, 0.2, 0.5, 0.5)))
    assert placed.get_layout_engine() is None
    tight, ax = plt.subplots(layout="tight")
    engine = tight.get_layout_engine()
    plots.plot_roc(report, ax=ax)
    assert tight.get_layout_engine() is engine
    parts = plt.figure(layout="constrained").subfigures(1, 2)
    plots.plot_roc(report, ax=parts[0].add_subplot())


@pytest.mark.parametrize("plot", REPORT_PLOTS)
def test_wrong_report_or_axes_raise(plot):
    with pytest.raises(TypeError, match=r"must be a `PairReport`.*Received: ndarray"):
        plot(np.zeros(3))
    with pytest.raises(TypeError, match=r"one matplotlib Axes.*Received: ax of type ndarray"):
        plot(full_report(), ax=plt.subplots(1, 2)[1])


def test_matplotlib_is_imported_only_for_a_plot(monkeypatch):
    for path in Path(plots.__file__).parents[1].rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # what runs on import
            assert not (isinstance(node, (ast.Import, ast.ImportFrom)) and "matplotlib" in ast.unparse(node)), path
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for plot in (*REPORT_PLOTS, plots.plot_report):
        with pytest.raises(ImportError, match=r'pip install "keras-balanced-siamese\[plots\]"'):
            plot(full_report())
    with pytest.raises(ImportError, match="plots"):
        plots.plot_embeddings(np.zeros((2, 2)), [0, 1])
    with pytest.raises(ImportError, match="plots"):
        plots.plot_worst_pairs(np.zeros((2, 2, 2)), [[0, 1]], [1.0], [1])
