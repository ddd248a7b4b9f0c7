"""The callback that evaluates validation pairs during `fit`."""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import processes
from keras_balanced_siamese._checks import positive, whole
from keras_balanced_siamese._model_output import higher_is_similar
from keras_balanced_siamese._text import log_name
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.callbacks._target import DataCallback
from keras_balanced_siamese.callbacks._tensorboard import image_event, tensorboard
from keras_balanced_siamese.evaluation import FARS, PairReport, check_class_counts, check_pairs, evaluate_pairs
from keras_balanced_siamese.sampling import BalancedPairSequence
from keras_balanced_siamese.scoring import (
    ReadyPairs,
    ScoredPairs,
    check_encoder,
    check_model,
    distance_of,
    measure,
    measure_embedded,
    open_pairs,
    returns_embeddings,
)

GROUP_FIGURES = ("eer", "error", "roc_auc")  # logged for the mean over classes and for each group


class VerificationReport(DataCallback):
    """Evaluates the model on validation pairs during `fit`: equal error rates of all pairs and of the rare classes.

    `logs` gets these entries, prefixed with `val_`:

    | entry | meaning |
    |---|---|
    | `eer`, `roc_auc`, `pr_auc`, `tar_at_far_0_01`, ... | over all pairs |
    | `macro_eer`, `macro_error`, `macro_roc_auc` | means over all classes |
    | `head_eer`, `medium_eer`, `tail_eer`; also `error`, `roc_auc` | means over the classes of a group |
    | `worst_error` | largest error of a class |

    `EarlyStopping(monitor="val_tail_eer", mode="min")` and `ModelCheckpoint` can monitor them if they follow this
    callback in the list. They need `mode`, since Keras cannot derive the direction from these names. `PairReport`
    explains the names, in which `_` replaces the point of a rate. Figures that cannot be measured have no entry, and
    neither have epochs without a report, as with `validation_freq` of `fit`. A deep copy of the callback, as of a tuner
    for each trial, shares the validation data. In several processes, each computes the report, and the first one writes
    and prints it.

    Args:
        validation_data: `(x, y)`, single samples with class labels, from which balanced pairs are drawn once; a
            `BalancedPairSequence`, whose epoch 0 is used every time; or ready pairs `((left, right), similar)` with
            float labels 0 and 1, which have figures of classes with `classes` only. The classes may be others than
            those of the training. If the model returns embeddings, the pairs are scored by the distance that its loss
            uses (Euclidean for other losses).
        classes: `(n, 2)` class labels of both sides of ready pairs.
        every: Number of epochs from one report to the next: 2 means after the second, the fourth and so on.
        class_counts: Number of training samples of each class, a mapping or the array of the training labels. It
            defines the head, medium and tail groups.
        far: False accept rates at which the true accept rate is computed.
        filepath: A file to which each report is added as a line of JSON, with the `epoch`, counted from 0.
        append: Whether an existing file and `history_` are continued or replaced when training begins.
        log_dir: A folder for TensorBoard to which `plot_report` is added as an image; needs matplotlib and tensorboard.
        higher_is_similar: Whether the model's output grows with similarity. `None` takes it from the model's loss and
            last layer.
        n_resamples: Resamples for the intervals in the file and the image; 0 omits the intervals.
        verbose: 1 passes each report to `sink`.
        sink: A function of a text.

    Attributes:
        report_: The newest `PairReport`.
        history_: One dict per report, with its `epoch` and its entries of `logs`.

    Raises:
        ValueError: For arguments out of range; when training begins, if the direction of the output is unknown, or the
            model neither returns one score for each pair nor an embedding of each sample.
        TypeError: For arguments or validation data of the wrong kind.
        ImportError: If `log_dir` is given and a required package is missing.

    Examples:
        >>> x, y = np.random.default_rng(0).normal(size=(40, 4)), np.repeat(["a", "b"], [30, 10])
        >>> model = siamese_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        >>> model.compile("adam", WeightedContrastiveLoss())
        >>> pairs = BalancedPairSequence(x, y, batch_size=8, seed=0)
        >>> report = VerificationReport((x, y), class_counts=y)
        >>> history = model.fit(pairs, epochs=2, verbose=0, callbacks=[report])
        >>> len(history.history["val_tail_eer"]), report.report_.groups["tail"]["classes"]
        (2, ['b'])
    """

    shared = ("_pairs", "sink", "_event_writer")

    def __init__(
        self,
        validation_data: Any,
        *,
        classes: ArrayLike | None = None,
        every: int = 1,
        class_counts: Mapping[Label, int] | ArrayLike | None = None,
        far: Sequence[float] = FARS,
        filepath: str | Path | None = None,
        append: bool = False,
        log_dir: str | Path | None = None,
        higher_is_similar: bool | None = None,
        n_resamples: int = 0,
        verbose: int = 0,
        sink: Callable[[str], Any] = print,
    ):
        super().__init__()
        self.every = whole("every", every, 1)
        self.class_counts = check_class_counts(class_counts)
        self.far = _check_far(far)
        self.filepath = filepath
        self.append = append
        self.log_dir = log_dir
        self.higher_is_similar = higher_is_similar
        self.n_resamples = whole("n_resamples", n_resamples, 0)
        self.verbose = verbose
        if not callable(sink):
            raise TypeError(f"`sink` must be a function of a text, such as `print`. Received: sink={sink!r}")
        self.sink = sink
        self.report_: PairReport | None = None
        self.history_: list[dict[str, float]] = []
        self._pairs = open_pairs(validation_data)
        self._classes = classes
        if classes is not None:
            if not isinstance(self._pairs, ReadyPairs):
                raise ValueError("`classes` is for ready pairs; other validation data have their own")
            check_pairs(np.zeros(len(self._pairs.similar)), self._pairs.similar, classes)
        self._embeds = False  # whether the model returns embeddings
        self._output_is_similarity = False
        self._event_writer: Any = None
        if log_dir is not None:
            tensorboard()

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._embeds = returns_embeddings(model, self._pairs)
        if self._embeds:
            check_encoder(model)
            if self.higher_is_similar is not None:
                raise ValueError(
                    "`higher_is_similar` is for models that return scores; this one returns embeddings. "
                    f"Received: higher_is_similar={self.higher_is_similar!r}"
                )
            return
        check_model(model, self._pairs)
        direction = self.higher_is_similar
        self._output_is_similarity = higher_is_similar(model) if direction is None else direction

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.append:
            self.history_ = []
        epochs = (getattr(self, "params", None) or {}).get("epochs")
        if epochs is not None and epochs < self.every:
            warnings.warn(
                f"There will be no verification report, since the first one follows after {self.every} epochs. Lower "
                f"`every` or train longer. Received: every={self.every}, epochs={epochs}",
                stacklevel=2,
            )
        if processes().rank:
            return
        if self.filepath is not None:
            Path(self.filepath).parent.mkdir(parents=True, exist_ok=True)
            with open(self.filepath, "a" if self.append else "w", encoding="utf-8"):
                pass
        if self.log_dir is not None:
            writer, _, _ = tensorboard()
            self._close_events()  # of a training that was interrupted
            self._event_writer = writer(str(self.log_dir))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        assert self.model is not None
        scored = self._measure()
        problem = _problem(scored.distances)
        if problem:
            warnings.warn(f"Epoch {epoch + 1} has no verification report: {problem}", stacklevel=2)
            return
        self.report_ = evaluate_pairs(
            scored.distances,
            scored.similar,
            classes=scored.classes if self._classes is None else self._classes,
            samples=scored.samples,
            class_counts=self.class_counts or None,
            far=self.far,
            n_resamples=self.n_resamples,
        )
        entries = {f"val_{name}": value for name, value in _entries(self.report_).items() if math.isfinite(value)}
        self.history_.append({"epoch": epoch, **entries})
        if logs is not None:
            logs.update(entries)
        if processes().rank == 0:
            self._write(epoch, self.report_)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._close_events()

    def _measure(self) -> ScoredPairs:
        assert self.model is not None
        if self._embeds:
            assert isinstance(self._pairs, BalancedPairSequence)
            return measure_embedded(self.model, self._pairs, distance_of(self.model))
        return measure(self.model, self._pairs, self._output_is_similarity)

    def _close_events(self) -> None:
        if self._event_writer is not None:
            self._event_writer.close()
            self._event_writer = None

    def _write(self, epoch: int, report: PairReport) -> None:
        if self.verbose:
            self.sink(f"Epoch {epoch + 1}: {report}")
        if self.filepath is not None:
            line = json.dumps({"epoch": epoch, **json.loads(report.to_json())})
            with open(self.filepath, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        if self._event_writer is not None:
            self._event_writer.add_event(image_event(epoch, report))


def _check_far(far: Any) -> tuple[float, ...]:
    if isinstance(far, Real):
        raise TypeError(f"`far` must be a sequence: `far=[{far!r}]`. Received: far={far!r}")
    rates = tuple(positive("far", rate) for rate in far)
    if not all(rate < 1 for rate in rates):
        raise ValueError(f"`far` must hold rates between 0 and 1. Received: far={far!r}")
    return rates


def _entries(report: PairReport) -> dict[str, float]:
    names = ("eer", "roc_auc", "pr_auc", *(name for name in report.micro if name.startswith("tar_at_far_")))
    means = {"macro": report.macro, **report.groups}
    return {
        **{log_name(name): report.micro[name] for name in names},
        **{f"{group}_{name}": row[name] for group, row in means.items() for name in GROUP_FIGURES if name in row},
        "worst_error": max(
            (row["error"] for row in report.per_class.values() if math.isfinite(row["error"])), default=math.nan
        ),
    }


def _problem(distances: np.ndarray) -> str | None:
    """Return why there is nothing to report, or `None`."""
    if np.isnan(distances).any():
        return f"the model's output is NaN for {int(np.isnan(distances).sum()):,} of {len(distances):,} pairs."
    if distances.min() == distances.max():
        return f"its output is {distances[0]:g} for every pair, so the embeddings have collapsed to one point."
    return None
