"""What holds for every public object."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from toy import clusters, linear_encoder

import keras_balanced_siamese as kbs
from keras_balanced_siamese.layers.sides import SplitSides, StackSides

PUBLIC = {name: value for name, value in vars(kbs).items() if callable(value) and not name.startswith("_")}
WEIGHTS, LOSS = {0: 0.25, 1: 4.0}, {"reduction": "sum", "name": "mine", "dtype": "float16"}
SAVED = [
    kbs.EuclideanDistance(name="mine", dtype="float16"),
    kbs.CosineDistance(name="mine", dtype="float16"),
    kbs.ManhattanDistance(name="mine", dtype="float16"),
    StackSides(name="mine", dtype="float16"),
    SplitSides(name="mine", dtype="float16"),
    kbs.DistanceToProbability(slope=2.0, threshold=0.25, trainable=False, name="mine"),
    kbs.DistanceToProbability(2.0, -0.25, {"operating_point": {"cost": [1.0, 2.0]}, "prior": 0.1}, name="mine"),
    kbs.WeightedContrastiveLoss(0.5, WEIGHTS, 0, positive_margin=0.25, squared=False, **LOSS),
    kbs.WeightedCosineLoss(-0.5, WEIGHTS, 0, **LOSS),
    kbs.WeightedBinaryCrossentropy(WEIGHTS, True, 0.25, 0, focal_gamma=0.5, **LOSS),
    kbs.WeightedBatchContrastiveLoss(2.0, 0.5, False, "cosine", {3: 0.25, 7: 4.0}, "sum", "mine", "float64"),
    kbs.WeightedTripletLoss("soft", "hard", "squared", {3: 0.25, 7: 4.0}, "sum", "mine", "float64"),
    kbs.WeightedSupervisedContrastiveLoss(0.5, {3: 0.25, 7: 4.0}, "sum", "mine", "float64"),
    kbs.WeightedMultiSimilarityLoss(1.0, 10.0, 0.25, None, {3: 0.25, 7: 4.0}, "sum", "mine", "float64"),
    kbs.EqualErrorRate(higher_is_similar=True, similar_label=0, classes=["a", "b"], resolution=64, name="mine"),
    kbs.VerificationAUC(higher_is_similar=True, similar_label=0, classes=[2, 5], resolution=64, name="mine"),
    kbs.VerificationPRAUC(higher_is_similar=True, similar_label=0, classes=["a", "b"], resolution=64, name="mine"),
    kbs.TrueAcceptRate(0.125, higher_is_similar=True, similar_label=0, classes=["a"], resolution=64, name="mine"),
    kbs.FalseAcceptRate(0.125, higher_is_similar=True, similar_label=0, classes=["a", "b"], name="mine"),
    kbs.FalseRejectRate(0.125, higher_is_similar=True, similar_label=0, classes=["a", "b"], name="mine"),
    kbs.BalancedPairAccuracy(0.125, higher_is_similar=True, similar_label=0, classes=["a", "b"], name="mine"),
    kbs.MatthewsCorrelation(0.125, higher_is_similar=True, similar_label=0, classes=["a", "b"], name="mine"),
]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_documented(name):
    doc = inspect.getdoc(PUBLIC[name]) or ""
    assert doc.split("\n")[0].endswith(".")
    parameters = inspect.signature(PUBLIC[name]).parameters.values()
    own = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if name == "PairReport":  # a result: it lists attributes
        return
    for parameter in own:
        assert parameter in doc, f"{name} does not document {parameter}"
    assert "Examples:" in doc
    assert "Returns:" in doc or "Call arguments:" in doc or "Attributes:" in doc


@pytest.mark.parametrize("part", SAVED, ids=lambda part: type(part).__name__)
def test_config_round_trip(part):
    config = json.loads(json.dumps(part.get_config()))
    assert type(part).from_config(config).get_config() == part.get_config()


@pytest.mark.parametrize("part", SAVED, ids=lambda part: type(part).__name__)
def test_registered_and_listed(part):
    name = f"keras_balanced_siamese>{type(part).__name__}"
    assert keras.saving.get_registered_object(name) is type(part)
    objects = kbs.custom_objects()
    assert objects[name] is objects[type(part).__name__] is type(part)


def trained():
    x, y = clusters()
    model = kbs.siamese_model(linear_encoder(), probability=True)
    model.compile("adam", kbs.WeightedBinaryCrossentropy({0: 0.5, 1: 2.0}))
    model.fit(kbs.BalancedPairSequence(x, y, seed=0), epochs=2, verbose=0, callbacks=[kbs.AdaptiveClassWeight()])
    return model, x


@pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning")
def test_models_open_in_a_fresh_process(tmp_path):
    model, x = trained()
    paths = [tmp_path / "verifier.keras", tmp_path / "verifier.h5"]
    for path in paths:
        model.save(path)
    np.savez(tmp_path / "data.npz", left=x[:6], right=x[6:12])
    code = """if True:
        import sys, keras, numpy as np, keras_balanced_siamese as kbs
        *paths, data = sys.argv[1:]
        data = np.load(data)
        def show(model):
            print(*model.predict((data["left"], data["right"]), verbose=0).ravel().tolist())
            print(*model.loss.class_weight.values())
        for path in paths:
            show(keras.models.load_model(path))
        known = keras.saving.get_custom_objects()  # unregistered on purpose: now only the mapping can help
        [known.pop(name) for name in list(known) if "keras_balanced_siamese" in name]
        for path in paths:
            show(keras.models.load_model(path, custom_objects=kbs.custom_objects()))
    """
    run = [sys.executable, "-c", code, *map(str, paths), str(tmp_path / "data.npz")]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()[-8:]
    expected = model.predict((x[:6], x[6:12]), verbose=0).ravel()
    for probabilities, weights in zip(lines[::2], lines[1::2], strict=True):
        np.testing.assert_allclose([float(word) for word in probabilities.split()], expected, rtol=1e-5)
        assert [float(word) for word in weights.split()] == list(model.loss.class_weight.values())


@pytest.mark.parametrize("writer", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("how", ["imported", "custom_objects"])
def test_models_open_on_any_backend_whatever_backend_wrote_them(writer, how):
    pytest.importorskip("keras", minversion="3.15", reason="an older Keras opens no file of a newer one")
    path = Path(__file__).parent / "data" / f"verifier_{writer}.keras"
    compile_too = (writer, how) != ("torch", "imported")  # Keras cannot find the optimizer that it saved there
    objects = kbs.custom_objects() if how == "custom_objects" else None
    model = keras.models.load_model(path, custom_objects=objects, compile=compile_too)
    expected = np.load(path.with_suffix(".npz"))
    x, _ = clusters()
    np.testing.assert_allclose(model.predict((x[:20], x[20:40]), verbose=0), expected["probability"], rtol=1e-5)
    if compile_too:
        assert list(model.loss.class_weight.values()) == pytest.approx(expected["class_weight"].tolist())


def test_public_names_are_those_of_the_documentation():
    assert sorted(PUBLIC) == [
        "AdaptiveClassWeight",
        "BalancedBatchSequence",
        "BalancedPairAccuracy",
        "BalancedPairSequence",
        "CosineDistance",
        "DistanceToProbability",
        "EqualErrorRate",
        "EuclideanDistance",
        "FalseAcceptRate",
        "FalseRejectRate",
        "Gallery",
        "HardPairMining",
        "ManhattanDistance",
        "MatthewsCorrelation",
        "PairReport",
        "TrueAcceptRate",
        "VerificationAUC",
        "VerificationPRAUC",
        "VerificationReport",
        "WeightedBatchContrastiveLoss",
        "WeightedBinaryCrossentropy",
        "WeightedContrastiveLoss",
        "WeightedCosineLoss",
        "WeightedMultiSimilarityLoss",
        "WeightedSupervisedContrastiveLoss",
        "WeightedTripletLoss",
        "calibrate",
        "class_weights",
        "custom_objects",
        "evaluate_embeddings",
        "evaluate_pairs",
        "plot_class_weights",
        "plot_det",
        "plot_distances",
        "plot_embeddings",
        "plot_pairs",
        "plot_per_class",
        "plot_reliability",
        "plot_report",
        "plot_roc",
        "plot_worst_pairs",
        "sample_weights",
        "siamese_model",
    ]
