"""Evaluation of a model on pairs or on samples with class labels."""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np

from keras_balanced_siamese._backend import predict
from keras_balanced_siamese._checks import flag, one_of
from keras_balanced_siamese._model_output import higher_is_similar as direction_of
from keras_balanced_siamese._text import short
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation import COSTS, FARS, Costs, PairReport, evaluate_embeddings, evaluate_pairs
from keras_balanced_siamese.sampling import BalancedPairSequence
from keras_balanced_siamese.scoring._embedding import check_encoder
from keras_balanced_siamese.scoring._model import check_model, distance_of, ends_in_scores, ends_in_softmax
from keras_balanced_siamese.scoring._pairs import (
    ReadyPairs,
    Samples,
    class_pairs,
    is_stacked,
    leaves,
    looks_like_pairs,
    ready_pairs,
)
from keras_balanced_siamese.scoring._scores import ScoredPairs, distances_of, measure, measure_embedded


def evaluate_model(
    model: Any,
    data: Any,
    *,
    classes: ArrayLike | None = None,
    distance: str | None = None,
    higher_is_similar: bool | None = None,
    threshold: float | None = None,
    class_counts: Mapping[Label, int] | ArrayLike | None = None,
    far: Sequence[float] = FARS,
    costs: Costs = COSTS,
    resample: str | None = None,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairReport:
    """Evaluate a model that compares pairs, or an encoder, overall and for each class.

    The model predicts, and the truth of the same pairs goes with its scores, so that they cannot be mixed up.

    | `data` | model with a score per pair | encoder |
    |---|---|---|
    | a `BalancedPairSequence` | the pairs of its epoch 0 | the same pairs |
    | `(x, y)`: samples with class labels | balanced pairs, drawn once | all pairs, and retrieval |
    | `((left, right), similar)`: ready pairs | these pairs | these pairs |

    Ready pairs of one array `(n, 2, ...)` are taken apart. Without `classes` their report has no figures of classes.

    Args:
        model: A Keras model from pairs to scores `(batch, 1)`: distances, probabilities or similarities; or an encoder
            from samples to embeddings `(batch, dim)`.
        data: See the table.
        classes: `(n, 2)` class labels of both sides of ready pairs.
        distance: `"euclidean"` or `"cosine"`, the distance between the embeddings of an encoder. `None` takes it from
            its loss: cosine for losses on angles, else Euclidean.
        higher_is_similar: Whether the scores grow with similarity. `None` takes it from the loss of the model and its
            last layer. Such scores are evaluated with a minus sign, which thresholds in the report have too.
        threshold: The score or distance at which pairs are accepted, as the model returns it. `None` means the
            threshold of the equal error rate of these pairs, with which figures at the threshold are slightly
            optimistic. For a verifier that ends in a layer from `calibrate`, pass 0.5, its own.
        class_counts: See `evaluate_pairs`, also for the arguments below.
        far: False accept rates.
        costs: Costs of the detection costs.
        resample: Units of the intervals, `"classes"` or `"samples"`.
        n_resamples: Number of resamples.
        confidence: Confidence level of the intervals.
        seed: Seed of the resamples.

    Returns:
        A `PairReport`.

    Raises:
        ValueError: If the direction of the scores is unknown, the model does not take the data or returns neither
            scores nor embeddings, its output is not finite, an argument does not apply, or for the reasons of
            `evaluate_pairs`.
        TypeError: For data of another kind.

    Examples:
        >>> x, y = np.random.default_rng(0).normal(size=(40, 4)), np.repeat(["a", "b"], [30, 10])
        >>> model = siamese_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        >>> pairs = BalancedPairSequence(x, y, batch_size=20, steps_per_epoch=10, seed=0)
        >>> report = evaluate_model(model, pairs)
        >>> report.n_similar, report.n_different, sorted(report.per_class)
        (100, 100, ['a', 'b'])
    """
    options: dict[str, Any] = {
        "class_counts": class_counts,
        "far": far,
        "costs": costs,
        "resample": resample,
        "n_resamples": n_resamples,
        "confidence": confidence,
        "seed": seed,
    }
    opened = _open(model, data)
    if classes is not None and not isinstance(opened, ReadyPairs):
        raise ValueError(f"`classes` is for ready pairs; the other data have their own. Received: {_kinds(data)}")
    if _returns_scores(model, opened):
        _refuse("distance", distance, "encoders; this model compares the pairs itself")
        grows = direction_of(model) if higher_is_similar is None else flag("higher_is_similar", higher_is_similar)
        pairs = class_pairs(opened) if isinstance(opened, Samples) else opened
        check_model(model, pairs)
        scored = measure(model, pairs, grows)
        threshold = _as_distance(threshold) if grows else threshold
    else:
        _refuse("higher_is_similar", higher_is_similar, "models that return scores; this one returns embeddings")
        check_encoder(model)
        if ends_in_softmax(model):
            warnings.warn(
                "The model ends in a softmax, as a classifier does, and its probabilities are compared as embeddings. "
                "For an encoder, leave the last layer out: `keras.Model(model.inputs, model.layers[-2].output)`.",
                stacklevel=2,
            )
        chosen = distance_of(model) if distance is None else one_of("distance", distance, ("euclidean", "cosine"))
        if isinstance(opened, Samples):
            _check_numbers(model, opened.x)
            points = predict(model, opened.x)
            return evaluate_embeddings(points, opened.y, distance=chosen, threshold=threshold, **options)
        if isinstance(opened, ReadyPairs):
            left, right = (np.asarray(predict(model, side)) for side in opened.inputs)
            scored = ScoredPairs(distances_of(left, right, chosen), opened.similar)
        else:
            scored = measure_embedded(model, opened, chosen)
    return evaluate_pairs(
        scored.distances,
        scored.similar,
        classes=scored.classes if classes is None else classes,
        samples=scored.samples,
        threshold=threshold,
        **options,
    )


def _open(model: Any, data: Any) -> BalancedPairSequence | ReadyPairs | Samples:
    """Tell the kinds of data apart, also by the number of inputs of the model."""
    if isinstance(data, BalancedPairSequence):
        return class_pairs(data)
    if (
        not isinstance(data, (tuple, list))
        or len(data) != 2
        or data[1] is None
        or np.shape(data[1])[1:] not in ((), (1,))
    ):
        raise TypeError(
            "`data` must be a `BalancedPairSequence`, samples and their class labels (x, y), or ready pairs "
            "((left, right), similar). The labels are of one dimension: pass one-hot ones as `y.argmax(axis=1)`. "
            f"Received: {_kinds(data)}"
        )
    x, y = data
    ready, inputs = looks_like_pairs(x, y), getattr(model, "inputs", None)
    if inputs and ends_in_scores(model):
        if len(leaves(x)) == len(inputs):  # what the model takes
            if len(inputs) == 1 and not is_stacked(x):
                warnings.warn(
                    "The model has one input and returns one score, so each row of `x` is taken as a pair, and `y` as "
                    "whether both of its items have the same class. If the rows are single items and the model is a "
                    "classifier, these figures mean nothing: use `sklearn.metrics.average_precision_score`.",
                    stacklevel=3,
                )
            return ready_pairs(x, y, as_given=True)
        ready = len(inputs) == 2 and is_stacked(x)
    elif inputs and isinstance(x, (list, tuple, Mapping)):
        if ready and len(leaves(x)) == len(inputs):
            raise ValueError(
                "These data look like ready pairs, two sides of one form and labels 0 and 1, and the model does not "
                "return one score per pair. For samples with two inputs of one form and class labels, give the labels "
                f"names. Received: {len(inputs)} inputs and outputs of shape {tuple(model.outputs[0].shape)}"
            )
        ready = len(leaves(x)) == 2 * len(inputs) and len(x) == 2
    return ready_pairs(x, y) if ready else Samples(x, y)


def _returns_scores(model: Any, opened: BalancedPairSequence | ReadyPairs | Samples) -> bool:
    """Return whether the model returns a score per pair; it returns embeddings otherwise."""
    if getattr(model, "outputs", None):
        return ends_in_scores(model)
    return not isinstance(opened, Samples)  # unknown before the first call


def _kinds(data: Any) -> str:
    kinds = ", ".join(map(_kind, data)) if isinstance(data, (list, tuple)) else ""
    return f"{type(data).__name__}{f' of {kinds}' if kinds else ''}"


def _kind(one: Any) -> str:
    return type(one).__name__ + (f" {tuple(one.shape)}" if hasattr(one, "shape") else "")


def _check_numbers(model: Any, x: Any) -> None:
    """Raise for names of files, which a model does not open."""
    first = next(iter(x), None) if isinstance(x, (list, tuple)) or getattr(x, "ndim", 0) == 1 else None
    inputs = getattr(model, "inputs", None) or ()
    if isinstance(first, (str, bytes, PathLike)) and inputs and all("string" not in str(one.dtype) for one in inputs):
        raise ValueError(
            "The model takes numbers, and `x` holds texts. For paths, pass a sequence that reads them: "
            f"`BalancedPairSequence(paths, y, transform=load)`. Received: x[0]={short(first)}"
        )


def _refuse(name: str, value: Any, purpose: str) -> None:
    if value is not None:
        raise ValueError(f"`{name}` is for {purpose}. Received: {name}={value!r}")


def _as_distance(threshold: Any) -> float | None:
    """Negate a threshold of scores that grow with similarity, as the scores are."""
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, Real):
        raise ValueError(
            "The model returns scores that grow with similarity: pass the score from which pairs are accepted, such as "
            f"0.5 for probabilities. Received: threshold={threshold!r}"
        )
    return -float(threshold)
