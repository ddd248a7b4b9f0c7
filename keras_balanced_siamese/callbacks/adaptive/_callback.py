"""The callback that adapts class weights to the errors of the classes."""

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._backend import attach_state, of_first_process, processes
from keras_balanced_siamese._checks import one_of, whole
from keras_balanced_siamese._model_output import higher_is_similar
from keras_balanced_siamese._running_model import is_fitting
from keras_balanced_siamese._text import log_names
from keras_balanced_siamese._typing import Label, Strategy
from keras_balanced_siamese.callbacks._model import weighted_loss_of
from keras_balanced_siamese.callbacks._target import DataCallback
from keras_balanced_siamese.callbacks.adaptive._checks import (
    check_momentum,
    check_monitor,
    check_sampling,
    check_sink,
    check_steps,
    check_validation,
    open_source_of_errors,
)
from keras_balanced_siamese.callbacks.adaptive._class_errors import (
    ClassErrors,
    LossRecord,
    logged_errors,
    measured_errors,
    record_of_processes,
    recorded_errors,
)
from keras_balanced_siamese.callbacks.adaptive._history import (
    WARM_UP,
    EpochRow,
    warn_if_unchanged,
    write_entries,
    write_entry,
)
from keras_balanced_siamese.callbacks.adaptive._memory import Memory, check_state
from keras_balanced_siamese.callbacks.adaptive._rule import Rule, checked_rule, correct_frequency, update_target
from keras_balanced_siamese.callbacks.adaptive._targets import AdaptedValues, HasClassWeight, adapted_of, attach_loss
from keras_balanced_siamese.callbacks.adaptive._trainings import is_trained_by, remember_training, starting_values
from keras_balanced_siamese.losses import WeightedLoss
from keras_balanced_siamese.sampling import BalancedPairSequence, EpochSequence
from keras_balanced_siamese.scoring import check_encoder, check_model


