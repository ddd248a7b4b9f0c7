import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neighbours.toy_embeddings import KINDS, lattices, noisy_classes

from keras_balanced_siamese.neighbours import (
    as_points,
    make_search_space,
    nearest_neighbours,
    rounding_bound,
    to_distance,
)

pytestmark = pytest.mark.numpy_only


def nearest(queries, items, k, distance="euclidean"):
    space = make_search_space(as_points(items, distance))
    squares, indices = nearest_neighbours(space, as_points(queries, distance), k)
    return to_distance(squares, distance), indices


@given(lattices(), lattices(), st.integers(1, 30))
def test_nearest_is_exact_and_prefers_the_lower_index(known, new, k):
    items, queries = known[0], new[0]
    k, dim = min(k, len(items)), min(items.shape[1], queries.shape[1])
    items, queries = items[:, :dim], queries[:, :dim]
    distances, indices = nearest(queries, items, k)
    for row, query in enumerate(queries.tolist()):
        expected = sorted((math.dist(query, item), index) for index, item in enumerate(items.tolist()))[:k]
        np.testing.assert_allclose(distances[row], [one for one, _ in expected], rtol=1e-15)
        assert indices[row].tolist() == [index for _, index in expected]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", KINDS)
def test_nearest_equals_scikit_learn(kind, distance, small_blocks):
    neighbors = pytest.importorskip("sklearn.neighbors")
    items = KINDS[kind](noisy_classes(n=200)[0])
    queries = items[::3] * 1.001
    distances, _ = nearest(queries, items, 7, distance)
    items, queries = (np.asarray(part, np.float64) for part in (items, queries))
    if distance == "cosine":  # through unit vectors: scikit-learn's own cosine cancels
        items, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (items, queries))
    expected, _ = neighbors.NearestNeighbors(n_neighbors=7, algorithm="kd_tree").fit(items).kneighbors(queries)
    expected = expected if distance == "euclidean" else expected**2 / 2
    np.testing.assert_allclose(distances, expected, rtol=1e-9, atol=1e-30 if distance == "euclidean" else 1e-15)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_queries_too_far_away_for_single_precision():
    items = np.arange(5.0)[:, None]
    distances, indices = nearest([[1e30], [-1e100]], items, 2)
    assert indices.tolist() == [[0, 1], [0, 1]]  # all at the same distance in float64
    np.testing.assert_allclose(distances[:, 0], [1e30, 1e100])


def test_an_offset_does_not_change_the_rough_distances():
    points = np.random.default_rng(0).uniform(-1, 1, size=(50, 4))
    near, far = make_search_space(points), make_search_space(points + 1000)
    np.testing.assert_allclose(near.query_side, far.query_side, atol=1e-5)


def test_rough_distances_keep_their_bound():
    rng = np.random.default_rng(0)
    for offset, spread in ((0.0, 1.0), (1000.0, 1e-3), (1.0, 1e-12)):
        points = offset + spread * rng.normal(size=(200, 64)) * rng.uniform(0, 1, size=(200, 1))
        true = ((points[:, None] - points) ** 2).sum(axis=-1) / 2
        for dtype in (np.float32, np.float64):
            space = make_search_space(points, dtype)
            off = np.abs(space.query_side @ space.item_side.T - true / space.scale**2)
            bound = rounding_bound(space, space.norms, true.max(axis=1) / space.scale**2)
            assert (off <= bound[:, None] + 1e-14).all()
            assert (bound < 0.01 * space.norms.max() ** 2).all()  # and is not trivial
