import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from neighbours.toy_embeddings import KINDS, lattices, noisy_classes

from keras_balanced_siamese.neighbours import _ranks, _retrieval, retrieval_scores

pytestmark = pytest.mark.numpy_only

KS = (1, 3)


def gap(a, b, distance):
    """Distance of two vectors in Python floats, without the last digits, in which rounding breaks ties."""
    if distance == "euclidean":
        return float(f"{math.sqrt(math.fsum((p - q) ** 2 for p, q in zip(a, b, strict=True))):.11e}")
    inner = math.fsum(p * q for p, q in zip(a, b, strict=True))
    lengths = math.sqrt(math.fsum(p * p for p in a)) * math.sqrt(math.fsum(q * q for q in b))
    return round(1 - inner / lengths, 10)


def slow_scores(embeddings, codes, ks, distance):
    """Scores by a loop over each ranking; at a tie, the other classes come first."""
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


@given(lattices(), st.sampled_from(["euclidean", "cosine"]))
def test_scores_equal_the_slow_ones_among_ties(data, distance):
    check(*data, distance)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_in_many_blocks_equal_the_slow_ones(kind, small_blocks):
    embeddings, codes = noisy_classes()
    check(KINDS[kind](embeddings), codes)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_in_one_block_equal_the_slow_ones(kind):
    embeddings, codes = noisy_classes(n=120)
    check(KINDS[kind](embeddings), codes)


@pytest.mark.parametrize("classes", [1, 2, 40, 100])
def test_few_and_many_classes(classes, small_blocks):
    embeddings, codes = noisy_classes(classes=classes)
    check(embeddings, codes)
    check(embeddings, codes, "cosine")


def test_queries_in_doubt_have_the_same_scores(small_blocks, monkeypatch):
    embeddings, codes = noisy_classes()
    searched, bound = [], _ranks.rounding_bound
    search = _ranks._ranks_among_ties
    monkeypatch.setattr(_ranks, "rounding_bound", lambda *args: bound(*args) + 1e-2)
    monkeypatch.setattr(_ranks, "_ranks_among_ties", lambda *args: searched.extend(args[2]) or search(*args))
    check(embeddings, codes)
    assert len(searched) > 50


def test_queries_without_ties_need_no_second_search(monkeypatch):
    embeddings, codes = noisy_classes()
    monkeypatch.delattr(_ranks, "_ranks_among_ties")
    check(embeddings, codes)


@pytest.mark.parametrize("others", [3, 5, 6, 30])
def test_ties_that_reach_beyond_the_depth(others):
    """Six items of the class, and others, are at the same distance from the query."""
    angles = np.arange(6 + others)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    check(np.concatenate([[[0.0, 0.0]], circle]), [0] * 7 + [1] * others)


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
    assert mixed["recall@10"][:2].tolist() == [1.0, 1.0]  # more than there are items


def test_order_of_the_items_does_not_matter():
    embeddings, codes = noisy_classes()
    order = np.random.default_rng(1).permutation(len(codes))
    before, after = retrieval_scores(embeddings, codes), retrieval_scores(embeddings[order], codes[order])
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values[order])


def test_the_size_of_the_blocks_does_not_matter(monkeypatch):
    embeddings, codes = noisy_classes(n=3000, classes=200, dim=16)
    embeddings = embeddings.astype(np.float32)
    expected = retrieval_scores(embeddings, codes)
    monkeypatch.setattr(_retrieval, "SCRATCH", 1_000_000)
    for name, values in retrieval_scores(embeddings, codes).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32"])
def test_the_dtype_of_the_codes_does_not_matter(dtype):
    """The largest code plus 1 overflows in the narrow types."""
    embeddings, codes = np.zeros((6, 1)), np.array([0, 1, 1, 0, 127, 127])
    codes = np.where(codes == 127, np.iinfo(dtype).max if dtype != "int32" else 127, codes)
    embeddings[4:] = 1.0
    check(embeddings, codes.astype(dtype))


@pytest.mark.parametrize("outlier", [1e4, 1e8, 1e14, 1e140])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_rounding_beside_an_outlier_changes_no_score(outlier, distance):
    embeddings, codes = noisy_classes(n=60)
    embeddings[7] *= outlier
    check(embeddings, codes, distance)


def test_a_distant_item_does_not_make_near_ones_doubtful(monkeypatch):
    embeddings, codes = noisy_classes(n=60, classes=3)
    embeddings[7] = 1e4
    monkeypatch.delattr(_ranks, "_ranks_among_ties")
    check(embeddings, codes, ks=(1, 59))


def test_equal_directions_are_ties_under_the_cosine_distance():
    rng = np.random.default_rng(0)
    directions = np.array([[0.3, 0.7, 1.1], [0.3, 0.7, 1.1 + 1e-14], [0.5, 0.1, 0.2]])
    check(rng.uniform(0.1, 9, size=(40, 1)) * directions[rng.integers(0, 3, 40)], rng.integers(0, 3, 40), "cosine")


@pytest.mark.parametrize(("farther", "recall"), [(5e-13, 0.0), (5e-12, 1.0)])
def test_the_tolerance_for_ties(farther, recall):
    """The item of the other class is farther by less or more than 1e-12: relative, and absolute for unit vectors."""
    codes = np.array([0, 0, 1])
    assert retrieval_scores([[0.0], [1.0], [-1.0 - farther]], codes, ks=(1,))["recall@1"][0] == recall
    angles = np.array([0.0, 1e-6, -1e-6 - farther])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert retrieval_scores(directions, codes, ks=(1,), distance="cosine")["recall@1"][0] == recall


@pytest.mark.parametrize("ks", [(), (1,), (500, 2)])
def test_any_number_of_ks(ks):
    check(*noisy_classes(n=30), ks=ks)


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
