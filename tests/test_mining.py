"""Harder partners: what changes, and what must not."""

from collections import Counter

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import clusters, compiled

import keras_balanced_siamese as kbs
from keras_balanced_siamese.callbacks._hard_pairs import Embedded, harder_pairs

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*instead of max_repeats:UserWarning", "ignore:.*form no pair:UserWarning"
)

rng = np.random.default_rng(0)


def drawn(counts, epoch=0, **kwargs):
    y = np.repeat(np.arange(len(counts)), counts)
    pairs = kbs.BalancedPairSequence(y, y, **{"batch_size": 20, "steps_per_epoch": 10, "seed": 1, **kwargs})
    pairs.set_epoch(epoch)
    return pairs.plan


def embed(plan, points=None, without=()):
    row = np.arange(len(plan.codes))
    row[list(without)] = -1
    return Embedded(rng.normal(size=(len(row), 3)) if points is None else points, row)


def mine(plan, embedded, share=1.0, candidates=32, skip=0.0, repeats=np.inf, seed=0):
    random = np.random.default_rng(seed)
    return harder_pairs(plan.pairs, plan.similar, plan.codes, embedded, share, candidates, skip, repeats, random)


@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=5).filter(lambda c: max(c) > 1),
    st.floats(0, 1),
    st.integers(1, 3),
)
def test_every_class_and_pair_of_classes_gets_what_it_was_promised(counts, share, repeats):
    plan = drawn(counts, max_repeats=repeats)
    found = mine(plan, embed(plan, without=[0]), share, repeats=repeats)
    np.testing.assert_array_equal(found.pairs[:, 0], plan.pairs[:, 0])
    np.testing.assert_array_equal(plan.codes[found.pairs], plan.codes[plan.pairs])
    assert (found.pairs[:, 0] != found.pairs[:, 1]).all()
    assert 0 not in found.pairs[found.changed]
    for kind in (0, 1):
        of_kind = plan.similar == kind
        assert found.changed[of_kind].sum() <= round(share * of_kind.sum())
    np.testing.assert_array_equal(np.isfinite(found.distance), found.changed)

    def most(pairs):
        return max(Counter(map(frozenset, pairs[plan.similar == 1].tolist())).values())

    assert most(found.pairs) <= max(repeats, most(plan.pairs))


def test_positives_are_far_and_negatives_semi_hard():
    plan = drawn([30, 20, 10], max_repeats=None)
    points = rng.normal(size=(60, 3)) + 2.0 * np.eye(3)[plan.codes]
    found = mine(plan, embed(plan, points), candidates=500)

    def distance(i, j):
        return np.linalg.norm(points[i] - points[j])

    for (i, j), similar in zip(found.pairs.tolist(), plan.similar, strict=True):
        others = [k for k in range(60) if plan.codes[k] == plan.codes[j] and k != i]
        if similar:
            assert distance(i, j) == pytest.approx(max(distance(i, k) for k in others))
        else:
            own = [distance(i, k) for k in range(60) if plan.codes[k] == plan.codes[i] and k != i]
            about = np.mean(own)
            beyond = [distance(i, k) for k in others if distance(i, k) > about]
            # the mean is that of 500 draws
            assert distance(i, j) <= min(beyond, default=np.inf) + 0.15
            assert distance(i, j) >= about - 0.15 or not beyond


def test_the_farthest_positives_are_taken_for_wrong_labels():
    plan = drawn([50, 50])
    points = rng.normal(size=(100, 3))
    points[7] += 100.0
    hard, careful = mine(plan, embed(plan, points)), mine(plan, embed(plan, points), skip=0.05)

    def visits(found):
        return (found.pairs[(plan.similar == 1) & found.changed] == 7).sum()

    assert visits(hard) > 20
    assert visits(careful) == 0


def test_half_of_the_pairs():
    plan = drawn([100, 100], max_repeats=None)
    found = mine(plan, embed(plan), share=0.5)
    assert 0.42 < found.changed.mean() <= 0.5


