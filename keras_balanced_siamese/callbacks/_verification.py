"""A report on validation pairs after every so many epochs."""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._checks import positive, whole
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.callbacks._model import check_model, higher_is_similar
from keras_balanced_siamese.callbacks._tensorboard import image_event, tensorboard
from keras_balanced_siamese.callbacks._validation import measure, open_validation
from keras_balanced_siamese.evaluation import FARS, PairReport, check_class_counts, evaluate_pairs

GROUPED = ("eer", "error", "roc_auc")  # logged for the mean over classes and for each group


class VerificationReport(keras.callbacks.Callback):
    """Evaluates the model on validation pairs during `fit`: equal error rates, overall and of the rare classes.

    `logs` gets, with `val_` in front:

    | entry | meaning |
    |---|---|
    | `eer`, `roc_auc`, `pr_auc`, `tar_at_far_0.01`, ... | of all pairs |
    | `macro_eer`, `macro_error`, `macro_roc_auc` | means over the classes |
    | `head_eer`, `medium_eer`, `tail_eer`; also `error`, `roc_auc` | means over these classes |
    | `worst_error` | largest error of a class |

    so `EarlyStopping(monitor="val_tail_eer", mode="min")` and `ModelCheckpoint` can go by them when they stand after
    this callback in the list; they need `mode`, since Keras does not know which way these are better. The names are
    explained at `PairReport`. What cannot be measured has no entry; nor have the epochs between two reports, as with
    `validation_freq` of `fit`.

    Args:
        validation_data: `(x, y)`, single samples with class labels, of which balanced pairs are drawn once, or a
            `BalancedPairSequence`, whose epoch 0 is used every time.
        every: Epochs from one report to the next: with 2 after the second, the fourth and so on.
        class_counts: Training samples of each class, a mapping or the array of the training labels, for head, medium
            and tail.
        far: False accept rates at which to give the true accept rate.
        filepath: A file that gets one line of JSON for each report, all of it and the `epoch`, counted from 0.
        log_dir: A folder that gets `plot_report` as an image for TensorBoard; this takes matplotlib and tensorboard.
        higher_is_similar: Whether the model's output grows with similarity. `None` asks the loss it is compiled with.
        n_resamples: For the intervals in the file and the image; 0 leaves them out.
        append: Whether an existing file and `history_` are continued or replaced when training begins.
        verbose: 1 gives each report to `sink`.
        sink: What takes it, `print` by default.

    Attributes:
        report_: The newest `PairReport`.
        history_: The numbers of the epochs with a report, and what each gave to `logs`, as dicts.

    Raises:
        ValueError: For arguments out of range; when training begins, if the direction of the output is not known, or
            the model does not take the pairs or give one score for each.
        TypeError: For arguments or validation data of the wrong kind.
        ImportError: If `log_dir` is given and a package for it is missing.

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

    def __init__(
        self,
        validation_data: Any,
        *,
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
            raise TypeError(f"`sink` must be a function that takes a text, such as print. Received: sink={sink!r}")
        self.sink = sink
        self.report_: PairReport | None = None
        self.history_: list[dict[str, float]] = []
        self._pairs = open_validation(validation_data)
        self._higher = False
        self._images: Any = None
        if log_dir is not None:
            tensorboard()

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        check_model(model, self._pairs)
        self._higher = higher_is_similar(model) if self.higher_is_similar is None else self.higher_is_similar

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.append:
            self.history_ = []
        epochs = (self.params or {}).get("epochs")
        if epochs is not None and epochs < self.every:
            warnings.warn(
                f"There will be no verification report: it comes after every {self.every} epochs. Lower `every`, or "
                f"train longer. Received: every={self.every}, epochs={epochs}",
                stacklevel=2,
            )
        if self.filepath is not None:
            Path(self.filepath).parent.mkdir(parents=True, exist_ok=True)
            with open(self.filepath, "a" if self.append else "w", encoding="utf-8"):
                pass
        if self.log_dir is not None:
            writer, _, _ = tensorboard()
            self._images = writer(str(self.log_dir))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        assert self.model is not None
        found = measure(self.model, self._pairs, self._higher)
        problem = _problem(found.distances)
        if problem:
            warnings.warn(f"Epoch {epoch + 1} has no verification report: {problem}", stacklevel=2)
            return
        self.report_ = evaluate_pairs(
            found.distances,
            found.similar,
            classes=found.classes,
            samples=found.samples,
            class_counts=self.class_counts or None,
            far=self.far,
            n_resamples=self.n_resamples,
        )
        entries = {f"val_{name}": value for name, value in _entries(self.report_).items() if math.isfinite(value)}
        self.history_.append({"epoch": epoch, **entries})
        if logs is not None:
            logs.update(entries)
        self._write(epoch, self.report_)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._images is not None:
            self._images.close()
            self._images = None

    def _write(self, epoch: int, report: PairReport) -> None:
        if self.verbose:
            self.sink(f"Epoch {epoch + 1}: {report}")
        if self.filepath is not None:
            line = json.dumps({"epoch": epoch, **json.loads(report.to_json())})
            with open(self.filepath, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        if self._images is not None:
            self._images.add_event(image_event(epoch, report))


def _check_far(far: Any) -> tuple[float, ...]:
    if isinstance(far, Real):
        raise TypeError(f"`far` must be a sequence: `far=[{far!r}]`. Received: far={far!r}")
    rates = tuple(positive("far", one) for one in far)
    if not all(rate < 1 for rate in rates):
        raise ValueError(f"`far` must hold rates between 0 and 1. Received: far={far!r}")
    return rates


def _entries(report: PairReport) -> dict[str, float]:
    names = ("eer", "roc_auc", "pr_auc", *(name for name in report.micro if name.startswith("tar_at_far_")))
    parts = {"macro": report.macro, **report.groups}
    return {
        **{name: report.micro[name] for name in names},
        **{f"{part}_{name}": figures[name] for part, figures in parts.items() for name in GROUPED},
        "worst_error": max(
            (row["error"] for row in report.per_class.values() if math.isfinite(row["error"])), default=math.nan
        ),
    }


def _problem(distances: np.ndarray) -> str | None:
    """Why there is nothing to report."""
    if np.isnan(distances).any():
        return f"the model's output is NaN for {int(np.isnan(distances).sum()):,} of {len(distances):,} pairs."
    if distances.min() == distances.max():
        return f"its output is {distances[0]:g} for every pair, so the embeddings have collapsed to one point."
    return None
