"""Check of a loss against the model that is compiled with it, and against the data of `fit`."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import metrics_of
from keras_balanced_siamese._model_output import ModelOutput, output_of
from keras_balanced_siamese._running_model import REVERSED_LABELS, RunningModel, label_kind, running_model
from keras_balanced_siamese._text import short

CURES = {  # what the loss takes -> what fits it, and what fits a model that returns something else
    "distance": (
        "distances, as from `siamese_model(encoder)`",
        {"probability": "`WeightedBinaryCrossentropy()`", "similarity": "a distance layer, such as `CosineDistance()`"},
    ),
    "probability": (
        "probabilities, as from `siamese_model(encoder, probability=True)`",
        {"distance": "`WeightedContrastiveLoss()`", "similarity": "a distance layer and `WeightedContrastiveLoss()`"},
    ),
    "logit": (
        "logits, any real numbers that grow with similarity",
        {"distance": "`WeightedContrastiveLoss()`", "probability": "from_logits=False"},
    ),
    "embedding": (
        "embeddings and class labels: compile the encoder itself with it",
        dict.fromkeys(
            ("distance", "probability", "similarity"), "a loss on pairs, such as `WeightedContrastiveLoss()`"
        ),
    ),
}


def check_use(loss: Any, checked: tuple[int, ...]) -> tuple[int, ...]:
    """Check a loss that its model calls; return what was checked, so that each model and its data are checked once.

    Raises:
        ValueError: If the model returns something else than the loss takes, or labels are of the wrong kind.
    """
    running = running_model(loss)
    if running is None or not running.compiled or len(getattr(running.model, "outputs", None) or [0]) > 1:
        return checked
    use = tuple(map(id, running))
    if use == checked:
        return checked
    try:
        output = output_of(running.model)
        if output is not None:
            _check_output(loss, output, running.model)
        _check_data(loss, running)
    except ValueError:
        running.model.train_function = running.model.test_function = None  # they may be built in part
        raise
    if output is not None and output.kind == "distance":
        _warn_of_metrics(running.model, output)
    return use


def _check_output(loss: Any, output: ModelOutput, model: Any) -> None:
    needs, cures = CURES[loss.takes]
    of_embedding = loss.takes == "embedding" and len(model.inputs) == 1  # a sigmoid can end an encoder, too
    if output.kind in cures and not of_embedding:
        raise ValueError(
            f"`{type(loss).__name__}` takes {needs}. For this model use {cures[output.kind]}. Received: {output}"
        )


def _check_data(loss: Any, running: RunningModel) -> None:
    kind, of_pairs = label_kind(running.x), loss.takes != "embedding"
    if kind is not None and (kind == "pair labels") != of_pairs:
        cure = "`BalancedPairSequence`" if of_pairs else "`BalancedBatchSequence`"
        raise ValueError(
            f"`{type(loss).__name__}` takes {'pair labels' if of_pairs else 'class labels'}: use a {cure}. "
            f"Received: a {type(running.x).__name__}, which yields {kind}"
        )
    if kind is not None and of_pairs and loss.similar_label == 0:
        raise ValueError(REVERSED_LABELS)
    if kind is None and of_pairs:
        _check_pair_labels(running.y)
    if not of_pairs and loss.live_weights is not None:
        if kind is None:
            _check_class_labels(loss, running.y)
        else:
            _check_classes(loss, running.x)


def _check_pair_labels(y: Any) -> None:
    """Raise if an array of pair labels has values outside of `[0, 1]`; other data are not looked at."""
    if not (isinstance(y, np.ndarray) or hasattr(y, "to_numpy")):
        return
    labels = np.asarray(y)
    if labels.shape[1:] == (3,):  # the classes of both sides follow
        labels = labels[:, :1]
    if labels.dtype.kind not in "fiu" or not labels.size or labels.ndim > 2:
        return
    lowest, highest = labels.min(), labels.max()
    if lowest < 0 or highest > 1:
        cure = "; class labels are for the losses on embeddings"
        if (lowest, highest) == (-1, 1):
            cure = ": pass `(y + 1) / 2`"
        if (lowest, highest) == (1, 2):
            cure = ", 1 for similar: pass `y - 1` or `2 - y`"
        raise ValueError(
            f"Pair labels must be 0 and 1{cure}. Received: y with the values {short(np.unique(labels).tolist())}"
        )


def _check_class_labels(loss: Any, y: Any) -> None:
    """Raise if an array of class labels has labels without a weight, whose loss would be NaN."""
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "iu":
        return
    unknown = np.unique(y[~np.isin(y, loss.live_weights.classes)])
    if len(unknown):
        raise ValueError(
            f"`class_weight` of `{type(loss).__name__}` must have a weight for each label of `y`. "
            f"Received: no weights for {short(unknown.tolist())}"
        )


def _check_classes(loss: Any, sequence: Any) -> None:
    """Raise if the classes of a sequence are not those of the weights; warn if both correct the class frequency."""
    given, classes = loss.labels, list(sequence.classes)
    if given != list(range(len(classes))) and not (given == classes and isinstance(given[0], str)):
        raise ValueError(
            f"`class_weight` of `{type(loss).__name__}` must have the classes of the sequence, which labels samples by "
            "their positions among them. For weights by class: "
            "`class_weight={k: weights[label] for k, label in enumerate(batches.classes)}`. "
            f"Received: weights of {short(given)} and the classes {short(classes)}"
        )
    if loss.counted is None:
        return
    shares = np.array(list(sequence.class_shares.values()))
    counted = (shares * loss.counted)[shares > 0]
    if counted.max() > 2 * counted.min() * shares.max() / shares[shares > 0].min():
        warnings.warn(
            "Class frequency is corrected twice, by the batches and by the weights of the loss, which are computed "
            "from class counts: leave out `class_weight`, or draw the batches with class_sampling='natural'. "
            f"Received: {type(loss).__name__} with weights {short(loss.counted.round(4).tolist())} of {short(given)}",
            stacklevel=4,
        )


def _warn_of_metrics(model: Any, output: ModelOutput) -> None:
    """Warn of metrics of Keras that take a high output for the label 1."""
    known = keras.metrics
    classes = (known.Accuracy, known.BinaryAccuracy, known.AUC, known.Precision, known.Recall)
    names = ("acc", "accuracy", "binary_accuracy")
    if found := [one for one in metrics_of(model) if one in names or isinstance(one, classes)]:
        names = [one if isinstance(one, str) else one.name for one in found]
        warnings.warn(
            f"The metrics {short(names)} take a high output for 'similar'. Use those of this package, such as "
            f"`VerificationAUC()` and `BalancedPairAccuracy(threshold)`. Received: {output}",
            stacklevel=4,
        )
