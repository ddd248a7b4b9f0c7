"""The scripts of `examples/`: they run with little data, and print and write what they promise."""

import importlib.util
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


def shares(text, title):
    """The numbers of the row of a table with this title, percentages as shares."""
    row = re.search(rf"^{re.escape(title)} +(.+)$", text, flags=re.MULTILINE)[1]
    return [float(number) / (100 if percent else 1) for number, percent in re.findall(r"([\d.]+)(%?)", row)]


def test_name_rare_items(run):
    text = run("name_rare_items.py", "--epochs", 1, "--steps", 30)
    assert min(shares(text, "common, right name")) > 0.6
    one, three = shares(text, "rare, right name")
    assert three > one > 1 / 4  # by chance, 1 of 140
    assert min(shares(text, "strange, unknown")) > 0.7
    assert "Saved and opened again: 140 kinds" in text


def test_move_threshold(run):
    text = run("move_threshold.py", "--epochs", 2, "--steps", 60)
    threshold, far, frr, _ = shares(text, "validation")
    assert far == pytest.approx(0.01, abs=0.0011)
    old, old_far, old_frr, old_cost = shares(text, "field, old threshold")
    assert old == threshold
    assert old_frr > frr  # the field is harder
    moved, moved_far, moved_frr, _ = shares(text, "field, 1 % false accepts")
    cheap, *_, least_cost = shares(text, "field, least cost")
    assert moved != old
    assert moved_far < 0.03
    assert (moved > old) == (moved_far > old_far) == (moved_frr < old_frr)
    assert cheap not in (old, moved)
    assert least_cost < old_cost
    assert shares(text, "moved by hand")[0] == 0.75
    assert "The weights of the encoder are the same in both files: True" in text


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_tune_with_keras_tuner(run):
    pytest.importorskip("sklearn")
    pytest.importorskip("keras_tuner")
    text = run("tune_with_keras_tuner.py", "--trials", 2, "--epochs", 2, "--steps", 8)
    rows = re.findall(r"^ +\d+ +[\d.]+ +[\d.]+ +(?:natural|sqrt|balanced) +([\d.]+)$", text, flags=re.MULTILINE)
    errors = [float(error) for error in rows]
    assert len(errors) == 2
    assert errors[0] < errors[1]  # the lowest error is the best
    found = dict(re.findall(r"best model, (validation|test).*: ([\d.]+)$", text, flags=re.MULTILINE))
    assert float(found["validation"]) == errors[0]  # the weights of the best epoch of the best trial
    assert 0 < float(found["test"]) < 0.6


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # inside MLflow
def test_log_runs(run, tmp_path, monkeypatch):
    for package in ("sklearn", "matplotlib", "mlflow", "tensorboard"):
        pytest.importorskip(package)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a new data base takes ten seconds
    options = ("--epochs", 2, "--steps", 4, "--output", tmp_path, "--tracking-uri", (tmp_path / "mlruns").as_uri())
    text = run("log_runs.py", *options)
    assert "files ['report.json', 'siamese.keras']" in text
    (board,) = (tmp_path / "tensorboard").iterdir()
    report, train = (EventAccumulator(str(board / name)).Reload() for name in ("report", "train"))
    assert [image.step for image in report.Images("verification_report")] == [0, 1]
    logged = [float(make_ndarray(event.tensor_proto)) for event in train.Tensors("val_tail_eer")]
    assert len(logged) == 2
    (metric,) = (tmp_path / "mlruns").glob("*/*/metrics/val_tail_eer")
    written = [float(line.split()[1]) for line in metric.read_text().splitlines()]
    np.testing.assert_allclose(written, logged, rtol=1e-5)
    assert np.loadtxt(board / "train" / "vectors.tsv").shape == (400, 32)
    assert len((board / "train" / "labels.tsv").read_text().splitlines()) == 400
    assert (board / "train" / "images.png").read_bytes().startswith(PNG)
    config = (board / "train" / "projector_config.pbtxt").read_text()
    for name in ("vectors.tsv", "labels.tsv", "images.png"):
        assert name in config


# what each backend can export, and with which modules
EXPORTS = {
    "tensorflow": {"SavedModel": [], "ONNX": ["tf2onnx", "onnxruntime"], "LiteRT": ["ai_edge_litert"]},
    "jax": {"SavedModel": ["tensorflow"], "ONNX": ["jax2onnx", "onnxruntime"]},
    "torch": {"ONNX": ["onnx", "onnxruntime"], "LiteRT": ["litert_torch", "ai_edge_litert"]},
}


@pytest.mark.skipif(tuple(map(int, keras.__version__.split(".")[:2])) < (3, 13), reason="needs Keras 3.13")
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")  # Keras's patch of tf2onnx
@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python", "ignore:torch.as_tensor results")  # PyTorch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras uses the older export of PyTorch
def test_export_model(run):
    pytest.importorskip("sklearn")
    text = run("export_model.py", "--epochs", 1, "--steps", 10)
    rows = dict(re.findall(r"^(SavedModel|ONNX|LiteRT) +(.+)$", text, flags=re.MULTILINE))
    assert list(rows) == ["SavedModel", "ONNX", "LiteRT"]
    for name, row in rows.items():
        if name not in EXPORTS[BACKEND]:
            assert row == f"not written: Keras has no {name} export on the backend {BACKEND}"
        elif all(importlib.util.find_spec(package) for package in EXPORTS[BACKEND][name]):
            difference, others = re.search(r"probability (\S+), other decisions (\d+) of 64", row).groups()
            assert (float(difference) < 1e-5, others) == (True, "0")
        else:
            assert row.startswith("not written: pip install ")
