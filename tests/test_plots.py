import ast
import dataclasses
import sys
import types
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese import plots
from keras_balanced_siamese.evaluation._reliability import reliability

pytest.importorskip("matplotlib")
import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex

RARE = "#d55e00"
REPORT_PLOTS = (plots.plot_distances, plots.plot_roc, plots.plot_det, plots.plot_per_class, plots.plot_reliability)


@pytest.fixture(autouse=True)
def _no_figure_stays():
    yield
    plt.close("all")


def pairs_of(n_classes, n=1200, names=None, seed=0):
    """Distances, truth, classes and samples, with later classes harder than the first ones."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n_classes), 20)
    samples = rng.integers(0, len(owner), (n, 2))
    one = rng.integers(0, n_classes, n // 2)
    samples[: n // 2] = one[:, None] * 20 + rng.integers(0, 20, (n // 2, 2))
    codes = owner[samples]
    similar = codes[:, 0] == codes[:, 1]
    distances = np.abs(rng.normal(size=n) * 0.6 + np.where(similar, 0.8 + codes.mean(1) / n_classes, 2.8))
    names = np.array(names or [f"class {k}" for k in range(n_classes)])
    return distances, similar, names[codes], samples, {str(name): 900 // (k + 1) for k, name in enumerate(names)}


def full_report(n_classes=4, names=None, threshold=1.7, **kwargs):
    distances, similar, classes, samples, counts = pairs_of(n_classes, names=names)
    found = kbs.evaluate_pairs(
        distances,
        similar,
        classes=classes,
        samples=samples,
        class_counts=counts,
        threshold=threshold,
        n_resamples=50,
        **kwargs,
    )
    probability = 1 / (1 + np.exp(2 * (distances - 1.7)))
    calibration = reliability(probability, similar, np.full(len(similar), 1 / len(similar)))
    return dataclasses.replace(found, calibration=calibration)


def plain_report(similar=(0.1, 0.2, 0.9), different=(0.3, 0.8, 1.0), **kwargs):
    return kbs.evaluate_pairs([*similar, *different], [1] * len(similar) + [0] * len(different), **kwargs)


LONG = [f"a family with $ and _ in its name / species number {k:03d}" for k in range(40)]
rng = np.random.default_rng(0)
MANY = {
    "full": lambda: full_report(),
    "long labels": lambda: full_report(40, names=LONG),
    "no calibration": lambda: dataclasses.replace(full_report(3, threshold=None), calibration={}),
    "no counts": lambda: dataclasses.replace(full_report(3), groups={}, class_counts={}, intervals={}, resampled=None),
    "embeddings": lambda: kbs.evaluate_embeddings(rng.normal(size=(90, 3)), np.arange(90) % 3),
    "no classes": lambda: plain_report(rng.normal(size=300), rng.normal(size=200) + 2),
    "no classes but calibrated": lambda: dataclasses.replace(plain_report(), calibration=full_report().calibration),
    "perfect": lambda: plain_report((0.1, 0.2, 0.3), (1.0, 1.1)),
    "constant": lambda: plain_report((1.0, 1.0), (1.0, 1.0, 1.0)),
    "the wrong way round": lambda: plain_report((2.0, 3.0), (0.1, 0.5)),
    "infinite": lambda: plain_report((0.1, 0.2, np.inf), (0.3, np.inf, np.inf)),
    "infinite threshold": lambda: plain_report((0.1, np.inf, np.inf), (np.inf, np.inf, np.inf)),
    "all infinite": lambda: plain_report((np.inf,) * 3, (np.inf,) * 3),
    "far threshold": lambda: plain_report(threshold=50.0),
    "a class without similar pairs": lambda: plain_report(
        classes=[["a", "a"], ["a", "a"], ["b", "b"], ["a", "b"], ["b", "a"], ["a", "c"]], class_counts={"a": 9, "b": 3}
    ),
}


def assert_fits(figure, spare=1.0):
    """Everything that is drawn lies inside the figure, and no two texts overlap."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    frame = figure.bbox
    for ax in figure.axes:
        box = ax.get_tightbbox(renderer)
        assert box.x0 >= -spare, ax.get_title()
        assert box.y0 >= -spare, ax.get_title()
        assert box.x1 <= frame.x1 + spare, ax.get_title()
        assert box.y1 <= frame.y1 + spare, ax.get_title()
    hidden = {id(text) for ax in figure.axes for text in hidden_labels(ax)}
    texts = [text for text in figure.findobj(mpl.text.Text) if text.get_visible() and text.get_text().strip()]
    texts = [text for text in texts if id(text) not in hidden]
    boxes = [(text.get_text(), mpl.text.Text.get_window_extent(text, renderer)) for text in texts]  # without leaders
    for name, box in boxes:
        assert frame.x0 - spare <= box.x0, name
        assert box.x1 <= frame.x1 + spare, name
        assert frame.y0 - spare <= box.y0, name
        assert box.y1 <= frame.y1 + spare, name
    for k, (name, box) in enumerate(boxes):
        for other, rival in boxes[:k]:
            wide = min(box.x1, rival.x1) - max(box.x0, rival.x0)
            high = min(box.y1, rival.y1) - max(box.y0, rival.y0)
            assert wide <= spare or high <= spare, (name, other)


