"""Per-class errors of an epoch -> the class weights of the next one."""

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import attach_state
from keras_balanced_siamese._checks import fraction, one_of, whole
from keras_balanced_siamese._typing import Strategy
from keras_balanced_siamese.callbacks._embedding import check_encoder
from keras_balanced_siamese.callbacks._model import (
    check_model,
    distance_of,
    higher_is_similar,
    losses_of,
    weighted_loss_of,
)
from keras_balanced_siamese.callbacks._validation import measure, measure_embedded
from keras_balanced_siamese.callbacks.adaptive._checks import (
    check_sampling,
    check_steps,
    check_validation,
    open_source_of_errors,
)
from keras_balanced_siamese.callbacks.adaptive._class_errors import (
    Errors,
    logged_errors,
    recorded_errors,
    validated_errors,
)
from keras_balanced_siamese.callbacks.adaptive._history import EpochRow, write_entries, write_entry
from keras_balanced_siamese.callbacks.adaptive._memory import Memory, check_state
from keras_balanced_siamese.callbacks.adaptive._rule import Rule, checked_rule
from keras_balanced_siamese.callbacks.adaptive._strategies import misfit
from keras_balanced_siamese.callbacks.adaptive._targets import Weights, adapted_of
from keras_balanced_siamese.losses import WeightedLoss
from keras_balanced_siamese.sampling import BalancedPairSequence, EpochSequence

WARM_UP = "warm-up"


