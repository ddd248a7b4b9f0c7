import copy
import sys

import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from plots.pictures import LONG, assert_fits, end_names, legend_texts, line_of

pytestmark = pytest.mark.numpy_only

GREY = "#999999"
SIX = ["cat", "dog", "fox", "owl", "lynx", "newt"]
COUNTS = {"cat": 900, "dog": 450, "fox": 300, "owl": 80, "lynx": 40, "newt": 20}


def made_up(classes, n_epochs=8, seed=0):
    """A history in which later classes have larger errors and get larger weights."""
    rng = np.random.default_rng(seed)
    records = []
    for epoch in range(n_epochs):
        errors = [0.1 + 0.3 * k / len(classes) + 0.02 * rng.uniform() for k in range(len(classes))]
        weights = [1.0 if epoch < 2 else float(0.5 + 2 * error + 0.1 * epoch) for error in errors]
        records.append(
            {
                "epoch": epoch,
                "errors": dict(zip(classes, errors, strict=True)),
                "weights": dict(zip(classes, weights, strict=True)),
            }
        )
    return records


def with_values(history, part, label, values):
    changed = copy.deepcopy(history)
    for record, value in zip(changed, values, strict=True):
        record[part][label] = value
    return changed


def test_lines_are_the_history_and_the_rarest_third_is_marked():
    history = made_up(SIX)
    figure = plots.plot_class_weights(history, class_counts=COUNTS)
    assert [ax.get_title() for ax in figure.axes] == ["Class weights", "Errors"]
    for ax, part in zip(figure.axes, ("weights", "errors"), strict=True):
        assert end_names(ax) == (
            ["newt *  (20)", "lynx *  (40)"],
            ["cat  (900)", "dog  (450)", "fox  (300)", "owl  (80)"],
        )
        for label in SIX:
            line = line_of(ax, label)
            assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
            assert line.get_ydata().tolist() == [record[part][label] for record in history]
            rare = label in ("lynx", "newt")
            assert (to_hex(line.get_color()) != GREY) == rare
            assert (line.get_linewidth() > 1.5) == rare
    assert to_hex(line_of(figure.axes[0], "newt").get_color()) == "#d55e00"
    assert len({line_of(figure.axes[0], label).get_color() for label in ("newt", "lynx")}) == 2
    assert figure.axes[1].get_xlabel() == "epoch\nclass (training samples), * rarest third"


def test_counts_may_be_the_labels():
    y = np.repeat(SIX, list(COUNTS.values()))
    figure = plots.plot_class_weights(made_up(SIX), class_counts=y)
    assert end_names(figure.axes[0])[0] == ["newt *  (20)", "lynx *  (40)"]


@pytest.mark.parametrize("counts", [None, dict.fromkeys(SIX, 50)])
def test_equal_or_no_counts_mark_the_largest_last_weights(counts):
    history = made_up(SIX)
    history[-1]["weights"].update(fox=9.0, cat=7.0)
    figure = plots.plot_class_weights(history, class_counts=counts)
    bold = [name.split("  ")[0] for name in end_names(figure.axes[0])[0]]
    assert bold == ["fox", "cat"]
    assert "in colour: the 2 largest weights of the last epoch" in figure.axes[1].get_xlabel()
    equal = plots.plot_class_weights(made_up(SIX, n_epochs=2))
    assert [len(part) for part in end_names(equal.axes[0])] == [0, 6]
    assert equal.axes[1].get_xlabel() == "epoch"


def test_highlight_marks_the_given_classes():
    figure = plots.plot_class_weights(made_up(SIX), class_counts=COUNTS, highlight=["dog", "newt", "dog"])
    assert end_names(figure.axes[0])[0] == ["dog  (450)", "newt *  (20)"]
    assert end_names(plots.plot_class_weights(made_up(SIX), highlight=[]).axes[0])[0] == []
    many = plots.plot_class_weights(made_up(range(60)), highlight=range(12), max_classes=3)
    assert end_names(many.axes[1]) == ([str(k) for k in range(12)], [])


