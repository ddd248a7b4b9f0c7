"""`HardPairMining` in `fit`."""

import itertools

import keras
import numpy as np
import pytest
from toy import clusters, compiled

import keras_balanced_siamese as kbs


class Look(keras.callbacks.Callback):
    """Keeps the pairs of each epoch, and the weights of the model before it."""

    def __init__(self, pairs):
        super().__init__()
        self.sequence, self.pairs, self.weights = pairs, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.pairs.append([tuple(map(tuple, self.sequence.indices(i))) for i in range(len(self.sequence))])
        self.weights.append(self.model.get_weights())


def train(epochs=5, initial_epoch=0, weights=None, **kwargs):
    """Train with mining and adapted weights together; return the history and what `Look` kept."""
    x, y = clusters()
    keras.utils.set_random_seed(0)
    model = compiled()
    if weights is not None:
        model.set_weights(weights)
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    mining, look = kbs.HardPairMining(pairs, ramp_epochs=2, **kwargs), Look(pairs)
    fit = {"epochs": epochs, "initial_epoch": initial_epoch, "verbose": 0, "shuffle": False}
    callbacks = [mining, kbs.AdaptiveClassWeight(pairs, validation_data=(x, y)), look]
    return model.fit(pairs, callbacks=callbacks, **fit).history, look


@pytest.fixture(scope="module")
def whole():
    return train()


def test_fit_ramps_up_and_reports(whole):
    history, look = whole
    fractions = history["mining/fraction"]
    assert fractions[0] == 0.0
    assert 0.1 < fractions[1] <= 0.27 < fractions[2] <= 0.52
    assert len(history["mining/negative_distance"]) == 4
    assert len(look.pairs) == 5


def test_a_training_that_goes_on_mines_the_same_pairs(whole):
    _, look = whole
    _, rest = train(epochs=5, initial_epoch=3, weights=look.weights[3])
    assert all(one != other for one, other in itertools.pairwise(look.pairs))
    assert rest.pairs[0] == look.pairs[3]


def test_every_second_epoch_embeds(monkeypatch):
    count = []
    embed = kbs.HardPairMining._embed
    monkeypatch.setattr(kbs.HardPairMining, "_embed", lambda self: count.append(1) or embed(self))
    train(epochs=5, every=2)
    assert len(count) == 2


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_embeddings_are_those_of_the_encoder(distance, x, y):
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0, batch_transform=lambda batch: batch * 2)
    mining = kbs.HardPairMining(pairs, distance=distance, batch_size=7)
    mining.set_model(compiled())
    mining.on_train_begin()
    found = mining._embed()
    expected = mining.encoder_.predict(x * 2, verbose=0)
    if distance == "cosine":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    used = np.flatnonzero(found.row >= 0)
    assert set(used) == set(pairs.plan.pairs.reshape(-1))
    np.testing.assert_allclose(found.points[found.row[used]], expected[used], rtol=1e-4, atol=1e-5)


def test_output_that_is_not_finite_is_not_mined(x, y):
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
    model = compiled()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.warns(UserWarning, match="No pairs are mined: the encoder's output is not finite"):
        history = model.fit(pairs, verbose=0, callbacks=[kbs.HardPairMining(pairs, warmup_epochs=0)]).history
    assert history["mining/fraction"] == [0.0]


@pytest.mark.numpy_only
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
def test_bad_arguments_of_mining(kwargs, error, match, x, y):
    with pytest.raises(error, match=match):
        kbs.HardPairMining(kbs.BalancedPairSequence(x, y), **kwargs)


@pytest.mark.numpy_only
def test_mining_needs_a_sequence_that_redraws(x, y):
    with pytest.raises(TypeError, match="`pairs` must be the `BalancedPairSequence`"):
        kbs.HardPairMining((x, y))
    with pytest.raises(ValueError, match="redraw=False"):
        kbs.HardPairMining(kbs.BalancedPairSequence(x, y, redraw=False))


def test_an_encoder_that_cannot_be_found_can_be_given(x, y):
    left, right = (keras.Input(x.shape[1:], name=name) for name in ("left", "right"))
    dense = keras.layers.Dense(2)
    flat = keras.Model((left, right), kbs.EuclideanDistance()([dense(left), dense(right)]))
    flat.compile("sgd", kbs.WeightedContrastiveLoss())
    pairs = kbs.BalancedPairSequence(x, y, batch_size=8)
    with pytest.raises(ValueError, match=r"only layer of the model that is itself a model.*pass `encoder`"):
        flat.fit(pairs, verbose=0, callbacks=[kbs.HardPairMining(pairs)])
    encoder = keras.Sequential([keras.Input(x.shape[1:]), dense])
    flat.fit(pairs, verbose=0, callbacks=[kbs.HardPairMining(pairs, encoder=encoder)])
