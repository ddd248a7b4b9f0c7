"""Class names in tables, plots and lines of text: escaped, shortened, and not too many."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese._text import count_and_names, escaped, short_label, short_names
from keras_balanced_siamese.callbacks.adaptive._history import EpochRow

pytestmark = pytest.mark.numpy_only

BROKEN = ["two\nlines", "\x1b[31mred\x1b[0m", "back\rwards", "\u202eesrever", "tab\there", "bell\a", "\ud800"]
HOSTILE = [*BROKEN, "x" * 500]
SHOWN = ["two\\nlines", "\\x1b[31mred\\x1b[0m", "back\\rwards", "\\u202eesrever", "tab\\there", "bell\\x07", "\\ud800"]
LEGITIMATE = ["Größe", "猫", "a b", "a\u00a0b", "क्\u200dष", "👩\u200d🚀", "$x_1$", "C:\\new", "", "'quoted'"]


def raw(text):
    """Characters that move the cursor, hide or reorder text, apart from the line breaks of the table itself."""
    return [character for character in text if character != "\n" and not character.isprintable()]


def hostile_labels():
    return np.array([name for name in HOSTILE for _ in range(6)] + ["one sample\x1b[2J"], object)


def test_control_characters_are_escaped_and_nothing_else():
    assert [escaped(name) for name in BROKEN] == SHOWN
    assert [escaped(name) for name in LEGITIMATE] == LEGITIMATE
    assert (escaped(3), escaped(0.5), escaped(True)) == ("3", "0.5", "True")


def test_a_short_label_is_escaped_before_it_is_cut():
    assert short_label("\n" * 1_000_000, 24) == "\\n" * 7 + "…" + "n" + "\\n" * 4
    assert all(len(short_label(name, 24)) <= 24 for name in HOSTILE)
    assert short_names(["a\nb", "a b"]) == ["a\\nb", "a b"]
    assert short_names([]) == []


@pytest.mark.parametrize("kind", ["pairs", "batches"])
def test_describe_shows_hostile_names_escaped(kind):
    y = hostile_labels()
    x = np.zeros((len(y), 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if kind == "pairs":
            found = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0).describe()
        else:
            found = kbs.BalancedBatchSequence(x, y, classes_per_batch=4, samples_per_class=2, seed=0).describe()
    for text in (str(found), *(str(one.message) for one in caught)):
        assert raw(text) == []
    assert "one sample\\x1b[2J" in str(caught[0].message)
    lines = str(found).splitlines()
    assert len(lines) == 1 + 9 + 1 + len(found.notes)
    assert max(map(len, lines)) < 200
    assert all(any(name in line for line in lines) for name in SHOWN)
    assert set(found.to_dict()["per_class"]) == set(y)


def test_a_report_shows_hostile_names_escaped():
    y = hostile_labels()
    pairs = np.random.default_rng(0).integers(0, len(y), (400, 2))
    classes = np.stack([y[pairs[:, 0]], y[pairs[:, 1]]], axis=1)
    similar = classes[:, 0] == classes[:, 1]
    found = kbs.evaluate_pairs(np.arange(400.0), similar, classes=classes, n_resamples=0)
    assert raw(str(found)) == []
    assert repr(found) == str(found)
    assert all(any(line.startswith(name) for line in str(found).splitlines()) for name in SHOWN)
    assert max(map(len, str(found).splitlines())) < 200


@pytest.mark.parametrize("kind", ["pairs", "batches"])
def test_describe_of_many_classes_shows_the_most_common_and_the_rarest(kind):
    n_classes = 5_000
    y = np.concatenate([np.repeat(np.arange(n_classes), 2), np.repeat(np.arange(40), np.arange(40) + 1)])
    x = np.zeros((len(y), 1), np.float32)
    if kind == "pairs":
        found = kbs.BalancedPairSequence(x, y, batch_size=512, seed=0).describe()
    else:
        found = kbs.BalancedBatchSequence(x, y, classes_per_batch=8, samples_per_class=2, seed=0).describe()
    lines = str(found).splitlines()
    assert len(lines) < 80
    named = [line.split()[0] for line in lines[1:62]]
    assert named == [*(str(k) for k in range(39, 9, -1)), "...", *(str(k) for k in range(4970, 5000))]
    assert lines[62] == "... 4,940 of 5,000 classes are not shown; `to_dict()` has all"
    assert len(found.to_dict()["per_class"]) == len(found.per_class) == n_classes


def test_describe_of_sixty_classes_shows_all_in_their_order():
    y = np.repeat(np.arange(60), np.arange(2, 62))
    text = str(kbs.BalancedPairSequence(np.zeros((len(y), 1)), y, batch_size=64, seed=0).describe())
    assert [line.split()[0] for line in text.splitlines()[1:61]] == [str(k) for k in range(60)]
    assert "not shown" not in text


def test_the_line_of_an_epoch_is_one_short_line():
    for names in (HOSTILE, range(100_000)):
        adapted = SimpleNamespace(
            noun="weights", by_class=lambda values, names=names: dict(zip(names, values, strict=True))
        )
        line = EpochRow(0, adapted, np.empty(0), np.empty(0), None).line(np.ones(len(names)))
        assert raw(line) == []
        assert "\n" not in line
        assert len(line) < 400


def test_a_warning_names_few_classes_in_few_characters():
    text = count_and_names(HOSTILE * 100)
    assert raw(text) == []
    assert text.startswith("800 classes ('two\\nlines', '\\x1b[31mred\\x1b[0m', ")
    assert len(count_and_names(["x" * 5_000] * 9)) < 400