@pytest.mark.parametrize("n", [100, 5000])
def test_many_classes_have_lines_if_rare_and_bands_if_not(n):
    classes = list(range(n))
    history = made_up(classes, n_epochs=5)
    history[2]["errors"].update(dict.fromkeys(range(0, n, 7), np.nan))
    counts = {k: 10 * n - 3 * k for k in classes}
    figure = plots.plot_class_weights(history, class_counts=counts)
    assert_fits(figure)
    upper, lower = figure.axes
    rarest = [f"{k} *  ({10 * n - 3 * k:,})" for k in range(n - 1, n - 11, -1)]
    assert end_names(upper) == end_names(lower) == (rarest, [])
    assert len(lower.lines) == 12
    table = np.array([list(record["errors"].values()) for record in history])
    for band, shares in zip(lower.collections, ((0.05, 0.95), (0.25, 0.75)), strict=True):
        low, high = np.nanquantile(table[:, : n - 10], shares, axis=1)
        corners = band.get_paths()[0].vertices
        for k in range(5):
            there = corners[corners[:, 0] == k + 1, 1]
            assert [there.min(), there.max()] == pytest.approx([low[k], high[k]])
    (dashed,) = (line for line in lower.lines if line.get_linestyle() == "--" and to_hex(line.get_color()) == "#000000")
    tail = table[:, n - -(-n // 3) :]
    np.testing.assert_allclose(dashed.get_ydata(), [sorted_median(row) for row in tail])
    texts = legend_texts(upper)
    assert f"9 of 10 of the {n - 10:,} other classes" in texts
    assert f"median of the rarest third, {-(-n // 3):,} classes" in texts
    assert f"the 10 rarest of {n:,} classes" in lower.get_xlabel()


def sorted_median(row):
    known = sorted(value for value in row if value == value)
    half = len(known) // 2
    return known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2


def test_some_more_classes_have_thin_lines_without_names():
    figure = plots.plot_class_weights(made_up(range(25)), class_counts={k: 100 - k for k in range(25)})
    assert len(end_names(figure.axes[0])[0]) == 9
    assert "16 other classes" in legend_texts(figure.axes[0])
    assert not figure.axes[0].collections
    assert not any("median" in text for text in legend_texts(figure.axes[0]))
    grey = [line for line in figure.axes[1].lines if to_hex(line.get_color()) == GREY]
    assert len(grey) == 16


def test_unknown_errors_leave_gaps_and_lone_points_a_mark():
    n = 40
    values = [0.2] * n
    values[:10] = [np.nan] * 10
    values[20] = values[22] = np.inf
    values[-5:] = [np.nan] * 5
    history = with_values(made_up(SIX, n), "errors", "newt", values)
    line = line_of(plots.plot_class_weights(history, class_counts=COUNTS).axes[1], "newt")
    assert np.flatnonzero(np.isnan(line.get_ydata())).tolist() == [*range(10), 20, 22, *range(35, 40)]
    assert line.get_markevery() == [21]


def test_classes_without_any_value_are_named_so():
    history = with_values(made_up(SIX), "errors", "newt", [np.nan] * 8)
    history = with_values(history, "weights", "cat", [0.0] * 8)
    figure = plots.plot_class_weights(history, class_counts=COUNTS)
    assert_fits(figure)
    assert "newt *  (20): not measured" in end_names(figure.axes[1])[0]
    assert "cat  (900): weight 0" in end_names(figure.axes[0])[1]
    for label in SIX:
        history = with_values(history, "errors", label, [np.nan] * 8)
    nothing = plots.plot_class_weights(history)
    assert_fits(nothing)
    assert "no error was measured" in [text.get_text() for text in nothing.axes[1].texts]


def test_crosses_stand_where_no_update_was_made():
    history = made_up(SIX)
    for record in history:
        record["skipped"] = None
    assert not any(text.startswith("no update") for text in legend_texts(plots.plot_class_weights(history).axes[0]))
    history[3]["skipped"] = history[4]["skipped"] = "too few $pairs_"
    ax = plots.plot_class_weights(history).axes[0]
    (crosses,) = (line for line in ax.lines if line.get_marker() == "x")
    assert crosses.get_xdata().tolist() == [4, 5]
    assert legend_texts(ax)[-1] == "no update: too few $pairs_"
    history[6]["skipped"] = "a long reason " * 10
    figure = plots.plot_class_weights(history)
    assert_fits(figure)
    assert legend_texts(figure.axes[0])[-1] == "no update: too few $pairs_ (and 1 more)"


def test_another_fit_is_counted_on():
    history = made_up(SIX, 3) + made_up(SIX, 2) + made_up(SIX, 4)[3:]
    figure = plots.plot_class_weights(history, class_counts=COUNTS)
    for ax in figure.axes:
        assert line_of(ax, "newt").get_xdata().tolist() == [1, 2, 3, 4, 5, 7]
        upright = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert upright == [3.5]
    resumed = plots.plot_class_weights(made_up(SIX, 6)[4:], class_counts=COUNTS)
    assert line_of(resumed.axes[0], "newt").get_xdata().tolist() == [5, 6]


def test_the_starting_weight_has_a_line():
    history = made_up(SIX)
    level = dict.fromkeys(SIX, 0.5)
    for start, height, text in ((level, 0.5, "starting weight 0.5"), ({**level, "cat": 2.0}, 1.0, "weight 1")):
        history[0]["weights"] = dict(start)
        ax = plots.plot_class_weights(history).axes[0]
        assert set(ax.lines[0].get_ydata()) == {height}
        assert legend_texts(ax)[0] == text


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.0), (0.97, 1.04), (0.6, 1.5), (0.2, 5.0), (1e-3, 40.0), (1e-12, 1e9)]
)
def test_weights_are_read_off_a_logarithmic_axis(low, high):
    history = made_up(SIX)
    history[-1]["weights"].update(cat=low, newt=high)
    figure = plots.plot_class_weights(history)
    ax = figure.axes[0]
    bottom, top = ax.get_ylim()
    ticks = ax.get_yticks()
    assert ax.get_yscale() == "log"
    assert bottom < low <= high < top
    assert 3 <= len(ticks) <= 14
    assert all(bottom <= tick <= top for tick in ticks)
    assert [float(label.get_text()) for label in ax.get_yticklabels()] == pytest.approx(ticks.tolist())
    assert_fits(figure)


