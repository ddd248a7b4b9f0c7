"""Arguments of other libraries are errors that name the new ones."""

import copy
import pickle

import pytest

import keras_balanced_siamese as kbs


@pytest.mark.parametrize(
    ("cls", "arguments", "match"),
    [
        (
            kbs.WeightedTripletLoss,
            {"distance_metric": "angular"},
            '`distance_metric`: pass `distance`.*"angular" is "cosine"',
        ),
        (kbs.WeightedTripletLoss, {"soft": True}, '`soft`: pass `margin="soft"`. Received: soft=True'),
        (kbs.WeightedTripletLoss, {"type_of_triplets": "semihard"}, "pass `mining`"),
        (kbs.WeightedBatchContrastiveLoss, {"pos_margin": 0.1}, "pass `positive_margin`"),
        (kbs.WeightedContrastiveLoss, {"neg_margin": 1}, "pass `margin`"),
        (kbs.WeightedMultiSimilarityLoss, {"lmda": 0.5}, "pass `base`"),
        (kbs.WeightedSupervisedContrastiveLoss, {"soft": True}, "unexpected keyword argument"),
    ],
)
def test_an_argument_of_another_library_names_the_new_one(cls, arguments, match):
    with pytest.raises(TypeError, match=match):
        cls(**arguments)


def test_losses_can_still_be_copied():
    loss = kbs.WeightedTripletLoss(0.5, class_weight={0: 1.0, 1: 2.0})
    for other in (copy.copy(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert other.get_config() == loss.get_config()
