import math

import numpy as np
import pytest

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.1, 0.2], [1]), "same length"),
        (([0.1, math.nan], [1, 0]), "NaN"),
        (([0.1, 0.2], [1, 2]), "0 and 1 only"),
        (([0.1, 0.2], [1, 1]), "Both similar and different"),
        (([], []), "Both similar and different"),
        (([1e308, 1.0, -1e308], [1, 0, 0]), "at most 1e[+]150.*Received: 2 of 3.*position 0"),
        ((np.zeros((3, 3)), np.eye(3)), r"`i, j = np.triu_indices\(n, 1\)`.*shape \(3, 3\)"),
        ((np.zeros((2, 1)), [[1, 0]]), r"`similar` must hold one value.*shape \(1, 2\)"),
        (([0.1, 0.2], ["same", "different"]), "`left_labels == right_labels`.*'same', 'different'"),
        (([0.1, 0.2], [1, None]), r"0 and 1 only.*\[None\]"),
    ],
)
def test_invalid_pairs_are_an_error(arguments, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_pairs(*arguments)


def test_a_threshold_of_the_other_sign_is_an_error():
    with pytest.raises(ValueError, match=r"minus sign.*threshold=0.5 and distances from -0.9 to -0.2"):
        kbs.evaluate_pairs([-0.9, -0.2], [1, 0], threshold=0.5)
    assert kbs.evaluate_pairs([-0.9, -0.2], [1, 0], threshold=-0.5).balanced_accuracy == 1.0
    assert kbs.evaluate_pairs([0.0, 0.0], [1, 0], threshold=0.5).micro["false_accept_rate"] == 1.0


def test_distances_that_are_not_numbers_are_an_error():
    with pytest.raises(TypeError, match="`distances` must hold numbers"):
        kbs.evaluate_pairs(["0.1", "0.2"], [1, 0])


def test_invalid_classes_are_an_error():
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=["a", "b"])
    with pytest.raises(ValueError, match="exactly where both sides"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "b"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"at 1 of 2 pairs, the first at position 0\.$"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "b"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"2 of 2 pairs.*labels reversed"):
        kbs.evaluate_pairs([0.1, 0.2], [0, 1], classes=[["a", "a"], ["a", "b"]])
    with pytest.raises(ValueError, match=r"np.stack\(\[left, right\], axis=1\)"):
        kbs.evaluate_pairs([0.1, 0.2, 0.3], [1, 0, 0], classes=(["a", "a", "a"], ["a", "b", "b"]))
    with pytest.raises(ValueError, match=r"missing.*position 3"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[["a", "a"], ["a", math.nan]])
    with pytest.raises(TypeError, match="of one type"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], classes=[("1", "1"), ("1", 2)])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"threshold": math.nan}, "finite distance"),
        ({"threshold": "eer"}, "finite distance"),
        ({"far": [0.0]}, "far"),
        ({"far": [1.5]}, "between 0 and 1"),
        ({"costs": [(1, 1)]}, "cost of a miss"),
        ({"costs": [(1, 1, 0)]}, "cost of a miss"),
        ({"costs": [("a", 1, 0.5)]}, "cost of a miss"),
        ({"resample": "pairs"}, "'classes', 'samples'"),
        ({"resample": "samples"}, "needs `samples`"),
        ({"resample": "classes"}, "needs `classes`.*Received: classes=None"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"sample_weight": [1, -1, 1, 1]}, r"at least 0. Received: \[-1.0\] among 4"),
        ({"sample_weight": [1, 1]}, "one weight per pair"),
        ({"sample_weight": [1, 1, 0, 0]}, "with a weight above 0"),
        ({"class_counts": {"a": -1}}, "class_counts"),
        ({"samples": [1, 2, 3, 4]}, r"shape \(n, 2\)"),
    ],
)
def test_invalid_evaluation_options_are_an_error(wrong, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_pairs([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], **wrong)


def test_a_number_instead_of_a_sequence_is_an_error():
    with pytest.raises(TypeError, match=r"`far=\[0.1\]`"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], far=0.1)
    with pytest.raises(TypeError, match=r"`costs=\[\(10, 1, 0.01\)\]`"):
        kbs.evaluate_pairs([0.1, 0.2], [1, 0], costs=(10, 1, 0.01))
    with pytest.raises(TypeError, match=r"`k=\[5\]`"):
        kbs.evaluate_embeddings(np.eye(4), [0, 0, 1, 1], k=5)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.zeros((3, 2)), ["a", "b"], "one label per embedding"),
        (np.zeros((3, 2)), ["a", "a", "a"], "two classes"),
        (np.zeros((3, 2)), ["a", "b", "c"], "two samples"),
        (np.full((3, 2), np.nan), ["a", "a", "c"], "finite"),
        (np.zeros(3), ["a", "a", "c"], "one embedding per row"),
        (np.zeros((3, 8, 8, 1)), ["a", "a", "c"], r"`encoder.predict\(images\)`"),
    ],
)
def test_invalid_embeddings_are_an_error(x, y, match):
    with pytest.raises(ValueError, match=match):
        kbs.evaluate_embeddings(x, y)
