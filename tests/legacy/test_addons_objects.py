"""What stands for the objects of tensorflow-addons when Keras itself opens a file."""

import keras
import numpy as np
import pytest
from old_models import FOLDER, inputs_and_outputs, predictions

import keras_balanced_siamese as kbs

KERAS3 = hasattr(keras, "ops")
NAMES = ("plain_class", "plain_function", "plain_string")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_keras_opens_a_file_with_a_loss_of_tensorflow_addons(name):
    model = keras.models.load_model(FOLDER / f"{name}.h5", custom_objects=kbs.addons_custom_objects())
    inputs, outputs = inputs_and_outputs(name)
    np.testing.assert_allclose(predictions(model, inputs)[0], outputs[0], rtol=1e-5, atol=1e-6)
    classes = np.arange(len(inputs[0])) % 2
    own = kbs.load_legacy_model(FOLDER / f"{name}.h5")
    options = {"verbose": 0, "batch_size": len(classes)}
    theirs, ours = (np.ravel(one.evaluate(inputs[0], classes, **options))[0] for one in (model, own))
    assert theirs == pytest.approx(ours, rel=1e-5)


@pytest.mark.skipif(not KERAS3, reason="there, its own classes are used")
def test_the_arguments_are_those_of_the_file():
    model = keras.models.load_model(FOLDER / "plain_class.h5", custom_objects=kbs.addons_custom_objects())
    assert (model.loss.mining, model.loss.margin) == ("semi-hard", 0.5)
    assert model.optimizer.get_config()["weight_decay"] == pytest.approx(1e-4 / 2e-3)


def test_nothing_is_registered():
    before = dict(keras.saving.get_custom_objects())
    kbs.addons_custom_objects()
    assert keras.saving.get_custom_objects() == before
