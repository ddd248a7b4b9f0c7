"""Export a verifier to SavedModel, ONNX and LiteRT, and check that each file decides as the model does.

    pip install -e ".[tensorflow,examples,recipes]"
    python examples/export_model.py

The exported files hold encoder, distance and threshold. They run without Keras and without this package. Keras cannot
write each format on each backend; the script says so and goes on.

What to expect on TensorFlow:

    SavedModel    365 kB  largest difference of a probability 0e+00, other decisions 0 of 64
    ONNX          169 kB  largest difference of a probability 3e-07, other decisions 0 of 64
    LiteRT        163 kB  largest difference of a probability 6e-07, other decisions 0 of 64

JAX writes ONNX with the package jax2onnx, SavedModel with tensorflow, and no LiteRT. PyTorch writes ONNX, LiteRT with
the package litert-torch, and no SavedModel.
"""

import argparse
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

# the packages that write and read a format on a backend; where there are none, Keras cannot write it
PACKAGES = {
    "SavedModel": {"tensorflow": ["tensorflow"], "jax": ["tensorflow"]},
    "ONNX": {
        "tensorflow": ["tf2onnx", "onnxruntime"],
        "jax": ["jax2onnx", "onnxruntime"],
        "torch": ["onnx", "onnxruntime"],
    },
    "LiteRT": {"tensorflow": ["ai-edge-litert"], "torch": ["litert-torch", "ai-edge-litert"]},
}


def main() -> None:
    """Train a verifier, export it in each format, and compare."""
    options = read_options()
    if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 13):
        sys.exit(f"Keras 3.13 is the first to export to LiteRT. Installed: Keras {keras.__version__}")
    keras.utils.set_random_seed(0)
    verifier, left, right = train_verifier(options)
    expected = keras.ops.convert_to_numpy(verifier((left, right)))  # `export` needs a model that was called once
    print()
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (("SavedModel", run_saved_model), ("ONNX", run_onnx), ("LiteRT", run_litert)):
            if obstacle := what_is_missing(name, keras.backend.backend()):
                print(f"{name:<10}  not written: {obstacle}")
                continue
            path = Path(folder, "verifier" + {"ONNX": ".onnx", "LiteRT": ".tflite"}.get(name, ""))
            key = {"SavedModel": "tf_saved_model"}.get(name, name.lower())
            verifier.export(path, format=key, verbose=False)
            report(name, path, run(str(path), left, right), expected)


def what_is_missing(name: str, backend: str) -> str | None:
    """Why this format cannot be written here, or `None`."""
    if backend not in PACKAGES[name]:
        return f"Keras has no {name} export on the backend {backend}"
    missing = [package for package in PACKAGES[name][backend] if not find_spec(package.replace("-", "_"))]
    return f"pip install {' '.join(missing)}" if missing else None


def run_saved_model(path: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Probabilities of the pairs by TensorFlow."""
    import tensorflow as tf

    served = tf.saved_model.load(path)  # without a name, its variables are gone before the call
    return served.serve((left, right)).numpy()  # one argument: the tuple of both sides


def run_onnx(path: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The same by ONNX Runtime."""
    import onnxruntime

    return onnxruntime.InferenceSession(path).run(None, {"left": left, "right": right})[0]


def run_litert(path: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The same by LiteRT, pair by pair: what PyTorch writes has a fixed batch size."""
    from ai_edge_litert.interpreter import Interpreter

    predict = Interpreter(path).get_signature_runner()
    sides = sorted(predict.get_input_details())  # left and right, on PyTorch args_0_0 and args_0_1
    answers = [predict(**dict(zip(sides, (a[None], b[None]), strict=True))) for a, b in zip(left, right, strict=True)]
    return np.concatenate([next(iter(answer.values())) for answer in answers])


def report(name: str, path: Path, found: np.ndarray, expected: np.ndarray) -> None:
    """Print the size of an export, and how far its answers are from those of the model."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1000
    difference, others = np.abs(found - expected).max(), int(((found >= 0.5) != (expected >= 0.5)).sum())
    print(
        f"{name:<10}  {size:5.0f} kB  largest difference of a probability {difference:.0e}, "
        f"other decisions {others} of {len(expected)}"
    )


def train_verifier(options: argparse.Namespace) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A calibrated verifier of digits, and both sides of 64 pairs of new digits."""
    digits = load_digits()
    x, y = digits.images.astype("float32")[..., None] / 16, digits.target
    layers = [keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(32)]
    encoder = keras.Sequential([keras.Input(x.shape[1:]), *layers], name="encoder")
    batches = kbs.BalancedBatchSequence(x[:900], y[:900], 10, 8, steps_per_epoch=options.steps, seed=0)
    encoder.compile("adam", kbs.WeightedSupervisedContrastiveLoss())
    encoder.fit(batches, epochs=options.epochs, verbose=2)

    pairs = kbs.BalancedPairSequence(x[900:], y[900:], 1000, steps_per_epoch=1, redraw=False, seed=1)
    (left, right), similar, _ = pairs[0]
    distances = kbs.siamese_model(encoder, kbs.CosineDistance()).predict((left, right), verbose=0)
    layer = kbs.calibrate(distances, similar)
    return kbs.siamese_model(encoder, kbs.CosineDistance(), probability=layer), left[:64], right[:64]


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Export to SavedModel, ONNX and LiteRT")
    parser.add_argument("--epochs", type=int, default=3, help="(%(default)d)")
    parser.add_argument("--steps", type=int, default=40, help="batches in an epoch (%(default)d)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
