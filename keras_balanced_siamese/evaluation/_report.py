"""Report of an evaluation, and its conversion to text, JSON and pandas."""

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
    """Result of `evaluate_pairs` or `evaluate_embeddings`; `print` shows it as a table.

    All parts use the same names of figures:

    | name | meaning |
    |---|---|
    | `roc_auc` | probability that a similar pair is closer than a different one, with ties counting one half |
    | `pr_auc` | average precision of "similar" (depends on the share of similar pairs) |
    | `eer` | equal error rate, where the false accept and the false reject rate are equal |
    | `tar_at_far_0.01` | true accept rate at the threshold with the largest false accept rate of at most 0.01 |
    | `achieved_far_0.01` | that false accept rate |
    | `min_dcf_10_1_0.01` | minimum detection cost (costs of a miss and of a false accept, share of similar pairs) |
    | `false_reject_rate`, `false_accept_rate` | at `threshold`; also called FNMR and FMR |
    | `error`, `balanced_accuracy` | mean of these rates, and 1 minus this mean |
    | `mcc` | Matthews correlation of decisions and truth (depends on the share of similar pairs) |
    | `recall@5` | share of the samples with another of their class among the 5 nearest |
    | `r_precision` | share of the class among the R nearest, where R is the number of other samples of that class |
    | `map@r` | mean average precision at R |

    The last three are computed by `evaluate_embeddings` only. Figures that are not measurable are NaN, such as a true
    accept rate at a false accept rate that needs more different pairs.

    Attributes:
        n_similar: Number of pairs of the same class.
        n_different: Number of pairs of different classes.
        threshold: Largest accepted distance.
        threshold_given: Whether the threshold was given. If not, it is that of the equal error rate of these pairs, and
            figures at the threshold are slightly optimistic.
        eer_threshold: The distance at which the error rates of these pairs are equal.
        micro: Figures of all pairs together.
        macro: Means of the figures over the classes in which they are measurable.
        per_class: Figures of each class on its similar pairs and the different pairs with it on either side, and the
            numbers of these pairs, `n_similar` and `n_different`. Empty without classes.
        groups: `"head"`, `"medium"` and `"tail"`, the most common to the rarest third of the classes by
            `class_counts`: their `classes`, and the means of their figures. Empty without `class_counts`.
        intervals: `(low, high)` by figure in `"micro"` and `"macro"`, by group and figure in `"groups"`, by class and
            figure in `"per_class"`. NaN for a figure that is the same in all resamples, such as the false accept rate
            of two classes.
        confidence: Confidence level of the intervals.
        resampled: Units of the intervals, `"classes"` or `"samples"`; `None` without intervals.
        class_counts: Numbers of training samples by class, as given.
        curve: Operating points for plots: `threshold`, `far` and `frr`, up to about 1,300 points. The first point
            accepts nothing: its threshold is minus infinity, or null in JSON.
        histogram: `edges` of bins of the distances, and the shares of the `similar` and `different` pairs in each bin.
            Infinite distances and outliers are outside the bins: `below` and `above` are their shares of both kinds.
        calibration: If the threshold is a layer from `calibrate`: `expected_calibration_error`, `brier`, `log_loss`
            and `bins` of its posterior for the share `prior` on these pairs, whatever its operating point.
        approximate: If an approximate index found the nearest samples: the `index`, and by figure the `difference` from
            an exact search, a mean over `n_checked` samples. Empty if the search was exact.
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
    approximate: dict[str, Any] = field(default_factory=dict)

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
        """Balanced accuracy of all pairs, at `threshold`."""
        return self.micro["balanced_accuracy"]

    @property
    def mcc(self) -> float:
        """Matthews correlation of all pairs, at `threshold`."""
        return self.micro["mcc"]

    @property
    def tar_at_far(self) -> dict[float, float]:
        """True accept rate of all pairs by false accept rate; NaN if there are too few different pairs."""
        return self._by_far("tar_at_far_")

    @property
    def achieved_far(self) -> dict[float, float]:
        """Achieved false accept rates of `tar_at_far`; with equal distances they are lower than the nominal rates."""
        return self._by_far("achieved_far_")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists and numbers."""
        return asdict(self)

    def to_json(self, path: str | Path | None = None, **kwargs: Any) -> str:
        """Return the report as JSON and write it to `path` if given; numbers that are not finite become null.

        `kwargs` are passed to `json.dumps`.
        """
        text = json.dumps(_plain(self.to_dict()), **kwargs)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a column for each figure.

        It has a row for all pairs, the mean over classes, each group and each class. The ends of intervals are in the
        columns `<figure>_low` and `<figure>_high`.
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

    __repr__ = __str__

    def _by_far(self, prefix: str) -> dict[float, float]:
        return {float(name[len(prefix) :]): value for name, value in self.micro.items() if name.startswith(prefix)}


def _row(figures: dict[str, Any], bounds: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Figures without the list of classes, followed by the ends of their intervals."""
    ends = {}
    for name, (low, high) in bounds.items():
        ends |= {f"{name}_low": low, f"{name}_high": high}
    return {name: value for name, value in figures.items() if name != "classes"} | ends


def _plain(value: Any) -> Any:
    """Convert keys and values to types of JSON."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
