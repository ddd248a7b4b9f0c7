"""The scripts of `examples/`: they run with little data, and print and write what they promise."""

import json
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


def errors_in_table(text):
    """`{class: (training samples, error of each way to train)}`, percentages."""
    rows = re.findall(r"^(\S+) \*? +([\d,]+) +([\d.]+)% +([\d.]+)% +([\d.]+)%$", text, flags=re.MULTILINE)
    return {label: (int(n.replace(",", "")), *map(float, errors)) for label, n, *errors in rows}


def test_quickstart_on_the_digits_of_scikit_learn(run, tmp_path):  # slow: three trainings
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "folder"
    text = run("quickstart.py", "--epochs", 2, "--steps", 3, "--output", folder)
    rows = errors_in_table(text)
    assert sorted(rows) == [str(digit) for digit in range(10)]
    sizes = [n for n, *_ in rows.values()]
    assert sizes == sorted(sizes)
    assert 20 < sizes[-1] / sizes[0] <= 40  # about 30 to 1, in whole samples
    assert len(re.findall(r"^\S+ \* +[\d,]+ +[\d.]+% ", text, flags=re.MULTILINE)) == 4
    assert "equal error rate" in text
    result = json.loads((folder / "result.json").read_text())
    assert list(result["means"]) == ["plain", "siamese", "recipe"]
    for name in result["means"]:
        rare = [row[name] for row in result["per_class"] if row["rare"]]
        assert result["means"][name]["rare"] == pytest.approx(np.mean(rare))
    for row in result["per_class"]:
        errors = [100 * row[name] for name in result["means"]]
        assert rows[str(row["class"])] == pytest.approx((row["trained on"], *errors), abs=0.051)
    for name in ("per_class_error.png", "report.png"):
        assert (folder / name).read_bytes().startswith(PNG)
    verifier = keras.models.load_model(folder / "verifier.keras")
    assert [one.shape for one in verifier.inputs] == [(None, 8, 8, 1)] * 2
    right = int(re.search(r"verifier.keras, loaded again, is right for (\d+)% of 256", text)[1])
    assert 40 < right <= 100


def test_quickstart_on_vectors_with_many_text_labels(run, tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    labels = np.array([f"kind-{k:02d}" for k in range(33)])
    y = rng.permutation(np.repeat(labels, 16))
    x = rng.normal(size=(33, 5))[np.searchsorted(labels, y)] + rng.normal(size=(len(y), 5)) / 4
    np.savez(tmp_path / "vectors.npz", x=x, y=y[:, None])
    options = ("--imbalance", 4, "--epochs", 2, "--steps", 2, "--output", tmp_path)
    # vectors are not augmented, so the rarest classes fill their part of a batch with copies, and the user is told
    with pytest.warns(UserWarning, match="a batch holds copies of their samples"):
        text = run("quickstart.py", "--data", tmp_path / "vectors.npz", *options)
    assert len(errors_in_table(text)) == 30
    assert "... and 3 more common classes" in text
    assert (tmp_path / "verifier.keras").exists()


@pytest.mark.numpy_only
def test_quickstart_names_what_a_file_lacks(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    np.savez(tmp_path / "wrong.npz", x=np.zeros((40, 3)))
    with pytest.raises(SystemExit, match=r"must hold the arrays x and y. Missing: \['y'\]; it holds \['x'\]"):
        in_this_process("quickstart.py", "--data", tmp_path / "wrong.npz", "--output", tmp_path)
    assert not (tmp_path / "verifier.keras").exists()


def test_article_network(run):
    text = run("article_network.py", "--size", 16, "--batch-size", 4, "--epochs", 2, "--steps", 2)
    assert "1,813,632 parameters" in text  # the Flatten of the article would show here
    before, after = re.findall(r"^(?:before|after) training +([\d.]+) +([\d.]+)$", text, flags=re.MULTILINE)
    assert before != after
    assert "ROC AUC" in text
    assert float(re.search(r"distances differ by (\S+) at most", text)[1]) < 1e-5


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
