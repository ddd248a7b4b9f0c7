"""The scripts of `examples/`: they run with little data, and print and write what they promise."""

import re
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from fresh_process import environment
from toy import BACKEND

import keras_balanced_siamese as kbs

EXAMPLES = Path(__file__).parents[1] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


def in_this_process(script, *options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, options)])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")


@pytest.fixture
def run(capfd, monkeypatch):
    """Run a script, and return what it and the processes that it starts print."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])

    def printed(script, *options):
        in_this_process(script, *options)
        return capfd.readouterr().out

    return printed


def test_quickstart_on_the_digits_of_scikit_learn(run, tmp_path):  # slow: three trainings
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "folder"
    text = run("quickstart.py", "--epochs", 2, "--steps", 3, "--output", folder)
    rows = re.findall(r"^(\d)( \*)? +(\d+) +([\d.]+)% +([\d.]+)% +([\d.]+)%$", text, flags=re.MULTILINE)
    assert sorted(digit for digit, *_ in rows) == [str(digit) for digit in range(10)]
    assert [star for _, star, *_ in rows] == [" *"] * 4 + [""] * 6
    sizes = [int(n) for _, _, n, *_ in rows]
    assert sizes == sorted(sizes)
    assert 20 < sizes[-1] / sizes[0] <= 40  # about 30 to 1, in whole samples
    errors = np.array([row[3:] for row in rows], "float64")
    for title, part in (("mean of rare classes \\*", errors[:4]), ("mean of the others", errors[4:])):
        means = re.search(rf"^{title} +([\d.]+)% +([\d.]+)% +([\d.]+)%$", text, flags=re.MULTILINE).groups()
        np.testing.assert_allclose(np.array(means, "float64"), part.mean(axis=0), atol=0.11)
    assert "equal error rate" in text
    for name in ("per_class_error.png", "report.png"):
        assert (folder / name).read_bytes().startswith(PNG)
    verifier = keras.models.load_model(folder / "verifier.keras")
    assert [one.shape for one in verifier.inputs] == [(None, 8, 8, 1)] * 2
    right = int(re.search(r"verifier.keras, loaded again, is right for (\d+)% of 256", text)[1])
    assert 40 < right <= 100


def test_article_network(run):
    text = run("article_network.py", "--size", 16, "--pairs", 32, "--epochs", 2)
    assert "1,813,632 parameters" in text  # the Flatten of the article would show here
    before, after = re.findall(r"^(?:before|after) training +([\d.]+) +([\d.]+)$", text, flags=re.MULTILINE)
    assert before != after
    assert len(re.findall("# Changed: ", (EXAMPLES / "article_network.py").read_text())) == 3
    assert "ROC AUC" in text
    assert float(re.search(r"distances differ by (\S+) at most", text)[1]) < 1e-5


def test_images_of_people_that_were_not_trained_on(run):
    text = run("images_of_people.py", "--people", 30, "--epochs", 2, "--steps", 10)
    assert re.findall(r"^(\S+) +(\d+) people", text, flags=re.MULTILINE) == [
        ("training", "18"),
        ("validation", "6"),
        ("test", "6"),
    ]
    before, after = map(float, re.findall(r"unseen people (?:before|after) training: +([\d.]+)", text))
    assert after < before - 0.05
    assert re.search(r"1 % false accepts: [\d.]+% false accepts, [\d.]+% false rejects", text)


def test_text_pairs_of_which_few_are_duplicates(run):
    text = run("text_pairs.py", "--pairs", 2000, "--epochs", 5)
    assert "5% of 2000 pairs are duplicates" in text
    assert float(re.search(r"^PR AUC +([\d.]+)$", text, flags=re.MULTILINE)[1]) > 0.25  # chance: 0.05
    found, right = map(int, re.search(r"(\d+) pairs found, (\d+)% of them duplicates", text).groups())
    assert found > 50
    assert right > 30


def test_image_and_table_are_better_than_each_alone(run):
    pytest.importorskip("sklearn")
    text = run("image_and_table.py", "--epochs", 3, "--steps", 15)
    image, table, both = (
        float(row[1]) for row in re.findall(r"^(image|table|image and table) +([\d.]+) ", text, flags=re.MULTILINE)
    )
    assert both < min(image, table) - 0.01


def test_fine_tuning_in_two_stages(run):
    pytest.importorskip("sklearn")
    text = run("fine_tuning.py", "--pretraining-epochs", 2, "--epochs", 1, "--steps", 10)
    frozen, all_layers = (float(eer) for eer in re.findall(r": EER ([\d.]+),", text))
    assert all_layers < frozen < 0.45


@pytest.mark.skipif(BACKEND == "tensorflow" and hasattr(keras, "ops"), reason="needs Keras 2.15")
def test_two_processes_have_the_losses_of_one(run):
    rows = re.findall(r"^ +\d+ +([\d.]+) +([\d.]+)$", run("two_processes.py"), flags=re.MULTILINE)
    one, two = np.array(rows, "float64").T
    assert len(rows) == 4
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert one[-1] < one[0]


@pytest.mark.skipif(BACKEND != "tensorflow" or not hasattr(keras, "ops"), reason="the others can")
def test_two_processes_say_that_keras_3_cannot_on_tensorflow():
    with pytest.raises(SystemExit, match="trains on one process only"):
        in_this_process("two_processes.py")


@pytest.mark.skipif(hasattr(keras, "ops"), reason="needs tensorflow-addons")
def test_beside_tensorflow_addons(run, tmp_path):
    pytest.importorskip("tensorflow_addons")
    text = run("beside_tensorflow_addons.py", "--output", tmp_path / "old.keras", "--epochs", 3)
    assert len(re.findall(r"^ +\d+ +[\d.]+ +[\d.]+ +[\d.]+$", text, flags=re.MULTILINE)) == 3
    assert float(re.search(r"equal error rate of new samples: ([\d.]+)", text)[1]) < 0.3
    assert type(kbs.load_legacy_model(tmp_path / "old.keras").loss) is kbs.WeightedContrastiveLoss