def train(epochs=5, initial_epoch=0, weights=None, **kwargs):
    x, y = clusters()
    keras.utils.set_random_seed(0)
    model = compiled()
    if weights is not None:
        model.set_weights(weights)
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    mining = kbs.HardPairMining(pairs, ramp_epochs=2, **kwargs)
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append([tuple(map(tuple, pairs.indices(i))) for i in range(len(pairs))])

    fit = {"epochs": epochs, "initial_epoch": initial_epoch, "verbose": 0, "shuffle": False}
    history = model.fit(
        pairs, callbacks=[mining, kbs.AdaptiveClassWeight(pairs, validation_data=(x, y)), Look()], **fit
    )
    return model, history.history, seen


def test_fit_ramps_up_and_reports():
    _, history, seen = train()
    fractions = history["mining/fraction"]
    assert fractions[0] == 0.0
    assert 0.1 < fractions[1] <= 0.27 < fractions[2] <= 0.52
    assert len(history["mining/negative_distance"]) == 4
    assert len(seen) == 5


def test_a_training_that_goes_on_mines_the_same_pairs():
    model, _, _ = train(epochs=3)
    _, _, whole = train(epochs=5)
    _, _, rest = train(epochs=5, initial_epoch=3, weights=model.get_weights())
    assert whole[3] == rest[0]


def test_every_second_epoch_embeds(monkeypatch):
    count = []
    embed_ = kbs.HardPairMining._embed
    monkeypatch.setattr(kbs.HardPairMining, "_embed", lambda self: count.append(1) or embed_(self))
    train(epochs=5, every=2)
    assert len(count) == 2


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_embeddings_are_those_of_the_encoder(distance):
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0, batch_transform=lambda batch: batch * 2)
    model = compiled()
    mining = kbs.HardPairMining(pairs, distance=distance, batch_size=7)
    mining.set_model(model)
    mining.on_train_begin()
    found = mining._embed()
    expected = mining.encoder_.predict(x * 2, verbose=0)
    if distance == "cosine":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    used = np.flatnonzero(found.row >= 0)
    assert set(used) == set(pairs.plan.pairs.reshape(-1))
    np.testing.assert_allclose(found.points[found.row[used]], expected[used], rtol=1e-4, atol=1e-5)


def test_output_that_is_not_finite_is_not_mined():
    x, y = clusters()
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    model = compiled()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.warns(UserWarning, match="No pairs are mined: the encoder's output is not finite"):
        history = model.fit(pairs, verbose=0, callbacks=[kbs.HardPairMining(pairs, warmup_epochs=0)]).history
    assert history["mining/fraction"] == [0.0]


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"fraction": 1.5}, ValueError, "`fraction` must be from 0 to 1"),
        ({"every": 0}, ValueError, "`every`"),
        ({"candidates": 0}, ValueError, "`candidates`"),
        ({"distance": "manhattan"}, ValueError, "'euclidean' or 'cosine'"),
        ({"encoder": "encoder"}, TypeError, "`encoder` must be a"),
    ],
)
def test_bad_arguments(kwargs, error, match):
    x, y = clusters()
    with pytest.raises(error, match=match):
        kbs.HardPairMining(kbs.BalancedPairSequence(x, y), **kwargs)


def test_bad_sequences_and_models():
    x, y = clusters()
    with pytest.raises(TypeError, match="`pairs` must be the `BalancedPairSequence`"):
        kbs.HardPairMining((x, y))
    with pytest.raises(ValueError, match="redraw=False"):
        kbs.HardPairMining(kbs.BalancedPairSequence(x, y, redraw=False))
    left, right = (keras.Input(x.shape[1:], name=name) for name in ("left", "right"))
    dense = keras.layers.Dense(2)
    flat = keras.Model((left, right), kbs.EuclideanDistance()([dense(left), dense(right)]))
    flat.compile("sgd", kbs.WeightedContrastiveLoss())
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8)
    with pytest.raises(ValueError, match=r"only layer of the model that is itself a model.*pass `encoder`"):
        flat.fit(pairs, verbose=0, callbacks=[kbs.HardPairMining(pairs)])
    encoder = keras.Sequential([keras.Input(x.shape[1:]), dense])
    flat.fit(pairs, verbose=0, callbacks=[kbs.HardPairMining(pairs, encoder=encoder)])
