import sys
import types

import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from plots.pictures import assert_fits, legend_texts

pytestmark = pytest.mark.numpy_only


def test_pca_equals_the_eigenvectors_of_the_covariance():
    x = np.random.default_rng(0).normal(size=(60, 5)) @ np.diag([5, 3, 1, 1, 1])
    ax = plots.plot_embeddings(x, np.zeros(60, int))
    values, vectors = np.linalg.eigh(np.cov(x.T))
    expected = (x - x.mean(axis=0)) @ vectors[:, [-1, -2]]
    signs = [vectors[np.abs(vectors[:, k]).argmax(), k] for k in (-1, -2)]
    np.testing.assert_allclose(ax.collections[0].get_offsets(), expected * np.sign(signs), atol=1e-9)
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


def test_many_classes_colour_the_rarest_or_the_given_ones():
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
def test_tiny_and_constant_embeddings_fit(shape):
    assert_fits(plots.plot_embeddings(np.ones(shape), np.zeros(shape[0], int)).figure)
    assert_fits(plots.plot_embeddings(np.arange(np.prod(shape)).reshape(shape), np.arange(shape[0])).figure)


def test_umap_and_callables_as_method(monkeypatch):
    x, labels = np.random.default_rng(0).normal(size=(6, 4)), [0, 0, 0, 1, 1, 1]
    ax = plots.plot_embeddings(x, labels, method=lambda points: points[:, 2:])
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), x[3:, 2:])
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        plots.plot_embeddings(x, labels, method="umap")
    received = {}

    class UMAP:
        def __init__(self, **kwargs):
            received.update(kwargs)

        def fit_transform(self, points):
            return points[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    assert plots.plot_embeddings(x, labels, method="umap", seed=5).get_xlabel() == "UMAP 1"
    assert received["random_state"] == 5
    with pytest.raises(ValueError, match=r"must be 'pca', 'umap' or a callable. Received: method='tsne'"):
        plots.plot_embeddings(x, labels, method="tsne")
    with pytest.raises(ValueError, match=r"\(6, 2\). Received: shape \(6, 4\)"):
        plots.plot_embeddings(x, labels, method=lambda points: points)


def test_embeddings_reject_bad_data():
    with pytest.raises(ValueError, match=r"Received: embeddings of shape \(3, 2\) and 2 labels"):
        plots.plot_embeddings(np.zeros((3, 2)), [0, 1])
    with pytest.raises(ValueError, match=r"finite.*Received: 1 of 2 embeddings"):
        plots.plot_embeddings([[0.0, np.nan], [0.0, 1.0]], [0, 1])


def legend_title(ax):
    return ax.get_legend().get_title().get_text()


def test_counts_of_training_samples_are_called_so():
    x, labels = np.random.default_rng(0).normal(size=(40, 2)), np.repeat(["a", "b"], [30, 10])
    assert legend_title(plots.plot_embeddings(x, labels)) == "class (samples)\n* rarest third"
    trained = plots.plot_embeddings(x, labels, class_counts={"a": 9000, "b": 50})
    assert legend_title(trained) == "class (training samples)\n* rarest third"
    assert legend_texts(trained) == ["a  (9,000)", "b *  (50)"]


def test_the_first_of_equally_common_classes_have_colours():
    x, labels = np.random.default_rng(0).normal(size=(120, 2)), np.repeat(np.arange(60), 2)
    ax = plots.plot_embeddings(x, labels)
    assert legend_texts(ax) == [*(f"{k}  (2)" for k in range(20)), "40 other classes"]
    assert legend_title(ax) == "class (samples)\nin colour: the first 20"
    tied = plots.plot_embeddings(x, labels, class_counts={k: 5 if k < 50 else 1 for k in range(60)}, max_classes=12)
    assert legend_texts(tied)[:3] == ["0  (5)", "1  (5)", "50 *  (1)"]
    assert legend_title(tied).endswith("in colour: the 12 rarest")
    chosen = plots.plot_embeddings(x, labels, highlight=[7])
    assert legend_title(chosen) == "class (samples)"
