"""Convert a model of Keras 2, trained with tensorflow-addons or without it, to a file of the Keras in use.

    python -m keras_balanced_siamese.addons old.h5 new.keras [--lambda d=euclidean]

It saves the model, opens the new file and compares predictions: with those of the old file where Keras 2 runs and
the file holds no code, else with those of the model before saving. It prints what was found and what became of it.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._custom_objects import custom_objects
from keras_balanced_siamese._text import table
from keras_balanced_siamese.legacy import Report, load_with_report, original_of

SUMMARY = "Convert a model of Keras 2 to a file of the Keras in use."
TOLERANCE = 1e-5  # of the largest prediction
UNKNOWN_SIZE = 16  # for axes of any size


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert a file; exit with a message if it cannot be done."""
    options = _options(arguments)
    try:
        model, report = load_with_report(options.old, dict(options.replace or []), None, not options.no_compile)
    except (OSError, ValueError, ImportError) as error:
        hint = "\nHere, `lambda_map` is the option --lambda LAYER=DISTANCE" if "lambda_map" in str(error) else ""
        sys.exit(f"{options.old}: {error}{hint}")
    model.save(options.new)
    verified = compared(model, options.old, options.new)
    print(f"{options.old}, written by Keras {report.version}\n")
    print(describe(model, report, verified))
    print(f"\n{options.new} is saved")


def describe(model: keras.Model, report: Report, verified: tuple[str, str]) -> str:
    """Return a table of what was found and what became of it; `verified` is what predictions were compared, and how."""
    rows = [("part", "in the file", "now")]
    rows += [
        ("layers", str(report.n_layers), str(report.n_layers)),
        ("weights", f"{report.n_weights} arrays", f"{model.count_params():,} numbers"),
    ]
    chosen = ", your choice: its code is not run to compare"
    rows += [(kind, before, now + chosen * (before == "Lambda")) for kind, before, now in report.replaced]
    rows += [(one, "training=False", "ignored in `fit`: see `trainable`") for one in report.inferring]
    rows += [("no counterpart", one, "left out") for one in report.missing]
    rows.append(("optimizer's state", "", report.optimizer))
    if not report.compiled:
        rows.append(("compile", "", "not compiled: call `model.compile` before `fit`"))
    return table([*rows, ("predictions", *verified)])


def compared(model: keras.Model, old: Path, new: Path) -> tuple[str, str]:
    """Compare the predictions of the new file with those of the old one, or of the model; exit if they differ."""
    inputs = _random_inputs(model)
    if inputs is None:
        return "not compared", "it takes texts"
    original, reason = original_of(old)
    reloaded: Any = keras.models.load_model(new, custom_objects=custom_objects(), compile=False)
    reference: Any = model if original is None else original
    before = _flat(reference.predict(inputs, verbose=0))
    after = _flat(reloaded.predict(inputs, verbose=0))
    worst = max(_difference(one, other) for one, other in zip(before, after, strict=True))
    if not worst <= TOLERANCE:
        what = "the model before saving" if original is None else f"{old} in Keras 2"
        sys.exit(f"{new} predicts other values than {what}, by {worst:.1e} of the largest one")
    if original is None:
        return f"not compared: {reason}", f"saved and opened again alone, equal to {worst:.1e} on random input"
    return "those of Keras 2", f"equal to {worst:.1e} on random input"


def _difference(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs(before - after.reshape(before.shape)).max() / max(np.abs(before).max(), 1e-30))


def _random_inputs(model: keras.Model) -> Any:
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for one in model.inputs:
        shape = [4, *(UNKNOWN_SIZE if size is None else size for size in one.shape[1:])]
        dtype = str(getattr(one.dtype, "name", one.dtype))
        if dtype == "string":
            return None
        values = rng.uniform(size=shape)  # below 1, the index 0 of an embedding
        found.append(values.astype(dtype) if "float" in dtype else rng.integers(0, 2, shape).astype(dtype))
    return found if len(found) > 1 else found[0]


def _flat(predictions: Any) -> list[np.ndarray]:
    if isinstance(predictions, Mapping):
        predictions = [predictions[key] for key in sorted(predictions)]
    return [
        np.asarray(one, np.float64)
        for one in (predictions if isinstance(predictions, (list, tuple)) else [predictions])
    ]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m keras_balanced_siamese.addons", description=SUMMARY)
    parser.add_argument("old", type=Path, help="an .h5 or .keras file, or a SavedModel directory")
    parser.add_argument("new", type=Path, help="the .keras file to write")
    parser.add_argument(
        "--lambda",
        dest="replace",
        action="append",
        type=_replacement,
        metavar="LAYER=DISTANCE",
        help="what takes the place of a Lambda layer: euclidean, cosine, manhattan or squared",
    )
    parser.add_argument("--no-compile", action="store_true", help="leave out loss, metrics and optimizer")
    options = parser.parse_args(arguments)
    if options.new.suffix != ".keras":
        parser.error(f"the new file must end in .keras. Received: {options.new}")
    return options


def _replacement(text: str) -> tuple[str, str]:
    name, _, distance = text.partition("=")
    if not distance:
        raise argparse.ArgumentTypeError(f"must be LAYER=DISTANCE, such as d=euclidean. Received: {text}")
    return name, distance


if __name__ == "__main__":
    main()
