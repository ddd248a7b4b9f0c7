"""Log a training to MLflow and to TensorBoard, with the embeddings for its projector.

    pip install -e ".[tensorflow,examples,recipes]"
    python examples/log_runs.py
    mlflow ui --backend-store-uri sqlite:///log_runs_output/mlflow.db
    tensorboard --logdir log_runs_output

Both get the loss and the verification figures of each epoch. MLflow also gets the settings, the last report and the
model. TensorBoard also gets a picture of each report, and the validation images as points with labels and thumbnails.
Nothing here needs TensorFlow, unless it is the backend.

What to expect (the figures differ by backend; MLflow prints lines about its new data base before):

    MLflow: 20 metrics, the last val_tail_eer is 0.194; files ['report.json', 'siamese.keras']
    TensorBoard: ['events.out...', 'events.out...', 'images.png', 'labels.tsv', 'projector_config.pbtxt', 'vectors.tsv']
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_balanced_siamese as kbs

try:
    import mlflow
    from tensorboard.plugins import projector
    from tensorboard.summary import Writer
except ImportError as error:
    sys.exit(f'{error.name} is missing: pip install -e ".[recipes]"')


SETTINGS = {"margin": 1.0, "learning_rate": 2e-3, "class_sampling": "balanced"}


def main() -> None:
    """Train with both logs, and say what they hold."""
    options = read_options()
    folder = options.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    train, validation = long_tailed_digits()
    open_mlflow(options.tracking_uri or f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    with mlflow.start_run() as run:
        board = folder / "tensorboard" / run.info.run_name  # the same name in both tools
        mlflow.log_params(SETTINGS)
        model, report = fit(train, validation, board, options)
        mlflow.log_dict(report.to_dict(), "report.json")
        model.save(folder / "siamese.keras")
        mlflow.log_artifact(folder / "siamese.keras")
    embeddings = model.get_layer("encoder").predict(validation[0], verbose=0)
    save_projector(board / "train", embeddings, *validation)

    metrics = mlflow.get_run(run.info.run_id).data.metrics
    files = [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)]
    print(f"MLflow: {len(metrics)} metrics, the last val_tail_eer is {metrics['val_tail_eer']:.3f}; files {files}")
    print(f"TensorBoard: {sorted(file.name for file in board.rglob('*.*'))}")


def open_mlflow(uri: str, artifacts: Path) -> None:
    """Choose where MLflow writes."""
    mlflow.set_tracking_uri(uri)
    if mlflow.get_experiment_by_name("digits") is None:
        mlflow.create_experiment("digits", artifact_location=artifacts.as_uri())
    mlflow.set_experiment("digits")


def fit(train: tuple, validation: tuple, board: Path, options: argparse.Namespace) -> tuple:
    """Train with a row in both logs for each epoch; return the model and its last report."""
    x, y = train
    layers = [keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.Flatten()]
    layers += [keras.layers.Dense(32), keras.layers.UnitNormalization()]
    model = kbs.siamese_model(keras.Sequential([keras.Input(x.shape[1:]), *layers], name="encoder"))
    loss = kbs.WeightedContrastiveLoss(margin=SETTINGS["margin"])
    model.compile(keras.optimizers.Adam(SETTINGS["learning_rate"]), loss)

    shares = SETTINGS["class_sampling"]
    pairs = kbs.BalancedPairSequence(x, y, 64, steps_per_epoch=options.steps, class_sampling=shares, seed=0)
    report = kbs.VerificationReport(validation, class_counts=y, log_dir=board / "report")
    # after the report in the list, so that its figures are in `logs`
    to_mlflow = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: mlflow.log_metrics(logs, epoch))
    callbacks = [report, to_mlflow, ScalarsToTensorBoard(board / "train")]
    model.fit(pairs, epochs=options.epochs, verbose=0, callbacks=callbacks)
    return model, report.report_


class ScalarsToTensorBoard(keras.callbacks.Callback):
    """Writes the `logs` of each epoch, without TensorFlow, which `keras.callbacks.TensorBoard` needs."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = str(folder)

    def on_train_begin(self, logs=None):
        self.writer = Writer(self.folder)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.writer.add_scalar(name, value, epoch)

    def on_train_end(self, logs=None):
        self.writer.close()


def save_projector(folder: Path, embeddings: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Write vectors, labels and thumbnails as the projector of TensorBoard reads them."""
    np.savetxt(folder / "vectors.tsv", embeddings, delimiter="\t", fmt="%.5g")
    np.savetxt(folder / "labels.tsv", y, fmt="%s")  # one column has no header
    side = int(np.ceil(np.sqrt(len(x))))  # thumbnails in one square picture
    tiles = np.zeros((side, side, *x.shape[1:3]))
    tiles.reshape(side**2, *x.shape[1:3])[: len(x)] = x[..., 0]
    plt.imsave(folder / "images.png", tiles.swapaxes(1, 2).reshape(side * x.shape[1], -1), cmap="gray_r")
    config = projector.ProjectorConfig()
    shown = config.embeddings.add(tensor_name="validation", tensor_path="vectors.tsv", metadata_path="labels.tsv")
    shown.sprite.image_path = "images.png"
    shown.sprite.single_image_dim.extend([x.shape[2], x.shape[1]])
    projector.visualize_embeddings(str(folder), config)


def long_tailed_digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training digits, 100 zeros to 6 nines, and 40 validation digits of each class."""
    digits = load_digits()
    x, y = digits.images.astype("float32")[..., None] / 16, digits.target
    sizes = np.geomspace(100, 6, 10).round().astype(int)
    parts = [np.split(np.flatnonzero(y == digit), [40, 40 + size])[:2] for digit, size in enumerate(sizes)]
    validation, train = map(np.concatenate, zip(*parts, strict=True))
    return (x[train], y[train]), (x[validation], y[validation])


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Logging to MLflow and TensorBoard")
    parser.add_argument("--epochs", type=int, default=5, help="(%(default)d)")
    parser.add_argument("--steps", type=int, default=40, help="batches in an epoch (%(default)d)")
    parser.add_argument("--output", type=Path, default=Path("log_runs_output"), metavar="DIR")
    parser.add_argument("--tracking-uri", help="of MLflow, such as that of a server; by default a file in DIR")
    return parser.parse_args()


if __name__ == "__main__":
    main()
