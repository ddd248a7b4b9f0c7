"""Sequences as a `tf.data.Dataset`, which differs between versions of TensorFlow: so these tests run on each lane."""

import numpy as np
import pytest
from sampling.epochs import build_batches

from keras_balanced_siamese import BalancedPairSequence

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.filterwarnings("ignore:.*instead of max_repeats:UserWarning")

COUNTS = {"common": 50, "medium": 20, "rare": 5}
Y = np.repeat(list(COUNTS), list(COUNTS.values()))
X = np.random.default_rng(0).normal(size=(len(Y), 3)).astype("float32")


def build(x=X, **kwargs):
    return BalancedPairSequence(x, Y, **{"batch_size": 5, "seed": 1, **kwargs})


def test_tf_dataset_of_pairs_holds_the_batches():
    pairs = build(x=(X, {"wide": X[:, None]}), batch_size=8)
    data = pairs.to_tf_dataset()
    assert int(data.cardinality()) == len(pairs) == 10
    for epoch in range(2):
        pairs.set_epoch(epoch)
        for index, ((left, right), similar, weight) in enumerate(data):
            i, j, expected = pairs.indices(index)
            np.testing.assert_array_equal(left[0], X[i])
            np.testing.assert_array_equal(right[1]["wide"][:, 0], X[j])
            np.testing.assert_array_equal(similar[:, 0], expected)
            assert weight.shape == (len(i),)
        assert index == 9
    fixed = build(redraw=False).to_tf_dataset()
    first, second = ([x[0][0].numpy().tolist() for x in fixed] for _ in range(2))
    assert first == second


def test_tf_dataset_uses_the_newest_class_weights():
    pairs = build()
    data = iter(pairs.to_tf_dataset())
    assert set(next(data)[2].numpy()) == {1.0}
    pairs.class_weight = {"common": 1, "medium": 2, "rare": 9}
    assert len({weight for _ in range(5) for weight in next(data)[2].numpy()}) > 1  # TensorFlow fetches some ahead


@pytest.mark.parametrize("redraw", [True, False])
def test_tf_dataset_uses_the_newest_class_shares(redraw):
    pairs, shares = build(redraw=redraw), {"common": 0.1, "medium": 0.1, "rare": 0.8}
    data = pairs.to_tf_dataset()
    list(data)
    pairs.class_sampling = shares
    other = build(redraw=redraw, class_sampling=shares)
    other.set_epoch(1 if redraw else 0)
    expected = [left.tolist() for (left, _), _, _ in (other[i] for i in range(len(other)))]
    assert [left.numpy().tolist() for (left, _), _, _ in data] == expected


def test_tf_dataset_of_batches_holds_the_batches():
    batches = build_batches([40, 20, 20])
    found = list(batches.to_tf_dataset().as_numpy_iterator())
    assert len(found) == len(batches)
    for i, batch in enumerate(found):
        for part, expected in zip(batch, batches[i], strict=True):
            np.testing.assert_array_equal(part, expected)