@pytest.mark.parametrize("n_epochs", [1, 2, 60])
@pytest.mark.parametrize("n", [1, 2, 10, 41, 100])
def test_the_figure_fits_every_kind_of_history(n, n_epochs):
    labels = [*LONG, *range(100)][:n] if n <= 41 else list(range(n))
    history = made_up(labels, n_epochs)
    counts = {label: 1000 // (k + 1) for k, label in enumerate(labels)}
    for kwargs in ({}, {"class_counts": counts}, {"highlight": labels[:1]}):
        figure = plots.plot_class_weights(history, **kwargs)
        assert_fits(figure)
        ticks = [tick for tick in figure.axes[1].get_xticks() if 1 <= tick <= n_epochs]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)


def test_one_epoch_of_many_classes_has_visible_bands():
    figure = plots.plot_class_weights(made_up(range(200), 1), class_counts={k: k for k in range(200)})
    widths = [np.ptp(band.get_paths()[0].vertices[:, 0]) for band in figure.axes[1].collections]
    assert len(widths) == 2
    assert min(widths) > 0.2


def test_names_are_written_as_they_are():
    labels = ["$a$", "_b", "c\nd"]
    figure = plots.plot_class_weights(made_up(labels))
    bold, others = end_names(figure.axes[0])
    assert sorted(bold + others) == ["$a$", "_b", "c\\nd"]
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_history_and_rcparams_stay_unchanged():
    history, before = made_up(SIX), dict(mpl.rcParams)
    kept = copy.deepcopy(history)
    figure = plots.plot_class_weights(history, class_counts=COUNTS)
    assert plt.get_fignums() == [figure.number]
    assert dict(mpl.rcParams) == before
    assert history == kept
    with plt.style.context("dark_background"):
        dark = plots.plot_class_weights(history)
        assert {to_hex(text.get_color()) for text in dark.axes[0].texts} == {"#ffffff"}


def test_plot_class_weights_needs_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "keras-balanced-siamese\[plots\]"'):
        plots.plot_class_weights(made_up(SIX))


GOOD = made_up(SIX, 2)


@pytest.mark.parametrize(
    ("history", "kwargs", "error", "message"),
    [
        ([], {}, ValueError, r"must hold at least one epoch: .*callbacks=\[adaptive\].*Received: an empty history"),
        ({"class_weight/0": [1.0]}, {}, TypeError, r"`adaptive.history_`.*Received: history of type dict"),
        ("history", {}, TypeError, r"Received: history of type str"),
        (None, {}, TypeError, r"Received: history of type NoneType"),
        (
            [{"epoch": 0, "val_eer": 0.1}],
            {},
            TypeError,
            r"'weights': {class: weight}}.*Received: {'epoch': 0, 'val_eer",
        ),
        ([{**GOOD[0], "weights": {}}], {}, TypeError, r"a dict for each epoch"),
        ([{**GOOD[0], "epoch": "1"}], {}, TypeError, r"a dict for each epoch"),
        ([{**GOOD[0], "errors": {"cat": "high"}}], {}, TypeError, r"a dict for each epoch"),
        ([3], {}, TypeError, r"a dict for each epoch.*Received: 3"),
        (GOOD, {"highlight": ["cat", "cow"]}, ValueError, r"are 'cat', 'dog'.*\.\.\.. Received: \['cow'\]"),
        (GOOD, {"highlight": "cat"}, TypeError, r"list of class labels. Received: highlight='cat'"),
        (GOOD, {"highlight": 3}, TypeError, r"list of class labels. Received: highlight=3"),
        (GOOD, {"class_counts": [900, 20]}, ValueError, r"`class_counts` must be .*Received: counts of 20, 900"),
        (GOOD, {"class_counts": {"cat": -1}}, ValueError, r"`class_counts`.*Received: {'cat': -1}"),
        (GOOD, {"max_classes": 0}, ValueError, r"max_classes=0"),
        (GOOD, {"max_classes": 2.5}, TypeError, r"max_classes=2.5"),
    ],
)
def test_bad_history_or_arguments_raise(history, kwargs, error, message):
    with pytest.raises(error, match=message):
        plots.plot_class_weights(history, **kwargs)
    assert not plt.get_fignums()


def test_shares_are_labelled_shares():
    records = [{**record, "shares": record.pop("weights")} for record in made_up(SIX)]
    upper = kbs.plot_class_weights(records, class_counts=COUNTS).axes[0]
    assert upper.get_ylabel() == "share"
    assert "balanced, 0.167" in {text.get_text() for text in upper.figure.findobj(mpl.text.Text)}
    assert "Class shares" in {text.get_text() for text in upper.figure.findobj(mpl.text.Text)}
    assert any(np.allclose(line.get_ydata(), 1 / 6) for line in upper.get_lines())