class AdaptiveClassWeight(DataCallback):
    """Adapts class weights after every epoch: rare classes and classes with larger errors get more weight.

    The weight of a class is its starting weight times a factor. After each epoch the errors are measured and smoothed,
    and the strategy turns them into the factors of the next epoch:

    ```
    shrunk_c   =  (m_c * error_c + 2 * mean error) / (m_c + 2)      for an error measured on m_c items
    smoothed_c <- momentum * smoothed_c + (1 - momentum) * shrunk_c
    factor_c   ~  (smoothed_c + 0.05 * mean error) ** tau / items_c
    ```

    where `items_c` is the number of items of the class in an epoch, which the callback counts: a class with a tenth of
    the items gets ten times the weight. If the starting weights differ, they are taken as the correction for
    frequency, and the factors depend on the errors alone. If a loss on pairs starts with equal weights, and one pair
    label is more than twice as frequent as the other in the first epoch, the factors that correct this are used
    from the second epoch, whatever `max_step` and `warmup_epochs` are. The factors are scaled so that the mean weight
    of the items stays that of the starting weights. They stay within `bounds`, change by at most `max_step` per epoch,
    and never fall below 0.001. The new weights are used from the first step of the next epoch, on every backend,
    without compiling again.

    An update is skipped, and the reason recorded in `history_`, during `warmup_epochs`, if fewer than half of the
    classes have an error, if the strategy cannot use the errors, and if the area under the ROC curve of the validation
    pairs is below 0.55, since the errors of such a model carry no information about classes. A training in which every
    update is skipped ends with a warning.

    If a class stays at its upper bound for three updates without improving by 1 %, its bound falls by a fifth with each
    further update, down to 1 or to the factor that corrects its frequency. The bound rises again when the class
    improves.

    The target determines the classes:

    - a loss on pairs (`WeightedContrastiveLoss`, `WeightedBinaryCrossentropy`): the pair labels 0 and 1. The error is
      the mean training loss of each label, before weighting.
    - a loss on class labels constructed with `class_weight` (`WeightedBatchContrastiveLoss`): the classes of the data.
      The error is the mean training loss of each class, or that of `evaluate_pairs` on `validation_data`.
    - a `BalancedPairSequence` or `BalancedBatchSequence`: the classes of the data. The error is that of
      `evaluate_pairs` on `validation_data`. The callback also sets the epoch of the sequence, so that a resumed
      training draws the same batches.
    - any other object with a property `class_weight`, a mapping that can be read and assigned: its keys. The errors
      come from `monitor`, and class frequency is unknown.

    Adapting helps where class frequency is not corrected otherwise. On balanced pairs, or with weights that follow the
    counts, at most the worst class improves a little. A warning is raised for `adapt="sampling"` from balanced shares,
    which gained nothing, and for class weights of a loss that correct a frequency which the batches have corrected.

    Args:
        target: The object whose `class_weight` is adapted. `None` means the loss the model is compiled with.
        adapt: `"weights"`, or `"sampling"` to adapt the class shares of a sequence, its `class_sampling`. The rule is
            the same: shares become balanced unless they were given class by class, and harder classes get more. If
            `max_repeats` limits a class, the other classes get the rest. `history_` then holds `shares` instead of
            `weights`, and `logs` `"class_share/<class>"`.
        validation_data: `(x, y)` with class labels, from which balanced pairs are drawn once, or a
            `BalancedPairSequence`, whose epoch 0 is used every time. The model scores the pairs. If it returns
            embeddings, the pairs are scored by the distance that its loss uses (Euclidean for other losses).
            The classes must be those of the target, as new classes have no weight: measure those with
            `VerificationReport` in the same `fit`.
        monitor: Take the errors from `logs` instead: the error of class `c` is the entry `"<monitor>/<c>"`. For a loss,
            `"val_class_loss"` is the mean loss of each class on the validation data of `fit`.
        strategy: The rule for the factors. The limits apply to each.

            - `"difficulty"`: the rule above.
            - `"cdb"`: `error ** tau`, without a floor; with `tau="dynamic"` the exponent grows with the ratio of the
              largest to the smallest `1 - error` (errors between 0 and 1).
            - `"group_dro"`: the current factor times `exp(tau * error / mean error)`, so that it keeps growing while a
              class is worse than others.
            - `"deferred"`: equal weights until `warmup_epochs`, then weights by the effective number of samples,
              counted in the items of an epoch. Set `warmup_epochs` to about 4/5 of all epochs, and wide `bounds`.
            - a callable `(errors: dict, weights: dict, epoch: int) -> dict` from smoothed errors and current weights to
              wanted weights, for the classes that have an error in this epoch.
        tau: Exponent of the strategy: with 0, errors have no effect; with 2, a strong one. `None` means 0.25 for
            `"difficulty"` and 1 for the others.
        momentum: Share of the old errors in the smoothed ones, from 0 to less than 1.
        bounds: Smallest and largest factor, below and above 1, or `None`.
        max_step: Largest change of a factor in one epoch, as a ratio of more than 1, or `None`.
        warmup_epochs: The number of epochs without an update, counted from epoch 0.
        higher_is_similar: Whether the model's output grows with similarity. `None` takes it from the model's loss and
            last layer.
        verbose: 1 passes a line per epoch to `sink`.
        sink: A function of a line of text.

    Attributes:
        log_names_: A dict from class to its name in `logs`.
        history_: A new list with one dict per epoch: `epoch`, `errors` and the `weights` during the epoch, each a dict
            by class, and `skipped`, the reason why no update followed, or `None`.

    `logs` gets `"class_weight/<class>"`, the weights during the epoch, and `"class_error/<class>"`; for a loss also
    `"class_loss/<class>"` and `"val_class_loss/<class>"`. `"class_weight_updated"` is 1, or 0 if the update was
    skipped. `History` records these entries, and so do `CSVLogger` and `TensorBoard` if they follow this callback in
    the list. With more than 50 classes only the smallest and the largest value are logged, as `"class_weight/min"` and
    `"class_weight/max"`. In the name of a class, all characters other than letters, digits, `_`, `-` and spaces become
    `_`, as experiment trackers and `ModelCheckpoint` refuse them; see `log_names_`. If another callback has written
    such entries, the names get a number, as in `"class_weight_1/<class>"`.

    The adapted weights stay with the target. If `fit` trains the same model again, they are adapted further. If the
    callback, or another one, begins to train another model, the target gets its starting weights again, unless its
    weights were assigned or loaded since. A deep copy of the callback, as of a tuner for each trial, shares the target
    and the validation data.

    A model with a `train_step` of its own may call the loss itself. A stateless step must compute it by
    `stateless_compute_loss`, or in a `keras.StatelessScope` of the variables of all metrics.

    With `BackupAndRestore`, placed after this callback, an interrupted training continues with the same state if `fit`
    trains on the target. For a sequence that is not the target, call `set_epoch` before.

    A weighted loss is reported with the weights of its epoch, in `val_loss` too, so that its values are not comparable
    between epochs. Let `EarlyStopping` and `ModelCheckpoint` monitor a metric or the entries of `VerificationReport`.

    In connected processes, each uses the same callback: the losses of all are recorded together, the errors are those
    of the first process, and it alone prints.

    Place this callback before callbacks that call `model.evaluate`, whose losses are recorded too. The record counts
    every item, masked ones included.

    Raises:
        ValueError: For arguments out of range; when training begins, for a model whose loss has no class weights, or
            whose steps do not use them; for missing errors; after the first epoch, if `fit` does not draw from
            the target sequence or does not call the target loss.
        TypeError: For a target, validation data or strategy of the wrong kind.
        RuntimeError: If another connected process does not use the same callback.

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

    shared = ("target", "_validation", "strategy", "sink")

    def __init__(
        self,
        target: WeightedLoss | EpochSequence | HasClassWeight | None = None,
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
        self.monitor = check_monitor(monitor)
        self.momentum = check_momentum(momentum)
        self.warmup_epochs = whole("warmup_epochs", warmup_epochs, 0)
        self.higher_is_similar = higher_is_similar
        self.verbose = verbose
        self.sink = check_sink(sink)
        self._validation = open_source_of_errors(target, validation_data, monitor)
        if adapt == "sampling":
            check_sampling(target)
        self._rows: list[EpochRow] = []
        self._first_row = 0  # of this training
        self._restored = False  # whether `set_state` was called since the last epoch
        self._in_epoch = False
        self._validated = False  # whether the epoch has had a validation
        self._train_record: LossRecord | None = None
        self._validation_record: LossRecord | None = None
        self._adapted: AdaptedValues[Any] | None = None  # set with the model, as is the memory
        self._memory: Memory | None = None
        self._saved_values = np.ones(0)  # the values after the last epoch
        self._pending_state: Mapping[str, Any] | None = None  # given before the model was set
        self._output_is_similarity = False

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        target = weighted_loss_of(model) if self.target is None else self.target
        if isinstance(target, WeightedLoss):
            attach_loss(target, model)
        if self._validation is not None:
            self._check_validation(model, target, self._validation)
        adapted = self._adapted
        if adapted is None or target is not adapted.target or not (self._restored or is_trained_by(adapted, model)):
            self._adapted = adapted_of(target, self.adapt)
            highest = None if self.bounds is None else self.bounds[1]
            start = starting_values(self._adapted, model)
            self._memory = Memory(self._adapted.classes, start, self.momentum, highest)
        if self._pending_state is not None:
            self.set_state(self._pending_state)
            self._pending_state = None
        adapted = self._keep_values()
        name = f"_adaptive_class_weight_{adapted.state_name(model)}"
        attach_state(model, name, self._dump, self._load)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        check_steps(self.target, (getattr(self, "params", None) or {}).get("steps"))
        self._first_row = len(self._rows)
        self._in_epoch = False
        self._begin_to_count(self.target)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        warn_if_unchanged(self._rows[self._first_row :], self.warmup_epochs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._in_epoch, self._validated, self._restored = True, False, False
        self._train_record = self._validation_record = None
        assert self._adapted is not None
        self._adapted.begin(epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._in_epoch and self._adapted is not None:  # the record of the training is about to be reset
            self._train_record = self._adapted.loss_record()
            self._adapted.reset_record()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._in_epoch and self._adapted is not None:
            self._validated = True
            self._validation_record = self._adapted.loss_record()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        adapted, memory = self._adapted, self._memory
        assert adapted is not None
        assert memory is not None
        self._in_epoch = False
        self._check_served(self.target, "target", f"the adapted {adapted.noun} had no effect")
        logs = {} if logs is None else logs
        self._train_record = record_of_processes(self._train_record or adapted.loss_record())
        self._validation_record = record_of_processes(self._validation_record)
        if len(self._rows) == self._first_row:
            adapted.check_used(self._train_record)
        for prefix, record in (("class_loss", self._train_record), ("val_class_loss", self._validation_record)):
            if record is not None:
                write_entries(logs, prefix, adapted.classes, record[0])
        errors, values = of_first_process(self._errors(logs), "AdaptiveClassWeight"), adapted.values
        write_entries(logs, adapted.log_name, adapted.classes, values)
        write_entries(logs, "class_error", adapted.classes, errors.values)
        items = adapted.items_per_epoch(self._train_record)
        if first := np.isnan(memory.counts).all():
            adapted.check_start(items, memory.start)
        memory.learn(errors.values, errors.support, items)
        rule = Rule(self.strategy, self.tau, self.bounds, self.max_step)
        skipped = self._reason_to_skip(rule, epoch, errors)
        at_once = first and self.strategy == "difficulty" and (values == memory.start[0]).all()
        if at_once and adapted.is_imbalanced(items):
            correct_frequency(rule, adapted, memory)
            skipped = None
        elif skipped is None:
            update_target(rule, adapted, memory, np.isfinite(errors.values), epoch)
        row = EpochRow(epoch, adapted, errors.values, values, skipped)
        self._rows.append(row)
        write_entry(logs, "class_weight_updated", float(skipped is None))
        self._keep_values()
        if self.verbose and processes().rank == 0:
            after_bar = self.sink is print and (getattr(self, "params", None) or {}).get("verbose") == 1
            self.sink(("\n" if after_bar else "") + row.line(self._saved_values))

    @property
    def log_names_(self) -> dict[Label, str]:
        """The name of each class in `logs`."""
        return log_names([] if self._adapted is None else self._adapted.classes)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """One dict per epoch."""
        return [row.by_class() for row in self._rows]

    def get_state(self) -> dict[str, Any]:
        """Return the state that the next update depends on, as lists that JSON can hold, for `set_state`.

        `BackupAndRestore`, placed after this callback, saves and restores it.
        """
        if self._adapted is None or self._memory is None:
            raise ValueError("There is no state before the model is set: call `get_state` during or after `fit`.")
        return self._state(self._adapted.values)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `get_state` returned, and set the weights of the target to those of the state.

        Before `fit`, the state is stored and applied when `fit` begins.

        Raises:
            TypeError: If `state` is not such a state.
            ValueError: If its `adapt` or its classes differ, or its numbers cannot be weights, errors or counts. The
                classes may be checked only when `fit` begins.
        """
        check_state(state)
        if state["adapt"] != self.adapt:
            raise ValueError(f"The state must be of adapt={self.adapt!r}. Received: one of adapt={state['adapt']!r}")
        if self._adapted is None or self._memory is None:
            self._pending_state = state
            return
        values = self._memory.restore(state)
        self._adapted.given_by_class = state["given_by_class"]
        self._adapted.set(values)
        self._restored = True
        self._keep_values()

    def _keep_values(self) -> AdaptedValues[Any]:
        """Keep the values of the target as those of the training of this model; return the target's."""
        assert self._adapted is not None
        assert self._memory is not None
        self._saved_values = self._adapted.values
        if self.model is not None:
            remember_training(self._adapted, self.model, self._memory.start)
        return self._adapted

    def _state(self, values: np.ndarray) -> dict[str, Any]:
        assert self._adapted is not None
        assert self._memory is not None
        return {"adapt": self.adapt, "given_by_class": self._adapted.given_by_class, **self._memory.state(values)}

    def _dump(self) -> str:
        return json.dumps(self._state(self._saved_values))

    def _load(self, text: str) -> None:
        """Restore a state from a file, which may be of another training; outside `fit` the target does not change."""
        if self.model is None or not is_fitting(self.model):
            return
        try:
            self.set_state(json.loads(text))
        except (TypeError, ValueError) as error:
            warnings.warn(f"The state of AdaptiveClassWeight in the file is not used. {error}", stacklevel=2)

    def _check_validation(self, model: keras.Model, target: Any, pairs: BalancedPairSequence) -> None:
        """Raise if the model cannot score the validation pairs; find the direction of its output."""
        if self.target is None:
            check_validation(target, pairs)
        if not isinstance(target, BalancedPairSequence):
            check_encoder(model)
            return
        check_model(model, pairs)
        direction = self.higher_is_similar
        self._output_is_similarity = higher_is_similar(model) if direction is None else direction

    def _reason_to_skip(self, rule: Rule, epoch: int, errors: ClassErrors) -> str | None:
        if epoch < self.warmup_epochs:
            return WARM_UP
        return errors.problem or rule.reason_to_skip(errors.values)

    def _errors(self, logs: dict[str, Any]) -> ClassErrors:
        """Return the errors of the epoch from their source."""
        assert self._adapted is not None
        target, classes = self._adapted.target, self._adapted.classes
        if self._validation is not None:
            return measured_errors(self.model, target, self._validation, self._output_is_similarity, classes)
        if self._train_record is not None and self.monitor in (None, "class_loss", "val_class_loss"):
            record = self._validation_record if self.monitor == "val_class_loss" else self._train_record
            return recorded_errors(record, classes)
        assert self.monitor is not None
        return logged_errors(logs, self.monitor, classes, self._validated)
