"""A new process: what importing the package loads, and saved models that open there."""

import json

import numpy as np
import pytest
from fresh_process import output, start
from toy import BACKEND, clusters, linear_encoder

import keras_balanced_siamese as kbs

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")
HEAVY = {"tensorflow", "jax", "torch", "matplotlib", "sklearn", "imblearn", "pandas", "h5py"}
CODE = """
import builtins, json, sys, keras
before, found, import_it = set(sys.modules), set(), builtins.__import__
def watched(name, caller=None, *more, **options):  # Keras itself has imported some of them already
    if ((caller or {}).get("__name__") or "").startswith("keras_balanced_siamese"):
        found.add(name)
    return import_it(name, caller, *more, **options)
builtins.__import__ = watched
import keras_balanced_siamese as kbs
builtins.__import__ = import_it
imports = sorted({name.split(".")[0] for name in found | (set(sys.modules) - before)})
import numpy as np
data, *paths = sys.argv[1:]
data = np.load(data)
def opened(how, **options):
    for path in paths:
        model = keras.models.load_model(path, **options)
        probability = model.predict((data["left"], data["right"]), verbose=0).ravel().tolist()
        yield f"{path.split(chr(46))[-1]} {how}", [probability, list(model.loss.class_weight.values())]
models = dict(opened("imported"))
known = keras.saving.get_custom_objects()
for name in [name for name in known if "keras_balanced_siamese" in name]:
    known.pop(name)  # so that only the mapping can help
models.update(opened("mapping", custom_objects=kbs.custom_objects()))
print(json.dumps({"imports": imports, "models": models}))
"""


@pytest.fixture(scope="module")
def model():
    x, y = clusters()
    model = kbs.siamese_model(linear_encoder(), probability=True)
    model.compile("adam", kbs.WeightedBinaryCrossentropy({0: 0.5, 1: 2.0}))
    model.fit(kbs.BalancedPairSequence(x, y, seed=0), epochs=2, verbose=0, callbacks=[kbs.AdaptiveClassWeight()])
    return model


@pytest.fixture(scope="module")
def found(model, tmp_path_factory):
    """What one new process imports and opens."""
    folder = tmp_path_factory.mktemp("saved")
    paths = [folder / "verifier.keras", folder / "verifier.h5"]
    for path in paths:
        model.save(path)
    x, _ = clusters()
    np.savez(folder / "data.npz", left=x[:6], right=x[6:12])
    return json.loads(output(start("-c", CODE, folder / "data.npz", *paths)).splitlines()[-1])


def test_import_brings_no_second_backend(found):
    assert "keras_balanced_siamese" in found["imports"]
    assert not (HEAVY - {BACKEND}) & set(found["imports"])


@pytest.mark.parametrize("how", ["imported", "mapping"])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_models_open_in_a_fresh_process(ending, how, model, found, x):
    probability, weights = found["models"][f"{ending} {how}"]
    np.testing.assert_allclose(probability, model.predict((x[:6], x[6:12]), verbose=0).ravel(), rtol=1e-5)
    assert weights == list(model.loss.class_weight.values())
