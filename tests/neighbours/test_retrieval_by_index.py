"""Retrieval scores by an approximate index."""

import numpy as np
import pytest
from neighbours.toy_embeddings import noisy_classes

from keras_balanced_siamese.neighbours import retrieval_scores

pytestmark = pytest.mark.numpy_only


@pytest.fixture(params=["usearch", "faiss"])
def kind(request):
    """The name of an installed index."""
    pytest.importorskip(request.param)
    return request.param


def check(embeddings, codes, kind, tolerance=0.0, **kwargs):
    """The scores are those of an exact search, up to a mean difference."""
    found = retrieval_scores(embeddings, codes, index=kind, **kwargs)
    expected = retrieval_scores(embeddings, codes, **kwargs)
    assert list(found) == list(expected)
    for name in found:
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected[name]))
        assert np.nanmean(np.abs(found[name] - expected[name])) <= tolerance, name


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("n", [40, 600])
def test_scores_by_an_index_are_those_of_an_exact_search(kind, distance, n):
    embeddings, codes = noisy_classes(n=n, classes=n // 8, noise=0.5)
    check(embeddings + 10.0, codes, kind, 0.03, distance=distance, ks=(1, 3))


def test_in_many_blocks(kind, small_blocks):
    embeddings, codes = noisy_classes(n=200, classes=20, noise=0.5)
    check(embeddings, codes, kind, 0.03)


def test_ties_are_ranked_as_in_an_exact_search(kind):
    """Of 12 items on a line, each has neighbours of both classes at the same distance."""
    check(np.arange(12.0)[:, None], np.arange(12) // 2 % 2, kind)


def test_no_item_of_the_class_is_counted_where_ties_may_be_missing(kind):
    """400 items are equally far from the query; the index cannot list them all."""
    circle = np.exp(2j * np.pi * np.arange(400) / 400)
    embeddings = np.concatenate([[[0.0, 0.0]], np.stack([circle.real, circle.imag], axis=1)])
    codes = np.concatenate([[0, 0], np.arange(399) // 2 + 1])
    found = retrieval_scores(embeddings, codes, ks=(1,), index=kind)
    assert [found[name][0] for name in found] == [0, 0, 0]


def test_collapsed_embeddings_score_0(kind):
    found = retrieval_scores(np.ones((60, 3)), np.arange(60) % 3, index=kind)
    assert all((values == 0).all() for values in found.values())


@pytest.mark.parametrize("index", ["exact", "usearch"])
def test_some_queries(index):
    pytest.importorskip("usearch")
    embeddings, codes = noisy_classes(n=60, noise=0.5)
    every = retrieval_scores(embeddings, codes)
    some = retrieval_scores(embeddings, codes, index=index, queries=np.array([3, 50, 7]))
    for name, values in some.items():
        assert np.flatnonzero(np.isfinite(values)).tolist() == [3, 7, 50]
        np.testing.assert_allclose(values[[3, 7, 50]], every[name][[3, 7, 50]])
