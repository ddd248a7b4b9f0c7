"""What an evaluation found, and how it is printed and passed on."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.evaluation._table import table


@dataclass(frozen=True)
class PairReport:
    """What `evaluate_pairs` or `evaluate_embeddings` found; `print` shows it as a table.

    Figures have the same names everywhere:

    | name | meaning |
    |---|---|
    | `roc_auc` | chance that a similar pair is closer than a different one, ties counting half |
    | `pr_auc` | average precision of "similar" (depends on the share of similar pairs) |
    | `eer` | equal error rate, where the false accept and the false reject rate meet |
    | `tar_at_far_0.01` | true accept rate at the threshold with the largest false accept rate of at most 0.01 |
    | `achieved_far_0.01` | that false accept rate |
    | `min_dcf_10_1_0.01` | least detection cost, for the costs of a miss and a false accept and the share of similar |
    | `false_reject_rate`, `false_accept_rate` | at `threshold`; also called FNMR and FMR |
    | `error`, `balanced_accuracy` | their mean, and 1 less it |
    | `mcc` | Matthews correlation of decision and truth (depends on the share of similar pairs) |
    | `recall@5` | share of the samples with one of their class among the 5 nearest others |
    | `r_precision` | share of the class among the R nearest, R being the number of others of that class |
    | `map@r` | mean average precision at R |

    The last three come from `evaluate_embeddings` alone. What cannot be measured is NaN: a true accept rate at a false
    accept rate for which there are too few different pairs, say.

    Attributes:
        n_similar: Number of pairs of one class.
        n_different: Number of pairs of different classes.
        threshold: Distance up to which a pair is accepted.
        threshold_given: Whether it was given; else it is that of the equal error rate of these very pairs, at which
            decisions look a little better than they are.
        eer_threshold: The distance at which the error rates of these pairs are equal.
        micro: Figures of all pairs together.
        macro: Means of the figures over the classes that have them.
        per_class: Figures of each class: of its similar pairs, and of the different pairs with it on either side; with
            their numbers `n_similar` and `n_different`. Empty if no classes were given.
        groups: `"head"`, `"medium"`, `"tail"`: the most common to the rarest third of the classes by `class_counts`:
            `classes`, and the means of their figures. Empty without `class_counts`.
        intervals: `(low, high)` by figure under `"micro"` and `"macro"`, by group and figure under `"groups"`, by class
            and figure under `"per_class"`; NaN where the resamples do not tell, as for the false accept rate of two
            classes.
        confidence: Share of such intervals that are to hold the true figure.
        resampled: What they draw again: `"classes"` or `"samples"`; `None` without intervals.
        class_counts: Training samples of each class, as given.
        curve: Operating points for plots, `threshold`, `far` and `frr`; up to about 1,300 of them. The first one
            accepts nothing: its threshold is minus infinity, in JSON null.
        histogram: `edges` of bins of the distances, and the share of the `similar` and `different` pairs in each. What
            is far from all others or infinite lies outside: `below` and `above` hold its share of both kinds.
        calibration: If the threshold came from `calibrate`: `expected_calibration_error`, `brier`, `log_loss` and
            `bins` of its probabilities on these pairs.
    """

    n_similar: int
    n_different: int
    threshold: float
    threshold_given: bool
    eer_threshold: float
    micro: dict[str, float]
    macro: dict[str, float] = field(default_factory=dict)
    per_class: dict[Label, dict[str, float]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    intervals: dict[str, Any] = field(default_factory=dict)
    confidence: float = 0.95
    resampled: str | None = None
    class_counts: dict[Label, int] = field(default_factory=dict)
    curve: dict[str, list[float]] = field(default_factory=dict, repr=False)
    histogram: dict[str, Any] = field(default_factory=dict, repr=False)
    calibration: dict[str, Any] = field(default_factory=dict)

    @property
    def roc_auc(self) -> float:
        """Area under the ROC curve of all pairs."""
        return self.micro["roc_auc"]

    @property
    def pr_auc(self) -> float:
        """Average precision of all pairs."""
        return self.micro["pr_auc"]

    @property
    def eer(self) -> float:
        """Equal error rate of all pairs."""
        return self.micro["eer"]

    @property
    def balanced_accuracy(self) -> float:
        """Of all pairs, at `threshold`."""
        return self.micro["balanced_accuracy"]

    @property
    def mcc(self) -> float:
        """Matthews correlation of all pairs, at `threshold`."""
        return self.micro["mcc"]

    @property
    def tar_at_far(self) -> dict[float, float]:
        """True accept rate of all pairs by false accept rate; NaN where there are too few different pairs."""
        return self._by_far("tar_at_far_")

    @property
    def achieved_far(self) -> dict[float, float]:
        """The false accept rates at which `tar_at_far` is in fact taken: equal distances are not told apart."""
        return self._by_far("achieved_far_")

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers."""
        return asdict(self)

    def to_json(self, path: str | Path | None = None, **kwargs: Any) -> str:
        """The same as JSON, also written to a file if `path` is given; what is not a finite number becomes null.

        `kwargs` go to `json.dumps`.
        """
        text = json.dumps(_plain(self.to_dict()), **kwargs)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`: a row for all pairs, the mean over classes, each group and class; a column a figure.

        Where there are intervals the columns `<figure>_low` and `<figure>_high` hold their ends.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("`to_pandas` needs pandas: pip install pandas") from error
        bounds = self.intervals
        parts = [
            ("all", {"micro": self.micro, "macro": self.macro}, bounds),
            ("group", self.groups, bounds.get("groups", {})),
            ("class", self.per_class, bounds.get("per_class", {})),
        ]
        rows = {
            (part, name): _row(figures, its.get(name, {}))
            for part, names, its in parts
            for name, figures in names.items()
            if figures
        }
        index = pandas.MultiIndex.from_tuples(list(rows), names=["part", "name"])
        return pandas.DataFrame(list(rows.values()), index=index)

    def __str__(self) -> str:
        return table(self)

    def _by_far(self, prefix: str) -> dict[float, float]:
        return {float(name[len(prefix) :]): value for name, value in self.micro.items() if name.startswith(prefix)}


def _row(figures: dict[str, Any], bounds: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Figures without the list of classes, then the ends of their intervals."""
    ends = {}
    for name, (low, high) in bounds.items():
        ends |= {f"{name}_low": low, f"{name}_high": high}
    return {name: value for name, value in figures.items() if name != "classes"} | ends


def _plain(value: Any) -> Any:
    """With keys and values that JSON has."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
