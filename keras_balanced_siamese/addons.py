"""Convert a model of Keras 2, trained with tensorflow-addons or without it, to a file of the Keras in use.

    python -m keras_balanced_siamese.addons old.h5 new.keras [--lambda d=euclidean]

It prints what was found and what became of it, saves the model, opens the new file and compares predictions.
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
from keras_balanced_siamese.legacy import Report, load_with_report

SUMMARY = "Convert a model of Keras 2 to a file of the Keras in use."
TOLERANCE = 1e-5  # of the largest prediction
UNKNOWN_SIZE = 16  # for axes of any size


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert a file; exit with a message if it cannot be done."""
    options = _options(arguments)
    try:
        model, report = load_with_report(options.old, dict(options.replace or []), None, not options.no_compile)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"{options.old}: {error}")
    print(f"{options.old}, written by Keras {report.version}\n")
    print(describe(model, report))
    model.save(options.new)
    print(f"\n{options.new}: {_comparison(model, options.new)}")


def describe(model: keras.Model, report: Report) -> str:
    """Return a table of what was found and what became of it."""
    rows = [("part", "in the file", "now")]
    rows += [
        ("layers", str(report.n_layers), str(report.n_layers)),
        ("weights", f"{report.n_weights} arrays", f"{model.count_params():,} numbers"),
    ]
    rows += [(kind, before, now) for kind, before, now in report.replaced]
    rows += [("no counterpart", one, "left out") for one in report.missing]
    rows.append(("optimizer's state", "", report.optimizer))
    if not report.compiled:
        rows.append(("compile", "", "not compiled: call `model.compile` before `fit`"))
    return table(rows)


def _comparison(model: keras.Model, path: Path) -> str:
    """Compare the predictions of the model and of the file; raise if they differ."""
    inputs = _random_inputs(model)
    if inputs is None:
        return "saved; not compared, because it takes texts"
    reloaded = keras.models.load_model(path, custom_objects=custom_objects(), compile=False)
    models: list[Any] = [model, reloaded]
    before, after = (_flat(one.predict(inputs, verbose=0)) for one in models)
    worst = max(
        np.abs(one - other).max() / max(np.abs(one).max(), 1e-30) for one, other in zip(before, after, strict=True)
    )
    if not worst <= TOLERANCE:
        sys.exit(f"{path} predicts other values than the model, by {worst:.1e} of the largest one")
    return f"opened again, predictions on random input equal to {worst:.1e}"


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
