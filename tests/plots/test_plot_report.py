import matplotlib as mpl
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from plots.pictures import MANY, assert_fits, full_report

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("name", MANY)
def test_the_page_fits_every_kind_of_report(name):
    report = MANY[name]()
    figure = plots.plot_report(report)
    titles = [ax.get_title() for ax in figure.axes]
    assert_fits(figure)
    assert titles[:2] == ["Figures", "Distances"]
    assert any(title.startswith("Error by class") for title in titles) == bool(report.per_class)
    assert ("Error of common and rare classes" in titles) == bool(report.groups)
    assert any(title.startswith("Calibration") for title in titles) == bool(report.calibration)


def test_the_page_shows_the_groups_and_the_figures():
    report = full_report(6)
    figure = plots.plot_report(report, title="On $unseen$ pairs")
    assert figure.get_suptitle() == "On $unseen$ pairs"
    panels = {ax.get_title(): ax for ax in figure.axes}
    bars = panels["Error of common and rare classes"].patches
    assert [bar.get_height() for bar in bars] == [group["error"] for group in report.groups.values()]
    texts = [text.get_text() for text in panels["Figures"].texts]
    low, high = report.intervals["micro"]["eer"]
    assert f"{report.eer:.3f} [{low:.3f}, {high:.3f}]" in texts
    assert f"not measurable with {report.n_different} different pairs" in texts
    assert {"PR AUC", "Matthews correlation"} < set(texts)
    assert tuple(figure.get_size_inches()) == (11.69, 8.27)
    assert plt.get_fignums() == [figure.number]


def test_the_page_keeps_rcparams_and_follows_a_dark_style():
    report = full_report()
    before = dict(mpl.rcParams)
    plots.plot_report(report)
    assert dict(mpl.rcParams) == before
    with plt.style.context("dark_background"):
        ax = plots.plot_distances(report)
        assert to_hex(ax.lines[0].get_color()) == "#ffffff"
