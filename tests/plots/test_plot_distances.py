import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
from plots.pictures import MANY, full_report, legend_texts, line_through, plain_report

pytestmark = pytest.mark.numpy_only


def test_distances_show_histogram_threshold_and_errors():
    report = full_report()
    ax = plots.plot_distances(report)
    filled = [patch for patch in ax.patches if patch.get_fill() and not patch.get_hatch()]
    for patch, kind in zip(filled, ("similar", "different"), strict=True):
        values, edges, _ = patch.get_data()
        assert values.tolist() == report.histogram[kind]
        assert edges.tolist() == report.histogram["edges"]
    rejects, accepts = (patch.get_data() for patch in ax.patches if patch.get_hatch())
    assert rejects.edges[rejects.values.nonzero()[0]].min() >= report.threshold - 1e-12
    assert accepts.edges[accepts.values.nonzero()[0] + 1].max() <= report.threshold + 1e-12
    width = np.diff(report.histogram["edges"])[0]
    hatched = (rejects.values * np.diff(rejects.edges)).sum() / width
    assert hatched == pytest.approx(report.micro["false_reject_rate"], abs=max(report.histogram["similar"]))
    assert line_through(ax)[0].tolist() == [report.threshold] * 2
    assert "threshold 1.7" in legend_texts(ax)
    assert f"similar: {report.n_similar:,} pairs" in legend_texts(ax)


def test_distances_outside_are_counted_under_the_axis():
    assert plots.plot_distances(MANY["full"]()).get_xlabel() == "distance"
    label = plots.plot_distances(MANY["infinite"]()).get_xlabel()
    assert label == "distance\nfarther right: 33.3 % of the similar,\n66.7 % of the different pairs"
    ax = plots.plot_distances(plain_report((1.0, 1.1, 1.2, 1.3), (1.5, 1.6, -1e9, 1e9)))
    assert ax.get_xlabel().split("\n")[1:] == [
        f"farther {side}: 25 % of the different pairs" for side in ("left", "right")
    ]
    assert 0 < ax.get_xlim()[0] < ax.get_xlim()[1] < 2
    assert plots.plot_distances(MANY["all infinite"]()).texts[0].get_text() == "no finite distance"
