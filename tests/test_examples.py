import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


def run(script, *options):
    """The finished process; it inherits the environment, and so the backend."""
    command = [sys.executable, str(EXAMPLES / script), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=EXAMPLES.parent)


def errors_in_table(text):
    """`{class: (training samples, error before, error after)}`, percentages."""
    rows = re.findall(r"^(\S+) \*? +([\d,]+) +([\d.]+)% +([\d.]+)%$", text, flags=re.MULTILINE)
    return {label: (int(n.replace(",", "")), float(before), float(after)) for label, n, before, after in rows}


def test_quickstart_on_the_digits_of_scikit_learn(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    done = run("quickstart.py", "--epochs", 2, "--steps", 3, "--output", tmp_path / "new" / "folder")
    assert done.returncode == 0, done.stderr
    rows = errors_in_table(done.stdout)
    assert sorted(rows) == [str(digit) for digit in range(10)]
    sizes = [n for n, _, _ in rows.values()]
    assert sizes == sorted(sizes)
    assert 20 < sizes[-1] / sizes[0] <= 40  # about 30 to 1, in whole samples
    assert len(re.findall(r"^\S+ \* +[\d,]+ +[\d.]+% ", done.stdout, flags=re.MULTILINE)) == 4
    assert "equal error rate" in done.stdout
    for name in ("per_class_error.png", "report.png"):
        assert (tmp_path / "new" / "folder" / name).read_bytes().startswith(PNG)
    assert (tmp_path / "new" / "folder" / "verifier.keras").stat().st_size > 1000
    # what the fresh process printed
    decisions = re.findall(r"\S+ and \S+ +probability ([\d.]+)  -> (same|different) +(right|WRONG)", done.stdout)
    assert len(decisions) == 8
    clear = [(float(p), decision) for p, decision, _ in decisions if abs(float(p) - 0.5) > 0.001]  # 3 digits
    assert all((decision == "same") == (p > 0.5) for p, decision in clear)
    assert "operating point 'eer'" in done.stdout
    assert float(re.search(r"before saving by (\S+) at most", done.stdout)[1]) < 1e-5


def test_quickstart_on_vectors_with_many_classes_of_text_labels(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.array([f"kind-{k:02d}" for k in range(33)])
    y = rng.permutation(np.repeat(labels, 16))
    x = rng.normal(size=(33, 5))[np.searchsorted(labels, y)] + rng.normal(size=(len(y), 5)) / 4
    np.savez(tmp_path / "vectors.npz", x=x, y=y[:, None])
    options = ("--imbalance", 4, "--epochs", 1, "--steps", 3, "--output", tmp_path)
    done = run("quickstart.py", "--data", tmp_path / "vectors.npz", *options)
    assert done.returncode == 0, done.stderr
    assert len(errors_in_table(done.stdout)) == 30
    assert "... and 3 more common classes" in done.stdout
    assert "probability" in done.stdout.split("A fresh process")[1]
    assert (tmp_path / "verifier.keras").exists()


def test_quickstart_says_what_a_file_lacks(tmp_path):
    np.savez(tmp_path / "wrong.npz", x=np.zeros((40, 3)))
    done = run("quickstart.py", "--data", tmp_path / "wrong.npz", "--output", tmp_path)
    assert done.returncode == 1
    assert "must hold the arrays x and y. Missing: ['y']; it holds ['x']" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "verifier.keras").exists()


def test_article_network():
    done = run("article_network.py", "--size", 16, "--batch-size", 4, "--epochs", 2, "--steps", 2)
    assert done.returncode == 0, done.stderr
    assert "1,813,632 parameters" in done.stdout  # the Flatten of the article would show here
    before, after = re.findall(r"^(?:before|after) training +([\d.]+) +([\d.]+)$", done.stdout, flags=re.MULTILINE)
    assert before != after
    assert "ROC AUC" in done.stdout
    assert float(re.search(r"distances differ by (\S+) at most", done.stdout)[1]) < 1e-5
