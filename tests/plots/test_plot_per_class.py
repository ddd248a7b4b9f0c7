import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex
from plots.pictures import LONG, MANY, full_report, line_through, plain_report

pytestmark = pytest.mark.numpy_only

RARE = "#d55e00"


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_bars_are_the_figures_and_whiskers_the_intervals():
    report = full_report(6)
    for figure in ("error", "false_reject_rate", "roc_auc"):
        ax = plots.plot_per_class(report, figure)
        bars = ax.containers[0].patches
        assert [bar.get_width() for bar in bars] == [row[figure] for row in report.per_class.values()]
        assert line_through(ax, -1)[0].tolist() == [report.macro[figure]] * 2
        whiskers = [segment[:, 0].tolist() for c in ax.collections for segment in c.get_segments()]
        bounds = report.intervals["per_class"]
        expected = [list(bounds[label][figure]) for label in report.per_class if figure in bounds[label]]
        assert whiskers == expected
        assert len(expected) == (0 if figure == "roc_auc" else 6)


def test_the_tail_is_marked_by_colour_star_and_band():
    report = full_report(6)
    ax = plots.plot_per_class(report)
    assert rows(ax)[0] == "class 0  (900)"
    assert rows(ax)[-1] == "class 5 *  (150)"
    assert [" *" in row for row in rows(ax)] == [
        label in report.groups["tail"]["classes"] for label in report.per_class
    ]
    bars = ax.containers[0].patches
    assert [to_hex(bar.get_facecolor()) == RARE for bar in bars] == [" *" in row for row in rows(ax)]
    bands = [patch for patch in ax.patches if patch not in bars]
    spans = [np.ptp(ax.transData.inverted().transform(band.get_window_extent()), axis=0) for band in bands]
    middles = [ax.transData.inverted().transform(band.get_window_extent()).mean(axis=0)[1] for band in bands]
    assert middles == pytest.approx([4, 5])
    assert [high for _, high in spans] == pytest.approx([1, 1])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the most common on top


def test_without_counts_the_worst_class_is_on_top():
    report = MANY["no counts"]()
    for figure, sign in (("error", -1), ("min_dcf_1_1_0.001", -1), ("roc_auc", 1)):
        widths = [bar.get_width() for bar in plots.plot_per_class(report, figure).containers[0].patches]
        assert widths == sorted(widths, key=lambda width, sign=sign: sign * width)
    n = sum(report.per_class["class 2"][name] for name in ("n_similar", "n_different"))
    assert f"class 2  ({n:,})" in rows(plots.plot_per_class(report))


def test_many_classes_show_the_worst_with_distinct_names():
    report = full_report(40, names=LONG)
    ax = plots.plot_per_class(report, max_classes=7)
    assert len(rows(ax)) == len(set(rows(ax))) == 7
    assert all(len(row) < 40 for row in rows(ax))
    worst = sorted((row["error"] for row in report.per_class.values()), reverse=True)[:7]
    assert sorted((bar.get_width() for bar in ax.containers[0].patches), reverse=True) == worst
    assert ax.get_title() == "Error by class\n(the 7 worst of 40)"
    assert plots.plot_per_class(report, max_classes=40).get_title() == "Error by class"
    unknown = plots.plot_per_class(report, "tar_at_far_0.0001", max_classes=7)
    assert unknown.get_title().endswith("\n(7 of 40)")


def test_names_that_differ_in_the_middle_are_cut_less():
    names = [f"a family of species {k} with a long last part" for k in range(3)]
    shown = rows(plots.plot_per_class(full_report(3, names=names)))
    assert len({row.split("  (")[0].removesuffix(" *") for row in shown}) == 3


def test_an_unknown_figure_reads_not_measurable():
    ax = plots.plot_per_class(MANY["a class without similar pairs"]())
    assert rows(ax) == ["a  (9)", "b  (3)", "c *  (0)"]
    assert [text.get_text() for text in ax.texts] == ["not measurable"]
    assert ax.texts[0].xy == (0, 2)


def test_per_class_rejects_what_it_cannot_draw():
    with pytest.raises(ValueError, match=r"must have classes: pass `classes`.*Received: a report without classes"):
        plots.plot_per_class(plain_report())
    with pytest.raises(ValueError, match=r"must be one of \['roc_auc'.*Received: figure='n_similar'"):
        plots.plot_per_class(full_report(), "n_similar")
    with pytest.raises(ValueError, match="max_classes=0"):
        plots.plot_per_class(full_report(), max_classes=0)
