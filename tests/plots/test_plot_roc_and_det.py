from statistics import NormalDist

import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt
from plots.pictures import MANY, assert_fits, full_report, legend_texts, line_through, plain_report

pytestmark = pytest.mark.numpy_only


def mark(ax, marker):
    """The only point with this marker."""
    (line,) = (line for line in ax.lines if line.get_marker() == marker)
    return line.get_xydata()[0]


@pytest.mark.parametrize("log", [False, True])
def test_roc_is_the_curve_of_the_report(log):
    report = full_report()
    ax = plots.plot_roc(report, log=log)
    far, tar = line_through(ax, 1 if log else 0)
    np.testing.assert_allclose(far, np.maximum(report.curve["far"], ax.get_xlim()[0]))
    np.testing.assert_allclose(1 - tar, report.curve["frr"], atol=1e-12)
    known = np.array(report.curve["far"]) > 0 if log else np.full(len(far), True)
    np.testing.assert_array_equal(line_through(ax), np.where(known, [far, tar], np.nan))
    assert ax.lines[0].get_drawstyle() == ("steps-post" if log else "default")
    assert ax.get_xscale() == ("log" if log else "linear")
    assert mark(ax, "o").tolist() == pytest.approx([report.eer, 1 - report.eer])
    point = report.micro["false_accept_rate"], 1 - report.micro["false_reject_rate"]
    marked = [tuple(np.ravel(line.get_data())) for line in ax.lines if line.get_marker() == "D"]
    assert marked == [pytest.approx(point)]
    shown = [segment.ravel().tolist() for segment in ax.collections[0].get_segments()]
    bounds = report.intervals["micro"]
    for far in (0.1, 0.01):
        low, high = bounds[f"tar_at_far_{far:g}"]
        assert pytest.approx([far, low, far, high]) in shown


def test_a_perfect_roc_stays_inside_a_logarithmic_axis():
    ax = plots.plot_roc(plain_report((0.1,) * 5, (1.0,) * 200), log=True)
    x, y = mark(ax, "o")
    assert x == ax.get_xlim()[0] > 0
    assert y == 1


def test_det_places_by_probit_and_labels_in_percent():
    report = full_report()
    ax = plots.plot_det(report)
    far, frr = line_through(ax, 1)
    rates = np.array(report.curve["far"]), np.array(report.curve["frr"])
    inside = (rates[0] > 0) & (rates[1] <= 0.6) & (rates[1] > 0) & (rates[0] <= 0.6)
    assert inside.sum() > 50
    for place, rate in zip((far, frr), rates, strict=True):
        np.testing.assert_allclose(place[inside], [NormalDist().inv_cdf(r) for r in rate[inside]])
    assert np.isfinite([far, frr]).all()
    measured = (rates[0] > 0) & (rates[1] > 0)
    np.testing.assert_array_equal(line_through(ax), np.where(measured, [far, frr], np.nan))
    for axis in (ax.xaxis, ax.yaxis):
        ticks = axis.get_ticklocs()
        assert len(ticks) >= 4
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert [float(label) / 100 for label in labels] == pytest.approx([NormalDist().cdf(tick) for tick in ticks])
    equal = NormalDist().inv_cdf(report.eer)
    assert mark(ax, "o").tolist() == pytest.approx([equal, equal])
    diagonal = line_through(ax, -1)
    assert diagonal[0].tolist() == diagonal[1].tolist()


@pytest.mark.parametrize("threshold", [-1.0, 0.4, 9.0])
def test_det_contains_the_threshold_wherever_it_is(threshold):
    report = full_report(threshold=threshold)
    ax = plots.plot_det(report)
    (mark,) = (line for line in ax.lines if line.get_marker() == "D")
    (x,), (y,) = mark.get_data()
    assert ax.get_xlim()[0] < x < ax.get_xlim()[1]
    assert ax.get_ylim()[0] < y < ax.get_ylim()[1]
    rates = np.clip([report.micro["false_accept_rate"], report.micro["false_reject_rate"]], None, 0.99)
    known = rates > 0
    np.testing.assert_allclose(np.array([x, y])[known], [NormalDist().inv_cdf(rate) for rate in rates[known]])


def test_det_shows_the_whole_line_of_chance():
    ax = plots.plot_det(MANY["constant"]())
    far, frr = line_through(ax, 1)
    assert far.tolist() == pytest.approx((-frr).tolist())
    assert far.max() == pytest.approx(NormalDist().inv_cdf(0.99))


@pytest.mark.parametrize("plot", [plots.plot_roc, plots.plot_det])
def test_several_reports_differ_in_style_and_keep_names(plot):
    several = {"_first": full_report(), "$b$": plain_report(), "c" * 60: MANY["perfect"]()}
    ax = plot(several)
    assert_fits(ax.figure)
    texts = legend_texts(ax)
    assert texts[0].startswith("_first: ")
    assert texts[1].startswith("$b$: ")
    assert "EER 0 %" in texts[2]
    assert not any(text.get_parse_math() for text in ax.get_legend().get_texts())
    curves = [line for line in ax.lines if line.get_linewidth() == 2 and line.get_marker() == "None"]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 3
    assert len({line.get_linestyle() for line in curves}) == 3  # without colours too
    with pytest.raises(TypeError, match=r"Received: a mapping to \['int'\]"):
        plot({"a": 1})


@pytest.mark.parametrize(("plot", "kwargs"), [(plots.plot_det, {}), (plots.plot_roc, {"log": True})])
def test_no_solid_line_leads_where_the_table_says_not_measurable(plot, kwargs):
    rng = np.random.default_rng(0)
    report = plain_report(rng.normal(size=300), rng.normal(size=40) + 2)
    assert np.isnan(report.tar_at_far[0.01])
    ax = plot(report, **kwargs)
    smallest = NormalDist().inv_cdf(1 / 40) if plot is plots.plot_det else 1 / 40
    solid, dotted = line_through(ax, 0)[0], line_through(ax, 1)[0]
    assert np.nanmin(solid) == pytest.approx(smallest)
    assert dotted.min() < smallest
    assert ax.lines[1].get_linestyle() != "-"
    assert "rate of 0, off the scale" in legend_texts(ax)


def test_the_diagonal_of_a_det_is_at_45_degrees_wherever_it_is_drawn():
    report = full_report()
    page = plots.plot_report(plain_report(np.arange(50.0), np.arange(4000) + 30.0))
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    plots.plot_det(report, ax=left)
    plots.plot_roc(report, ax=right)
    for ax in (left, plots.plot_det(report), next(ax for ax in page.axes if ax.get_title() == "DET")):
        ax.figure.draw_without_rendering()
        (x0, y0), (x1, y1) = ax.transData.transform([(-2, -2), (0, 0)])
        assert (x1 - x0) == pytest.approx(y1 - y0, rel=1e-6)
