import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_balanced_siamese.gallery import Gallery
from keras_balanced_siamese.neighbours import _exact, _retrieval, _tiles
from keras_balanced_siamese.neighbours._retrieval import retrieval_scores

KS = (1, 3)


def gap(a, b, distance):
    """Distance of two plain vectors, in Python floats, without the digits in which rounding breaks ties."""
    if distance == "euclidean":
        return float(f"{math.sqrt(math.fsum((p - q) ** 2 for p, q in zip(a, b, strict=True))):.11e}")
    inner = math.fsum(p * q for p, q in zip(a, b, strict=True))
    lengths = math.sqrt(math.fsum(p * p for p in a)) * math.sqrt(math.fsum(q * q for q in b))
    return round(1 - inner / lengths, 10)


def slow_scores(embeddings, codes, ks, distance):
    """Walk down each ranking; at a tie, the other classes go first."""
    vectors = np.asarray(embeddings, np.float64).tolist()
    scores = {name: [] for name in [*(f"recall@{k}" for k in ks), "r_precision", "map@r"]}
    for query, vector in enumerate(vectors):
        ranking = [
            (gap(vector, other, distance), code == codes[query])
            for item, (other, code) in enumerate(zip(vectors, codes, strict=True))
            if item != query
        ]
        ranking.sort()
        relevant = sum(hit for _, hit in ranking)
        if relevant == 0:
            for values in scores.values():
                values.append(math.nan)
            continue
        for k in ks:
            scores[f"recall@{k}"].append(float(any(hit for _, hit in ranking[:k])))
        hits, precision = 0, 0.0
        for rank, (_, hit) in enumerate(ranking[:relevant], start=1):
            hits += hit
            precision += hits / rank if hit else 0.0
        scores["r_precision"].append(hits / relevant)
        scores["map@r"].append(precision / relevant)
    return scores


def check(embeddings, codes, distance="euclidean", ks=KS):
    found = retrieval_scores(embeddings, np.asarray(codes), ks, distance)
    expected = slow_scores(embeddings, list(codes), ks, distance)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


@st.composite
def lattices(draw):
    """Embeddings on a small grid, away from the origin: ties and duplicates everywhere."""
    n, dim = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    rows = st.lists(st.integers(1, 3), min_size=dim, max_size=dim)
    return (
        np.array(draw(st.lists(rows, min_size=n, max_size=n)), np.float32),
        np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))),
    )


@given(lattices(), st.sampled_from(["euclidean", "cosine"]))
def test_scores_equal_the_slow_ones_among_ties(data, distance):
    check(*data, distance)


@pytest.fixture
def small(monkeypatch):
    """Tiles, samples and blocks so small that a few hundred items need many of them."""
    monkeypatch.setattr(_tiles, "TILE", 13)
    monkeypatch.setattr(_retrieval, "STEP", 17)
    monkeypatch.setattr(_retrieval, "SAMPLE", 2)
    monkeypatch.setattr(_retrieval, "SCRATCH", 5_000)
    monkeypatch.setattr(_exact, "SCRATCH", 5_000)
    monkeypatch.setattr(_exact, "GROUP", 3)


def clusters(n=160, classes=9, dim=6, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, classes, n)
    return rng.normal(size=(classes, dim))[codes] + noise * rng.normal(size=(n, dim)), codes