def hidden_labels(ax):
    """Labels of ticks that are outside the view, and of axes that are switched off."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not (ax.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9):
                yield from (tick.label1, tick.label2)


def line_through(ax, k=0):
    return np.array(ax.lines[k].get_data(orig=True), float)


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("name", MANY)
def test_one_page_fits_whatever_the_report_holds(name):
    report = MANY[name]()
    figure = plots.plot_report(report)
    titles = [ax.get_title() for ax in figure.axes]
    assert_fits(figure)
    assert titles[:2] == ["Figures", "Distances"]
    assert ("Error by class" in titles) == bool(report.per_class)
    assert ("Error of common and rare classes" in titles) == bool(report.groups)
    assert any(title.startswith("Calibration") for title in titles) == bool(report.calibration)


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
def test_given_axes_come_back_and_nothing_else_changes(plot):
    report = full_report()
    figure, ax = plt.subplots(layout="constrained")
    before = dict(mpl.rcParams)
    assert plot(report, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]
    assert dict(mpl.rcParams) == before
    assert plot(report).figure is not figure


@pytest.mark.parametrize("plot", REPORT_PLOTS)
def test_wrong_arguments(plot):
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


def test_distances_show_the_histogram_the_threshold_and_the_errors():
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


def test_distances_tell_how_many_are_outside():
    assert plots.plot_distances(MANY["full"]()).get_xlabel() == "distance"
    label = plots.plot_distances(MANY["infinite"]()).get_xlabel()
    assert label == "distance\nfarther right: 33.3 % of the similar,\n66.7 % of the different pairs"
    ax = plots.plot_distances(plain_report((1.0, 1.1, 1.2, 1.3), (1.5, 1.6, -1e9, 1e9)))
    assert ax.get_xlabel().split("\n")[1:] == [
        f"farther {side}: 25 % of the different pairs" for side in ("left", "right")
    ]
    assert 0 < ax.get_xlim()[0] < ax.get_xlim()[1] < 2
    assert plots.plot_distances(MANY["all infinite"]()).texts[0].get_text() == "no finite distance"


@pytest.mark.parametrize("log", [False, True])
def test_roc_is_the_curve_of_the_report(log):
    report = full_report()
    ax = plots.plot_roc(report, log=log)
    far, tar = line_through(ax)
    np.testing.assert_allclose(far, np.maximum(report.curve["far"], ax.get_xlim()[0]))
    np.testing.assert_allclose(1 - tar, report.curve["frr"], atol=1e-12)
    assert ax.lines[0].get_drawstyle() == ("steps-post" if log else "default")
    assert ax.get_xscale() == ("log" if log else "linear")
    assert line_through(ax, 1).ravel().tolist() == pytest.approx([report.eer, 1 - report.eer])
    point = report.micro["false_accept_rate"], 1 - report.micro["false_reject_rate"]
    marked = [tuple(np.ravel(line.get_data())) for line in ax.lines if line.get_marker() == "D"]
    assert marked == [pytest.approx(point)]
    shown = [segment.ravel().tolist() for segment in ax.collections[0].get_segments()]
    bounds = report.intervals["micro"]
    for far in (0.1, 0.01):
        low, high = bounds[f"tar_at_far_{far:g}"]
        assert pytest.approx([far, low, far, high]) in shown


def test_roc_without_errors_stays_in_the_picture_on_a_logarithmic_axis():
    ax = plots.plot_roc(plain_report((0.1,) * 5, (1.0,) * 200), log=True)
    x, y = line_through(ax, 1)
    assert x[0] == ax.get_xlim()[0] > 0
    assert y[0] == 1


def test_det_has_probits_for_positions_and_percent_for_labels():
    report = full_report()
    ax = plots.plot_det(report)
    far, frr = line_through(ax)
    rates = np.array(report.curve["far"]), np.array(report.curve["frr"])
    inside = (rates[0] > 0) & (rates[1] <= 0.6) & (rates[1] > 0) & (rates[0] <= 0.6)
    assert inside.sum() > 50
    for place, rate in zip((far, frr), rates, strict=True):
        np.testing.assert_allclose(place[inside], [NormalDist().inv_cdf(r) for r in rate[inside]])
    assert np.isfinite([far, frr]).all()
    for axis in (ax.xaxis, ax.yaxis):
        ticks = axis.get_ticklocs()
        assert len(ticks) >= 4
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert [float(label) / 100 for label in labels] == pytest.approx([NormalDist().cdf(tick) for tick in ticks])
    equal = NormalDist().inv_cdf(report.eer)
    assert line_through(ax, 1).ravel().tolist() == pytest.approx([equal, equal])
    diagonal = line_through(ax, -1)
    assert diagonal[0].tolist() == diagonal[1].tolist()


@pytest.mark.parametrize("threshold", [-1.0, 0.4, 9.0])
def test_det_holds_the_threshold_wherever_it_is(threshold):
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
    far, frr = line_through(ax)
    assert far.tolist() == pytest.approx((-frr).tolist())
    assert far.max() == pytest.approx(NormalDist().inv_cdf(0.99))


@pytest.mark.parametrize("plot", [plots.plot_roc, plots.plot_det])
def test_several_reports_are_told_apart_and_named_as_they_are(plot):
    several = {"_first": full_report(), "$b$": plain_report(), "c" * 60: MANY["perfect"]()}
    ax = plot(several)
    assert_fits(ax.figure)
    texts = legend_texts(ax)
    assert texts[0].startswith("_first: ")
    assert texts[1].startswith("$b$: ")
    assert "EER 0 %" in texts[2]
    assert not any(text.get_parse_math() for text in ax.get_legend().get_texts())
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2 and line.get_zorder() > 0]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 3
    assert len({line.get_linestyle() for line in curves}) == 3  # without colours too
    with pytest.raises(TypeError, match=r"Received: a mapping to \['int'\]"):
        plot({"a": 1})


def test_reliability_shows_the_bins():
    report = full_report()
    ax = plots.plot_reliability(report)
    bins = report.calibration["bins"]
    points = ax.collections[-1]
    np.testing.assert_allclose(points.get_offsets(), np.stack([bins["probability"], bins["similar"]], axis=1))
    assert (points.get_sizes() / np.array(bins["weight"])).std() == pytest.approx(0, abs=1e-9)
    assert f"{report.calibration['expected_calibration_error']:.3f}" in ax.get_title()
    assert line_through(ax).tolist() == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match=r"no calibration: pass `threshold=layer`.*`calibrate`.*Received: .*0\.55"):
        plots.plot_reliability(plain_report())


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
        wanted = [list(bounds[label][figure]) for label in report.per_class if figure in bounds[label]]
        assert whiskers == wanted
        assert len(wanted) == (0 if figure == "roc_auc" else 6)


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


def test_of_many_classes_the_worst_are_shown_with_names_that_differ():
    report = full_report(40, names=LONG)
    ax = plots.plot_per_class(report, max_classes=7)
    assert len(rows(ax)) == len(set(rows(ax))) == 7
    assert all(len(row) < 40 for row in rows(ax))
    worst = sorted((row["error"] for row in report.per_class.values()), reverse=True)[:7]
    assert sorted((bar.get_width() for bar in ax.containers[0].patches), reverse=True) == worst
    assert "33 better classes are not shown" in ax.get_xlabel()
    unknown = plots.plot_per_class(report, "tar_at_far_0.0001", max_classes=7)
    assert "33 more classes are not shown" in unknown.get_xlabel()


def test_long_names_that_differ_in_the_middle_are_shortened_less():
    names = [f"a family of species {k} with a long last part" for k in range(3)]
    shown = rows(plots.plot_per_class(full_report(3, names=names)))
    assert len({row.split("  (")[0].removesuffix(" *") for row in shown}) == 3


def test_a_figure_that_is_not_known_for_a_class_is_said_to_be_so():
    ax = plots.plot_per_class(MANY["a class without similar pairs"]())
    assert rows(ax) == ["a  (9)", "b  (3)", "c *  (0)"]
    assert [text.get_text() for text in ax.texts] == ["not measurable"]
    assert ax.texts[0].xy == (0, 2)


def test_per_class_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match=r"no classes: pass `classes`"):
        plots.plot_per_class(plain_report())
    with pytest.raises(ValueError, match=r"must be one of \['roc_auc'.*Received: figure='n_similar'"):
        plots.plot_per_class(full_report(), "n_similar")
    with pytest.raises(ValueError, match="max_classes=0"):
        plots.plot_per_class(full_report(), max_classes=0)


def test_report_shows_the_groups_and_the_figures():
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


def test_report_keeps_the_global_settings_and_works_on_a_dark_background():
    report = full_report()
    before = dict(mpl.rcParams)
    plots.plot_report(report)
    assert dict(mpl.rcParams) == before
    with plt.style.context("dark_background"):
        ax = plots.plot_distances(report)
        assert to_hex(ax.lines[0].get_color()) == "#ffffff"


def test_pca_equals_the_eigenvectors_of_the_covariance():
    x = np.random.default_rng(0).normal(size=(60, 5)) @ np.diag([5, 3, 1, 1, 1])
    ax = plots.plot_embeddings(x, np.zeros(60, int))
    values, vectors = np.linalg.eigh(np.cov(x.T))
    wanted = (x - x.mean(axis=0)) @ vectors[:, [-1, -2]]
    signs = [vectors[np.abs(vectors[:, k]).argmax(), k] for k in (-1, -2)]
    np.testing.assert_allclose(ax.collections[0].get_offsets(), wanted * np.sign(signs), atol=1e-9)
    few = plots.plot_embeddings(x[:4], np.zeros(4, int))  # fewer samples than dimensions
    values_of_few, vectors_of_few = np.linalg.eigh(np.cov(x[:4].T))
    along = (x[:4] - x[:4].mean(axis=0)) @ vectors_of_few[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(few.collections[0].get_offsets()), np.abs(along), atol=1e-9)
    assert f"({100 * values_of_few[-1] / values_of_few.sum():.3g} % of" in few.get_xlabel()
    assert f"({100 * values[-1] / values.sum():.3g} % of the variance)" in ax.get_xlabel()
    assert f"({100 * values[-2] / values.sum():.3g} % of the variance)" in ax.get_ylabel()


def test_rare_classes_are_larger_and_on_top():
    labels = np.repeat(["common", "medium", "rare_$"], [30, 20, 3])
    x = np.random.default_rng(0).normal(size=(53, 3))
    ax = plots.plot_embeddings(x, labels)
    common, medium, rare = ax.collections
    assert rare.get_sizes()[0] > common.get_sizes()[0]
    assert rare.get_zorder() > max(common.get_zorder(), medium.get_zorder())
    assert len(rare.get_offsets()) == 3
    assert legend_texts(ax) == ["common  (30)", "medium  (20)", "rare_$ *  (3)"]
    assert_fits(ax.figure)
    by_training = plots.plot_embeddings(x, labels, class_counts={"common": 1, "medium": 5, "rare_$": 9})
    assert legend_texts(by_training) == ["rare_$  (9)", "medium  (5)", "common *  (1)"]
    given = plt.figure(layout="constrained").add_subplot()
    assert plots.plot_embeddings(x, labels, ax=given) is given


def test_of_many_classes_the_rarest_or_the_given_ones_have_colours():
    labels = np.repeat(np.arange(30), np.arange(31, 1, -1))
    x = np.random.default_rng(0).normal(size=(len(labels), 4))
    ax = plots.plot_embeddings(x, labels)
    assert_fits(ax.figure)
    assert len(legend_texts(ax)) == 21
    assert legend_texts(ax)[-2:] == ["29 *  (2)", "10 other classes"]
    assert sum(len(c.get_offsets()) for c in ax.collections) == len(labels)
    looks = {
        (to_hex(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes(), len(c.get_paths()[0]))
        for c in ax.collections
    }
    assert len(looks) == 21
    names = [f"a class that is number {k}" for k in range(50)]
    assert_fits(plots.plot_embeddings(x[:50], names, max_classes=50).figure)
    ax = plots.plot_embeddings(x, labels, highlight=[3, 29])
    assert legend_texts(ax) == ["3  (28)", "29 *  (2)", "28 other classes"]
    with pytest.raises(ValueError, match=r"`highlight`.*Received: \[77\]"):
        plots.plot_embeddings(x, labels, highlight=[77])


@pytest.mark.parametrize("shape", [(1, 3), (4, 1), (2, 2), (5, 3)])
def test_tiny_and_constant_embeddings(shape):
    assert_fits(plots.plot_embeddings(np.ones(shape), np.zeros(shape[0], int)).figure)
    assert_fits(plots.plot_embeddings(np.arange(np.prod(shape)).reshape(shape), np.arange(shape[0])).figure)


def test_other_maps(monkeypatch):
    x, labels = np.random.default_rng(0).normal(size=(6, 4)), [0, 0, 0, 1, 1, 1]
    ax = plots.plot_embeddings(x, labels, method=lambda points: points[:, 2:])
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), x[3:, 2:])
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        plots.plot_embeddings(x, labels, method="umap")
    asked = {}

    class UMAP:
        def __init__(self, **kwargs):
            asked.update(kwargs)

        def fit_transform(self, points):
            return points[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    assert plots.plot_embeddings(x, labels, method="umap", seed=5).get_xlabel() == "UMAP 1"
    assert asked["random_state"] == 5
    with pytest.raises(ValueError, match=r"must be 'pca', 'umap' or a callable. Received: method='tsne'"):
        plots.plot_embeddings(x, labels, method="tsne")
    with pytest.raises(ValueError, match=r"\(6, 2\). Received: shape \(6, 4\)"):
        plots.plot_embeddings(x, labels, method=lambda points: points)


def test_embeddings_refuse_bad_data():
    with pytest.raises(ValueError, match=r"Received: embeddings of shape \(3, 2\) and 2 labels"):
        plots.plot_embeddings(np.zeros((3, 2)), [0, 1])
    with pytest.raises(ValueError, match=r"finite.*Received: 1 of 2 embeddings"):
        plots.plot_embeddings([[0.0, np.nan], [0.0, 1.0]], [0, 1])


def image_pairs(n_images=12, m=40):
    rng = np.random.default_rng(0)
    sides = rng.integers(0, n_images, (m, 2))
    return sides, rng.uniform(size=m), np.arange(m) % 2


@pytest.mark.parametrize("kind", ["gray bytes", "one channel", "colour", "floats", "bool", "standardised", "list"])
def test_worst_pairs_are_those_with_the_most_wrong_distances(kind):
    rng = np.random.default_rng(0)
    images = {
        "gray bytes": rng.integers(0, 255, (12, 6, 6)).astype(np.uint8),
        "one channel": rng.uniform(size=(12, 6, 6, 1)),
        "colour": rng.integers(0, 255, (12, 6, 6, 3)).astype(np.uint8),
        "floats": rng.uniform(size=(12, 6, 6, 3)).astype(np.float32),
        "bool": rng.uniform(size=(12, 6, 6)) > 0.5,
        "standardised": rng.normal(size=(12, 6, 6)),
        "list": [rng.uniform(size=(4 + k, 5)) for k in range(12)],
    }[kind]
    sides, distances, similar = image_pairs()
    classes = np.where(similar[:, None] == 1, "a $ name that is very long indeed", [["left", "right"]])
    figure = plots.plot_worst_pairs(images, sides, distances[:, None], similar, n=5, threshold=0.9, classes=classes)
    if kind in ("colour", "list"):
        assert_fits(figure)
    worst = [*np.sort(distances[similar == 1])[::-1][:5], *np.sort(distances[similar == 0])[:5]]
    titles = [ax.get_title().split("\n") for ax in figure.axes]
    assert [title[0].split(" ")[0] for title in titles] == [f"{distance:.3g}" for distance in worst]
    wrong = [(d <= 0.9) != (k < 5) for k, d in enumerate(worst)]
    assert ["(wrong)" in title[0] for title in titles] == wrong
    assert 5 < sum(wrong) < 10
    assert titles[-1][1] == "left | right"
    for ax, distance in zip(figure.axes, worst, strict=True):
        left, right = sides[np.flatnonzero(distances == distance)[0]]
        for shown, position in zip(ax.images, (left, right), strict=True):
            array, original = np.asarray(shown.get_array(), float), np.squeeze(np.asarray(images[position], float))
            assert 0 <= array.min() <= array.max() <= 1
            assert np.corrcoef(array.ravel(), original.ravel())[0, 1] == pytest.approx(1)
            if kind == "gray bytes":
                np.testing.assert_allclose(array, original / 255)
            if kind in ("floats", "one channel"):
                np.testing.assert_allclose(array, original)


def test_worst_pairs_read_no_other_images():
    class Disk:
        read = ()

        def __len__(self):
            return 12

        def __getitem__(self, position):
            assert type(position) is int
            self.read = (*self.read, position)
            return np.zeros((3, 3))

    disk = Disk()
    sides, distances, similar = image_pairs()
    plots.plot_worst_pairs(disk, sides, distances, similar, n=1)
    assert len(disk.read) == len(set(disk.read)) <= 4


def test_worst_pairs_of_one_kind_only():
    layer = kbs.DistanceToProbability(1.0, 0.5)
    figure = plots.plot_worst_pairs(np.zeros((2, 3, 3)), [[0, 1]], [np.inf], [0], threshold=layer)
    assert [ax.get_title() for ax in figure.axes] == ["inf"]
    assert_fits(figure)
    assert figure.subfigs[0].get_suptitle().endswith("there are none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 9))}, r"Flat vectors become images.*Received: images\[\d\] of shape \(9,\)"),
        ({"images": np.zeros((4, 3, 8, 8))}, r"Channels must come last.*Received: images\[\d\] of shape \(3, 8, 8\)"),
        ({"images": np.zeros((4, 8, 8, 2))}, r"Received: images\[\d\] of shape \(8, 8, 2\)"),
        ({"images": ["a.png", "b.png", "c.png", "d.png"]}, r"load files first. Received: images\[\d\] of type str"),
        ({"pairs": [[0, 4], [1, 2]]}, r"positions from 0 to 3, as there are 4 images. Received: 0 to 4"),
        ({"pairs": [0, 1]}, r"Received: pairs of shape \(2,\)"),
        ({"pairs": [[0.0, 1.0], [1.0, 2.0]]}, r"whole numbers.*type float64"),
        ({"distances": [1.0]}, r"same length. Received: 1 distances, 2 labels"),
        ({"distances": [1.0], "similar": [1]}, r"same length. Received: 2 pairs and 1 distances"),
        ({"distances": np.eye(2)}, r"np.triu_indices"),
        ({"images": np.zeros((4, 8, 8, 4))}, r"`images\[..., :3\]`"),
        ({"threshold": "eer"}, r"`threshold` must be a finite distance, a layer"),
        ({"distances": [np.nan, 1.0]}, "must not be NaN"),
        ({"similar": [2, 1]}, "0 and 1 only"),
        ({"classes": ["a", "b"]}, r"`labels\[pairs\]`. Received: shape \(2,\) for 2 pairs"),
        ({"n": 0}, "n=0"),
    ],
)
def test_worst_pairs_explain_bad_input(change, message):
    good = {"images": np.zeros((4, 5, 5)), "pairs": [[0, 1], [1, 2]], "distances": [1.0, 2.0], "similar": [1, 0]}
    with pytest.raises((ValueError, TypeError), match=message):
        plots.plot_worst_pairs(**{**good, **change})
