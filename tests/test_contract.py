"""Laws of every public object."""

import inspect
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese._backend import registered

PUBLIC = {name: value for name, value in vars(kbs).items() if callable(value) and not name.startswith("_")}
DOCS = [path for path in (Path(__file__).parent.parent / "docs").glob("*.md") if path.name != "index.md"]
CUSTOM = {"name": "mine", "dtype": "float64"}  # what every Keras object takes
ARGUMENTS = {
    "axis": -1,
    "data_format": "channels_first",
    "pool_size": (3, 2),
    "strides": (2, 1),  # a value other than the default for each argument of a class that models are saved with
    **CUSTOM,
    "alpha": 1.0,
    "arguments": {"y": 0.5},
    "base": 0.25,
    "beta": 10.0,
    "calibration": {"operating_point": {"cost": [1.0, 2.0]}, "prior": 0.1},
    "chunk_size": 3,
    "class_weight": {0: 0.25, 1: 4.0},
    "classes": ["a", "b"],
    "cropping": 1,
    "dims": (2, 1),
    "distance": "cosine",
    "dynamic": False,
    "encoder": keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
    "epsilon": None,
    "far": 0.125,
    "feature_transfer": 2,
    "first": {"tensor": 0},
    "focal_gamma": 0.5,
    "function": "math.subtract",
    "from_logits": True,
    "gather": False,
    "higher_is_similar": True,
    "invert": True,
    "label_smoothing": 0.25,
    "layer": keras.layers.Dense(3, name="inside"),
    "margin": 0.5,
    "mean": 0.5,
    "mining": "hard",
    "normalize": "all",
    "offset": 0.5,
    "positive_margin": 0.25,
    "reduction": "sum",
    "resolution": 64,
    "scale": 2.0,
    "similar_label": 0,
    "slope": 2.0,
    "squared": False,
    "target_shape": (4, 3),
    "temperature": 0.5,
    "threshold": 0.125,
    "trainable": False,
    "variance": 4.0,
}


def with_other_arguments(cls):
    """An instance all of whose arguments differ from the defaults."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    named = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD][1:]
    more = CUSTOM if any(one.kind is one.VAR_KEYWORD for one in parameters) else {}
    missing = [name for name in named if name not in ARGUMENTS]
    assert not missing, f"give ARGUMENTS a value for {missing} of {cls.__name__}"
    return cls(**{name: ARGUMENTS[name] for name in [*named, *more]})


REFUSED = () if hasattr(keras, "StatelessScope") else (kbs.ChunkedEncoder,)
SAVED = [with_other_arguments(cls) for cls in registered.values() if cls not in REFUSED]
SAVED += [kbs.WeightedTripletLoss("soft"), kbs.DistanceToProbability(2.0, -0.25, {"operating_point": "posterior"})]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_documented(name):
    doc = inspect.getdoc(PUBLIC[name]) or ""
    assert doc.split("\n")[0].endswith(".")
    parameters = inspect.signature(PUBLIC[name]).parameters.values()
    own = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if name == "PairReport":  # a result, documented by its attributes
        return
    for parameter in own:
        assert parameter in doc, f"{name} does not document {parameter}"
    assert "Examples:" in doc
    assert "Returns:" in doc or "Call arguments:" in doc or "Attributes:" in doc


def test_all_lists_the_public_names():
    assert kbs.__all__ == sorted(PUBLIC)


@pytest.mark.parametrize("part", SAVED, ids=lambda part: type(part).__name__)
def test_config_round_trip(part):
    config = json.dumps(part.get_config())
    assert json.dumps(type(part).from_config(json.loads(config)).get_config()) == config


@pytest.mark.parametrize("part", SAVED, ids=lambda part: type(part).__name__)
def test_registered_and_listed(part):
    name = f"keras_balanced_siamese>{type(part).__name__}"
    assert keras.saving.get_registered_object(name) is type(part)
    objects = kbs.custom_objects()
    assert objects[name] is type(part)
    assert type(part).__name__ not in objects  # a class of the user may have this name


class EuclideanDistance(keras.layers.Layer):
    """A class of a user, not registered, with a name of this package."""

    def call(self, inputs):
        return 3.0 * inputs


class WeightedContrastiveLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred


OWN = {"EuclideanDistance": EuclideanDistance, "WeightedContrastiveLoss": WeightedContrastiveLoss}


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_classes_of_the_user_with_the_same_plain_names_stay(ending, tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, EuclideanDistance()(inputs))
    model.compile("sgd", WeightedContrastiveLoss())
    model.save(path := tmp_path / f"old.{ending}")
    opened = keras.models.load_model(path, custom_objects={**OWN, **kbs.custom_objects()})
    assert type(opened.layers[-1]) is EuclideanDistance
    assert type(opened.loss) is WeightedContrastiveLoss


@pytest.mark.parametrize("writer", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("how", ["imported", "custom_objects"])
def test_models_open_on_any_backend_whatever_backend_wrote_them(writer, how, x):
    pytest.importorskip("keras", minversion="3.15", reason="an older Keras opens no file of a newer one")
    path = Path(__file__).parent / "data" / f"verifier_{writer}.keras"
    compile_too = (writer, how) != ("torch", "imported")  # Keras cannot find the optimizer that it saved there
    objects = kbs.custom_objects() if how == "custom_objects" else None
    model = keras.models.load_model(path, custom_objects=objects, compile=compile_too)
    expected = np.load(path.with_suffix(".npz"))
    np.testing.assert_allclose(model.predict((x[:20], x[20:40]), verbose=0), expected["probability"], rtol=1e-5)
    if compile_too:
        assert list(model.loss.class_weight.values()) == pytest.approx(expected["class_weight"].tolist())


@pytest.mark.numpy_only
@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_on_a_page_of_the_docs(name):
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in DOCS)