KINDS = {
    "plain": lambda x: x,
    "single precision": lambda x: x.astype(np.float32),
    "offset": lambda x: (x * 1e-3 + 1000).astype(np.float32),
    "offset in double precision": lambda x: x * 1e-9 + 1000,
    "duplicates": lambda x: np.resize(x[:30], x.shape),
    "half of them at one place": lambda x: np.where(np.arange(len(x))[:, None] % 2, x, 1.0),
    "an outlier": lambda x: np.where(np.arange(len(x))[:, None] == 7, 1e8, x),
    "far apart scales": lambda x: x * 10.0 ** (np.arange(len(x))[:, None] % 5),
    "tiny": lambda x: x * 1e-100,
    "huge": lambda x: x * 1e100,
    "ordered": lambda x: np.sort(x, axis=0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pending", [0, 2**30], ids=["each tile twice", "each tile once"])
def test_scores_equal_the_slow_ones_in_many_blocks(kind, pending, small, monkeypatch):
    monkeypatch.setattr(_tiles, "PENDING", pending)
    embeddings, codes = clusters()
    check(KINDS[kind](embeddings), codes)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_the_slow_ones_in_one_block(kind):
    embeddings, codes = clusters(n=120)
    check(KINDS[kind](embeddings), codes)


@pytest.mark.parametrize("classes", [1, 2, 40, 100])
def test_few_and_many_classes(classes, small):
    embeddings, codes = clusters(classes=classes)
    check(embeddings, codes)
    check(embeddings, codes, "cosine")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_precisions_of_the_rough_distances_are_used_and_agree(dtype, small, monkeypatch):
    embeddings, codes = clusters(n=300, classes=60)
    opened = []
    monkeypatch.setattr(
        _retrieval, "open_space", lambda points, _: opened.append(dtype) or _exact.open_space(points, dtype)
    )
    check(embeddings, codes)
    assert opened == [dtype]


def test_crowded_and_unlucky_queries_are_asked_one_by_one(small, monkeypatch):
    asked = []
    alone = _retrieval._one_by_one
    monkeypatch.setattr(_retrieval, "_one_by_one", lambda task, queries: asked.extend(queries) or alone(task, queries))
    monkeypatch.setattr(_retrieval, "_smallest", lambda halves, _: halves.min(axis=1))  # estimates that are too low
    embeddings, codes = clusters()
    check(embeddings, codes)
    assert len(asked) > 50


def test_perfect_and_collapsed_embeddings():
    codes = np.repeat(np.arange(4), 5)
    perfect = retrieval_scores(np.eye(4)[codes], codes)
    assert all((values == 1).all() for values in perfect.values())
    for distance in ("euclidean", "cosine"):
        collapsed = retrieval_scores(np.full((20, 3), 0.1), codes, distance=distance)
        assert all((values == 0).all() for values in collapsed.values())
    rays = np.random.default_rng(0).uniform(0.1, 9, size=(20, 1)) * np.array([0.3, 0.7, 1.1])  # one direction
    assert all((values == 0).all() for values in retrieval_scores(rays, codes, distance="cosine").values())


def test_nothing_to_find_is_nan():
    for codes in ([0], [0, 1, 2]):
        found = retrieval_scores(np.ones((len(codes), 2)), np.array(codes))
        assert all(np.isnan(values).all() for values in found.values())
    mixed = retrieval_scores([[0.0], [1.0], [9.0]], np.array([0, 0, 1]))
    assert np.isnan(mixed["map@r"]).tolist() == [False, False, True]
    assert mixed["recall@10"][:2].tolist() == [1.0, 1.0]  # more than there are


def test_order_of_the_items_does_not_matter():
    embeddings, codes = clusters()
    order = np.random.default_rng(1).permutation(len(codes))
    before, after = retrieval_scores(embeddings, codes), retrieval_scores(embeddings[order], codes[order])
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values[order])


def test_blocks_of_real_size_equal_those_of_any_other(monkeypatch):
    embeddings, codes = clusters(n=5000, classes=200, dim=16)
    embeddings = embeddings.astype(np.float32)
    whole = retrieval_scores(embeddings, codes)
    monkeypatch.setattr(_tiles, "TILE", 700)
    monkeypatch.setattr(_tiles, "PENDING", 0)
    for name, values in retrieval_scores(embeddings, codes).items():
        np.testing.assert_array_equal(values, whole[name])


def test_an_offset_does_not_cost_digits_of_the_rough_distances():
    points = np.random.default_rng(0).uniform(-1, 1, size=(50, 4))
    near, far = _exact.open_space(points), _exact.open_space(points + 1000)
    np.testing.assert_allclose(near.ask, far.ask, atol=1e-5)


def test_rough_distances_keep_their_bound():
    rng = np.random.default_rng(0)
    for offset, spread in ((0.0, 1.0), (1000.0, 1e-3), (1.0, 1e-12)):
        points = offset + spread * rng.normal(size=(200, 64)) * rng.uniform(0, 1, size=(200, 1))
        true = ((points[:, None] - points) ** 2).sum(axis=-1) / 2
        for dtype in (np.float32, np.float64):
            space = _exact.open_space(points, dtype)
            off = np.abs(space.ask @ space.answer.T - true / space.scale**2)
            bound = _exact.rounding_bound(space, space.norms, true.max(axis=1) / space.scale**2)
            assert (off <= bound[:, None] + 1e-14).all()
            assert (bound < 0.01 * space.norms.max() ** 2).all()  # and the bound says something


@pytest.mark.parametrize(
    ("embeddings", "codes", "kwargs", "match"),
    [
        ([[1.0], [math.nan]], [0, 0], {}, "must be finite.*Received: 1 of 2.*position 1"),
        ([[1.0], [math.inf]], [0, 0], {}, "must be finite"),
        ([1.0, 2.0], [0, 0], {}, r"shape \(n, d\)"),
        (np.zeros((2, 4, 4, 1)), [0, 0], {}, r"`encoder.predict\(images\)`"),
        ([[1.0], [2.0]], [0], {}, "one class per embedding"),
        ([[1.0], [2.0]], [0, 0], {"ks": (0,)}, "at least 1"),
        ([[1.0], [2.0]], [0, 0], {"distance": "manhattan"}, "must be one of"),
        ([[1.0], [0.0]], [0, 0], {"distance": "cosine"}, "length 0.*position 1"),
    ],
)
def test_bad_input(embeddings, codes, kwargs, match):
    with pytest.raises(ValueError, match=match):
        retrieval_scores(embeddings, np.array(codes), **kwargs)


def test_embeddings_that_are_not_numbers():
    with pytest.raises(TypeError, match="must hold numbers"):
        retrieval_scores([["a"]], np.array([0]))


def nearest(queries, items, k, distance="euclidean"):
    found = Gallery(items, [0] * len(items), distance=distance).search(queries, k)
    return found.distances, found.indices


@given(lattices(), lattices(), st.integers(1, 30))
def test_nearest_is_exact_and_prefers_the_lower_index(data, asked, k):
    items, queries = data[0], asked[0]
    k, dim = min(k, len(items)), min(items.shape[1], queries.shape[1])
    items, queries = items[:, :dim], queries[:, :dim]
    distances, indices = nearest(queries, items, k)
    for row, query in enumerate(queries.tolist()):
        expected = sorted((math.dist(query, item), index) for index, item in enumerate(items.tolist()))[:k]
        np.testing.assert_allclose(distances[row], [one for one, _ in expected], rtol=1e-15)
        assert indices[row].tolist() == [index for _, index in expected]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("kind", KINDS)
def test_nearest_equals_scikit_learn(kind, distance, small):
    neighbors = pytest.importorskip("sklearn.neighbors")
    items = KINDS[kind](clusters(n=200)[0])
    queries = items[::3] * 1.001
    distances, _ = nearest(queries, items, 7, distance)
    items, queries = (np.asarray(part, np.float64) for part in (items, queries))
    if distance == "cosine":  # through unit vectors: scikit-learn's own cosine cancels
        items, queries = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (items, queries))
    expected, _ = neighbors.NearestNeighbors(n_neighbors=7, algorithm="kd_tree").fit(items).kneighbors(queries)
    expected = expected if distance == "euclidean" else expected**2 / 2
    np.testing.assert_allclose(distances, expected, rtol=1e-9, atol=1e-30 if distance == "euclidean" else 1e-15)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_queries_that_are_too_far_off_for_single_precision():
    items = np.arange(5.0)[:, None]
    distances, indices = nearest([[1e30], [-1e100]], items, 2)
    assert indices.tolist() == [[0, 1], [0, 1]]  # all at the same distance, as far as float64 can tell
    np.testing.assert_allclose(distances[:, 0], [1e30, 1e100])