class AdaptiveClassWeight(keras.callbacks.Callback):
    """Gives more weight to the classes that are rare or that the model finds hard, anew after every epoch.

    The weights of the target are its starting weights times a factor per class. After each epoch the errors are
    measured and smoothed, and the strategy turns them into the factors of the next epoch:

    ```
    shrunk_c   =  (m_c * error_c + 2 * mean error) / (m_c + 2)      for an error that rests on m_c items
    smoothed_c <- momentum * smoothed_c + (1 - momentum) * shrunk_c
    factor_c   ~  (smoothed_c + 0.05 * mean error) ** tau / drawn_c
    ```

    where `drawn_c` is how many items of the class an epoch draws, as the callback counts them itself: a class that is
    drawn a tenth as often gets ten times the weight. Starting weights that differ are taken as your own answer to that:
    then the factors follow the errors alone. They are scaled so that the weights of what is drawn have the mean of the
    starting weights, inside `bounds`, and no more than `max_step` away from the factor before. The new weights hold
    from the first step of the next epoch, on every backend, without compiling again.

    An update is left out, and `history_` says why, while `warmup_epochs` last, when fewer than half of the classes have
    an error, when errors are of no use to the strategy, and when the area under the ROC curve of the validation pairs
    is below 0.55: the errors of a model that tells nothing apart tell nothing about classes. A training in which that
    goes for every epoch ends with a warning.

    A class that has been at the upper bound for three updates without getting better by 1 % is given up by and by: its
    bound falls by a fifth with each further one, to 1 or to what makes up for its frequency. It rises again when the
    class gets better. No factor falls below 0.001.

    The target decides which classes there are:

    - a loss on pairs (`WeightedContrastiveLoss`, `WeightedBinaryCrossentropy`): the pair labels 0 and 1. The error is
      the mean loss of each label in training, before weighting.
    - a loss on class labels that was made with `class_weight` (`WeightedBatchContrastiveLoss`): the classes of the
      data. The error is the mean loss of each class in training, or that of `evaluate_pairs` on `validation_data`.
    - a `BalancedPairSequence` or `BalancedBatchSequence`: the classes of the data. The error is that of
      `evaluate_pairs` on `validation_data`. The callback also sets the sequence's epoch, so that a training that is
      resumed draws what it would have drawn.
    - anything else with a property `class_weight`, a mapping that can be read and assigned: the keys of that. The
      errors come from `monitor`, and no frequency is known.

    Adapting pays where class frequency is not corrected otherwise. On balanced pairs, and on top of weights that follow
    the counts, little is left: at most, the worst class becomes a little better. The callback warns where it has gained
    nothing (`adapt="sampling"` from balanced shares), and where weights of the classes of a loss correct frequency that
    the batches have corrected already.

    Args:
        target: What has the `class_weight` that is adapted. `None` means the loss the model is compiled with.
        adapt: `"weights"`, or `"sampling"`: the class shares of a sequence, its `class_sampling`. The rule is the same:
            shares come to be balanced, unless they were given class by class, and harder classes get more. What a class
            cannot fill within `max_repeats` the others get. Then `history_` holds `shares` in place of `weights`,
            and `logs` `"class_share/<class>"`.
        validation_data: `(x, y)` with class labels, of which balanced pairs are drawn once, or a
            `BalancedPairSequence`, whose epoch 0 is used every time. The model scores the pairs; a model of embeddings
            gives their distance, the one that its loss compares by (Euclidean for a loss of others).
        monitor: Take the errors from `logs` instead: class `c` has the entry `"<monitor>/<c>"`. For a loss
            `"val_class_loss"` is its mean loss of each label on the validation data of `fit`.
        strategy: What the factors follow. The limits hold for each.

            - `"difficulty"`: the rule above.
            - `"cdb"`: `error ** tau`, without a floor; with `tau="dynamic"` the exponent grows with the ratio of the
              largest to the smallest `1 - error` (errors between 0 and 1).
            - `"group_dro"`: the factor before, times `exp(tau * error / mean error)`: it goes on growing while a class
              stays worse than others.
            - `"deferred"`: equal weights until `warmup_epochs`, then those of the effective number of samples, counted
              in what an epoch draws of each class. Pass that epoch, about 4/5 of all, and wide `bounds`.
            - a callable `(errors: dict, weights: dict, epoch: int) -> dict` from smoothed errors and current weights to
              wanted weights, all of the classes that have an error in this epoch.
        tau: Exponent of the strategy: 0 makes no difference between easy and hard, 2 tells them apart sharply. `None`
            means 0.25 for `"difficulty"` and 1 for the others.
        momentum: Share of the old errors in the smoothed ones, from 0 to less than 1.
        bounds: Smallest and largest factor, below and above 1, or `None`.
        max_step: Largest change of a factor in one epoch, as a ratio of more than 1, or `None`.
        warmup_epochs: Epochs below this number only measure.
        higher_is_similar: Whether the model's output grows with similarity. `None` asks the loss it is compiled with.
        verbose: 1 gives a line per epoch to `sink`.
        sink: What takes those lines, `print` by default.

    Attributes:
        history_: One dict per epoch: `epoch`, `errors` and the `weights` it was trained with, each a dict by class, and
            `skipped`, why the weights were not changed after it, or `None`. A new list each time it is asked for.

    `logs` gets `"class_weight/<class>"`, the weights the epoch was trained with, and `"class_error/<class>"`; for a
    loss also `"class_loss/<class>"` and `"val_class_loss/<class>"`. `"class_weight_updated"` is 1, or 0 where the
    update was left out. So `History` records them, and so do `CSVLogger` and `TensorBoard` when they stand after this
    callback in the list. With more than 50 classes it is the smallest and the largest of each, `"class_weight/min"` and
    `"class_weight/max"`. Where another callback has already written such entries, for whatever classes, the names go on
    as in `"class_weight_1/<class>"`.

    Under `BackupAndRestore`, placed after this callback, a training that was broken off goes on as if it had not been,
    if what `fit` draws from is the target; a sequence beside another target needs `set_epoch` then.

    A weighted loss is reported with the weights of its epoch, in `val_loss` too: values of different epochs do not
    compare. Let `EarlyStopping` and `ModelCheckpoint` monitor a metric, or what `VerificationReport` adds to `logs`.

    Put it before callbacks that call `model.evaluate` themselves: that resets the record of the losses of the training.
    The record counts every item, those under a mask too.

    Raises:
        ValueError: For arguments out of range; when training begins, for a model whose loss has no class weights; for
            errors that are not there.
        TypeError: For a target, validation data or strategy of the wrong kind.

    Examples:
        >>> model = siamese_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        >>> model.compile("adam", WeightedContrastiveLoss())
        >>> x, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 4
        >>> pairs = BalancedPairSequence(x, y, batch_size=8, seed=0)
        >>> history = model.fit(pairs, epochs=3, verbose=0, callbacks=[AdaptiveClassWeight()])
        >>> history.history["class_weight/1"][:2]
        [1.0, 1.0]
        >>> history.history["class_weight/1"][2] != 1.0
        True

    References:
        Sinha, Ohashi, Nakamura, "Class-Wise Difficulty-Balanced Loss for Solving Class-Imbalance", ACCV 2020.
        Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020.
        Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019 (deferred).
    """

    def __init__(
        self,
        target: WeightedLoss | EpochSequence | None = None,
        *,
        adapt: str = "weights",
        validation_data: Any = None,
        monitor: str | None = None,
        strategy: Strategy = "difficulty",
        tau: float | str | None = None,
        momentum: float = 0.7,
        bounds: tuple[float, float] | None = (0.02, 50.0),
        max_step: float | None = 2.0,
        warmup_epochs: int = 1,
        higher_is_similar: bool | None = None,
        verbose: int = 0,
        sink: Callable[[str], Any] = print,
    ):
        super().__init__()
        self.strategy, self.tau, self.bounds, self.max_step = checked_rule(strategy, tau, bounds, max_step)
        self.target = target
        self.adapt = one_of("adapt", adapt, ("weights", "sampling"))
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"`monitor` must be the prefix of entries of `logs`. Received: monitor={monitor!r}")
        self.monitor = monitor
        self.momentum = fraction("momentum", momentum)
        if self.momentum == 1:
            raise ValueError(f"`momentum` must be less than 1, or nothing is ever learned. Received: {momentum!r}")
        self.warmup_epochs = whole("warmup_epochs", warmup_epochs, 0)
        self.higher_is_similar = higher_is_similar
        self.verbose = verbose
        if not callable(sink):
            raise TypeError(f"`sink` must take a line of text, such as `print`. Received: sink={sink!r}")
        self.sink = sink
        self._rows: list[EpochRow] = []
        self._begun = 0  # how many of them were there when the training began
        self._training = False  # whether a `fit` goes on
        self._validation = open_source_of_errors(target, validation_data, monitor)
        if adapt == "sampling":
            check_sampling(target)
        self._adapted: Weights | None = None  # what is adapted, once the model is known
        self._memory: Memory | None = None
        self._kept = np.ones(0)  # its values after the last epoch
        self._waiting: Mapping[str, Any] | None = None  # a state that was given before the model was known
        self._higher = False  # whether the model's output grows with similarity
        self._in_epoch = False
        self._tested = False  # whether the epoch has had a validation
        self._train_record: tuple[np.ndarray, np.ndarray] | None = None
        self._test_record: tuple[np.ndarray, np.ndarray] | None = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        target = weighted_loss_of(model) if self.target is None else self.target
        live = getattr(target, "live_weights", None)
        if isinstance(target, WeightedLoss) and live is None:
            raise ValueError(
                "`target` has no class weights to adapt: make it with `class_weight`, with weights of 1 if need be, "
                "`class_weight={0: 1.0, 1: 1.0, ...}`."
            )
        if live is not None:
            if target not in losses_of(model):
                raise ValueError("`target` must be a loss that the model is compiled with. Received: another loss")
            live.attach_to(model)
        if self._validation is not None:
            if self.target is None:
                check_validation(target, self._validation)
            if not isinstance(target, BalancedPairSequence):
                check_encoder(model)
            else:
                check_model(model, self._validation)
                self._higher = higher_is_similar(model) if self.higher_is_similar is None else self.higher_is_similar
        if self._adapted is None or target is not self._adapted.target:
            self._adapted = adapted_of(target, self.adapt)
            highest = None if self.bounds is None else self.bounds[1]
            self._memory = Memory(self._adapted.classes, self._adapted.values, self.momentum, highest)
        place = f"loss_{losses_of(model).index(target)}" if live is not None else self._adapted.place
        if self._waiting is not None:
            self.set_state(self._waiting)
            self._waiting = None
        self._kept = self._adapted.values
        self._training = True
        attach_state(model, f"_adaptive_class_weight_{place}", self._saved, self._restore)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The epochs so far, each as a dict."""
        return [row.by_class() for row in self._rows]

    def get_state(self) -> dict[str, Any]:
        """All that the next update depends on, as lists that JSON can hold: to go on later, by `set_state`.

        `BackupAndRestore` carries it by itself; put it after this callback.
        """
        if self._adapted is None or self._memory is None:
            raise ValueError("There is no state before the callback has met a model: call it during or after `fit`.")
        return self._state(self._adapted.values)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave, with the weights that the target had then.

        Before `fit` it is kept until `fit` begins.

        Raises:
            TypeError: If it is no such state.
            ValueError: If it is of another `adapt`, or of other classes, which may only show when `fit` begins.
        """
        check_state(state)
        if state["adapt"] != self.adapt:
            raise ValueError(f"The state must be of adapt={self.adapt!r}. Received: one of adapt={state['adapt']!r}")
        if self._adapted is None or self._memory is None:
            self._waiting = state
            return
        self._kept = self._memory.restore(state)
        self._adapted.given_by_class = state["given_by_class"]
        self._adapted.set(self._kept)

    def _state(self, values: np.ndarray) -> dict[str, Any]:
        assert self._adapted is not None
        assert self._memory is not None
        return {"adapt": self.adapt, "given_by_class": self._adapted.given_by_class, **self._memory.state(values)}

    def _saved(self) -> str:
        return json.dumps(self._state(self._kept))

    def _restore(self, text: str) -> None:
        """Take a state from a file, which may be of another training; outside `fit` the target is left alone."""
        if not self._training:
            return
        try:
            self.set_state(json.loads(text))
        except ValueError as error:
            warnings.warn(f"The state of AdaptiveClassWeight in the file is left alone. {error}", stacklevel=2)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        check_steps(self.target, (self.params or {}).get("steps"))
        self._begun = len(self._rows)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._training = False
        reasons = [row.skipped for row in self._rows[self._begun :]]
        if reasons and all(reasons):
            reason = reasons[-1]
            if reason == WARM_UP:
                reason = (
                    f"all its epochs are below warmup_epochs={self.warmup_epochs}. `fit` counts them from "
                    "`initial_epoch`: pass that, if this training goes on with an earlier one"
                )
            warnings.warn(f"AdaptiveClassWeight has changed nothing in this training: {reason}", stacklevel=2)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._in_epoch, self._tested = True, False
        self._train_record = self._test_record = None
        assert self._adapted is not None
        self._adapted.begin(epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._in_epoch:  # the record of the training is about to be reset
            self._train_record = self._record()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._in_epoch:
            self._tested = True
            self._test_record = self._record()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert self._adapted is not None
        assert self._memory is not None
        self._in_epoch = False
        logs, classes = {} if logs is None else logs, self._adapted.classes
        self._train_record = self._train_record or self._record()
        for prefix, record in (("class_loss", self._train_record), ("val_class_loss", self._test_record)):
            if record is not None:
                write_entries(logs, prefix, classes, record[0])
        found, weights = self._errors(logs), self._adapted.values
        write_entries(logs, self._adapted.entry, classes, weights)
        write_entries(logs, "class_error", classes, found.values)
        known = np.isfinite(found.values)
        items = self._adapted.items_per_epoch(self._train_record)
        if np.isnan(self._memory.counts).all():  # for the first time
            self._adapted.check_start(items, self._memory.start)
        self._memory.learn(found.values, found.support, items)
        skipped = self._reason_to_skip(epoch, found.values[known], found.problem)
        self._rows.append(EpochRow(epoch, self._adapted, found.values, weights, skipped))
        write_entry(logs, "class_weight_updated", float(skipped is None))
        if skipped is None:
            rule = Rule(self.strategy, self.tau, self.bounds, self.max_step)
            self._adapted.set(rule.next_values(self._adapted, self._memory, weights, known, epoch))
        self._kept = self._adapted.values
        if self.verbose:
            new = ", ".join(f"{label}: {weight:.3g}" for label, weight in self._adapted.by_class(self._kept).items())
            new = new if len(new) < 300 else new[:297] + "..."
            kept = "" if skipped is None else f" (kept: {skipped})"
            lead = "\n" if self.sink is print and (self.params or {}).get("verbose") == 1 else ""  # after a bar
            self.sink(f"{lead}Epoch {epoch + 1}: class {self._adapted.noun} now {new}{kept}")

    def _reason_to_skip(self, epoch: int, known: np.ndarray, problem: str | None) -> str | None:
        """Why there is no update, if so; `known` are the errors of the classes that have one."""
        assert self._adapted is not None
        if epoch < self.warmup_epochs:
            return WARM_UP
        if problem is not None:
            return problem
        n_classes = len(self._adapted.classes)
        if not len(known) or 2 * len(known) < n_classes:
            return f"only {len(known)} of {n_classes} classes have an error"
        if isinstance(self.strategy, str):
            return misfit(self.strategy, self.tau, known)
        return None

    def _errors(self, logs: dict[str, Any]) -> Errors:
        assert self._adapted is not None
        target, classes = self._adapted.target, self._adapted.classes
        if self._validation is not None:
            assert self.model is not None
            if isinstance(target, BalancedPairSequence):
                cure = f": does a high output mean similar? It was taken so: {self._higher}, see `higher_is_similar`"
                return validated_errors(measure(self.model, self._validation, self._higher), classes, cure)
            return validated_errors(measure_embedded(self.model, self._validation, distance_of(self.model)), classes)
        if self._train_record is not None and self.monitor in (None, "class_loss", "val_class_loss"):
            record = self._test_record if self.monitor == "val_class_loss" else self._train_record
            return recorded_errors(record, classes)
        assert self.monitor is not None
        return logged_errors(logs, self.monitor, classes, self._tested)

    def _record(self) -> tuple[np.ndarray, np.ndarray] | None:
        live = getattr(getattr(self._adapted, "target", None), "live_weights", None)
        return None if live is None else live.means_and_counts()
