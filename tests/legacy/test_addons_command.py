"""The command that converts a file."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from fresh_process import environment
from old_models import FOLDER, inputs_and_outputs, predictions

import keras_balanced_siamese as kbs
from keras_balanced_siamese.addons import main
from keras_balanced_siamese.legacy import original_of

keras3 = pytest.mark.skipif(not hasattr(keras, "ops"), reason="writes files for Keras 3")
keras2 = pytest.mark.skipif(hasattr(keras, "ops"), reason="Keras 2 opens the old file")


@keras2
@pytest.mark.parametrize("name", ["core_layers.h5", "core_layers.keras", "operations_cosine.h5"])
def test_the_new_file_is_compared_with_the_old_one_in_keras_2(name, tmp_path, capsys):
    main([str(FOLDER / name), str(tmp_path / "new.keras")])
    assert "those of Keras 2" in capsys.readouterr().out


@keras2
def test_a_difference_from_keras_2_is_an_error(tmp_path, monkeypatch):
    def other(path):
        model = keras.models.load_model(path, compile=False)
        model.set_weights([2 * one for one in model.get_weights()])
        return model, ""

    monkeypatch.setattr("keras_balanced_siamese.addons.original_of", other)
    with pytest.raises(SystemExit, match=r"predicts other values than .*core_layers\.h5 in Keras 2"):
        main([str(FOLDER / "core_layers.h5"), str(tmp_path / "new.keras")])


@keras2
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nested_batch_normalization.h5", "Lambda layers hold code"),
        ("flat_shared_layers.h5", "objects that are not of Keras"),
    ],
)
def test_code_and_objects_of_others_are_not_opened_in_keras_2(name, reason):
    model, why = original_of(FOLDER / name)
    assert model is None
    assert reason in why


@keras3
def test_a_file_is_converted(tmp_path, capsys):
    main([str(FOLDER / "nested_batch_normalization.h5"), str(tmp_path / "new.keras"), "--lambda", "d=euclidean"])
    text = capsys.readouterr().out
    for part in (
        "written by Keras 2.15.0",
        "Lambda",
        "EuclideanDistance, your choice",
        "WeightedContrastiveLoss",
        "restored after 2",
    ):
        assert part in text
    assert "not compared: Keras 2 is not installed here" in text
    assert "saved and opened again alone, equal to" in text
    model = keras.models.load_model(tmp_path / "new.keras", custom_objects=kbs.custom_objects())
    inputs, outputs = inputs_and_outputs("nested_batch_normalization")
    np.testing.assert_allclose(predictions(model, inputs)[0], outputs[0], rtol=1e-5, atol=1e-6)


@keras3
def test_what_is_missing_is_in_the_table(tmp_path, capsys):
    main([str(FOLDER / "loss_lifted.keras"), str(tmp_path / "new.keras")])
    text = capsys.readouterr().out
    assert "LiftedStructLoss" in text
    assert "not compiled" in text


@keras3
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nested_batch_normalization.h5", "new.keras"), "the option --lambda LAYER=DISTANCE"),
        (("absent.h5", "new.keras"), "no file"),
        (("plain_class.h5", "new.h5"), "must end in .keras"),
        (("plain_class.h5", "new.keras", "--lambda", "d"), "must be LAYER=DISTANCE"),
    ],
)
def test_what_cannot_be_done_ends_with_a_message(arguments, message, tmp_path, capsys):
    old, new, *rest = arguments
    with pytest.raises(SystemExit) as ended:
        main([str(FOLDER / old), str(tmp_path / new), *rest])
    assert message in f"{ended.value}{capsys.readouterr().err}"
    assert not (tmp_path / new).exists()


@keras3
def test_the_module_is_a_command(tmp_path):
    command = [sys.executable, "-m", "keras_balanced_siamese.addons", FOLDER / "plain_class.h5", tmp_path / "new.keras"]
    found = subprocess.run(list(map(str, command)), env=environment(), capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr[-500:]
    assert "WeightedTripletLoss" in found.stdout
