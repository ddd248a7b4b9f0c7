"""Summary of one epoch: figures of each class as a table and as a dict."""

from typing import Any

import numpy as np

from keras_balanced_siamese._text import count_and_names, short_names, table
from keras_balanced_siamese._typing import Label
from keras_balanced_siamese.sampling._batch_sampler import BatchSampler
from keras_balanced_siamese.sampling._pair_plan import negative_marginals
from keras_balanced_siamese.sampling._pair_sampler import PairSampler

# heading and cell format of the columns of `per_class` that are printed
PAIR_COLUMNS = {
    "samples": ("samples", ",d"),
    "sample_share": ("share", ".2%"),
    "distinct_pairs": ("distinct pairs", ",d"),
    "positives": ("positives", ",.1f"),
    "positive_share": ("share", ".2%"),
    "negative_share": ("negatives", ".2%"),
    "repeats": ("repeats", ".3g"),
    "weight": ("weight", ".3g"),
}
BATCH_COLUMNS = {
    "samples": ("samples", ",d"),
    "sample_share": ("share", ".2%"),
    "batches": ("batches", ",.1f"),
    "share": ("share", ".2%"),
    "wanted_share": ("wanted", ".2%"),
    "repeats": ("repeats", ".3g"),
    "weight": ("weight", ".3g"),
}
SHOWN_CLASSES = 60
NAME_WIDTH = 60


class EpochSummary:
    """Figures of each class in one epoch, printed as a table.

    With more than 60 classes, the table shows the 30 most common and the 30 rarest; `per_class` and `to_dict()` have
    all.

    Attributes:
        per_class: By class: `samples`, `sample_share`, `wanted_share` (the share by `class_sampling`) and `weight`. For
            pairs also `distinct_pairs`, the expected number of `positives`, their share `positive_share`,
            `negative_share` (among the members of negative pairs) and `repeats` (times that each positive pair comes,
            on average). For batches also the expected number of `batches` that contain the class, its `share` of all
            samples in them and `repeats` (times that each sample comes, on average).
        totals: For pairs `pairs`, `positives`, `steps` and `batch_size`; for batches `steps`, `batch_size`,
            `classes_per_batch` and `samples_per_class`.
        notes: Sentences on special cases: classes without a pair, left out or copied, and shares that were lowered.
    """

    def __init__(
        self,
        per_class: dict[Label, dict[str, float]],
        totals: dict[str, int],
        notes: list[str],
        columns: dict[str, tuple[str, str]],
        total: str,
    ):
        self.per_class = per_class
        self.totals = totals
        self.notes = notes
        self._columns = columns
        self._total = total

    def to_dict(self) -> dict[str, Any]:
        """`{"per_class": ..., "totals": ..., "notes": ...}`."""
        return {"per_class": self.per_class, "totals": self.totals, "notes": self.notes}

    def __str__(self) -> str:
        shown = list(self.per_class)
        left_out, hint = len(shown) - SHOWN_CLASSES, []
        if left_out > 0:
            ordered = sorted(shown, key=lambda label: -self.per_class[label]["samples"])
            shown = ordered[: SHOWN_CLASSES // 2] + ordered[-SHOWN_CLASSES // 2 :]
        rows: list[tuple[str, ...]] = [("class", *(heading for heading, _ in self._columns.values()))]
        for label, name in zip(shown, short_names(shown, NAME_WIDTH), strict=True):
            row = self.per_class[label]
            rows.append((name, *(format(row[column], form) for column, (_, form) in self._columns.items())))
        if left_out > 0:
            rows.insert(1 + SHOWN_CLASSES // 2, ("...",) * len(rows[0]))
            hint = [f"... {left_out:,} of {len(self.per_class):,} classes are not shown; `to_dict()` has all"]
        return "\n".join([table(rows), *hint, self._total, *self.notes])

    __repr__ = __str__


def pair_summary(sampler: PairSampler, epoch: int, weights: np.ndarray, steps: int, batch_size: int) -> EpochSummary:
    """Summary of one epoch of pairs."""
    quotas, labels = sampler.quotas(epoch), sampler.labels
    positives = float(quotas.expected.sum())
    distinct = quotas.pool.count * (quotas.pool.count - 1) // 2
    per_class = _by_class(
        labels.classes,
        {
            "samples": labels.counts,
            "sample_share": labels.counts / labels.counts.sum(),
            "distinct_pairs": labels.counts * (labels.counts - 1) // 2,
            "positives": quotas.expected,
            "positive_share": quotas.expected / (positives or 1.0),
            "wanted_share": quotas.shares,
            "negative_share": negative_marginals(quotas.shares) * (quotas.fraction < 1),
            "repeats": quotas.expected / np.maximum(distinct, 1),
            "weight": weights,
        },
    )
    totals = {"pairs": sampler.total, "positives": round(positives), "steps": steps, "batch_size": batch_size}
    total = f"{sampler.total:,} pairs in {steps:,} batches, {round(positives) / sampler.total:.1%} of one class"
    notes = _pair_notes(per_class, quotas.repeats, quotas.fraction)
    return EpochSummary(per_class, totals, notes, PAIR_COLUMNS, total)


def batch_summary(sampler: BatchSampler, epoch: int, weights: np.ndarray) -> EpochSummary:
    """Summary of one epoch of batches."""
    quotas, labels = sampler.quotas(epoch), sampler.labels
    per_class = _by_class(
        labels.classes,
        {
            "samples": labels.counts,
            "sample_share": labels.counts / labels.counts.sum(),
            "batches": quotas.expected,
            "share": quotas.expected / quotas.expected.sum(),
            "wanted_share": quotas.source.shares,
            "repeats": quotas.expected * sampler.samples_per_class / quotas.source.pool.count,
            "weight": weights,
        },
    )
    p, k = sampler.classes_per_batch, sampler.samples_per_class
    totals = {"steps": sampler.steps, "batch_size": p * k, "classes_per_batch": p, "samples_per_class": k}
    total = f"{sampler.steps:,} batches of {p * k:,}: {p} classes, {k} samples of each"
    return EpochSummary(per_class, totals, _batch_notes(sampler, epoch), BATCH_COLUMNS, total)


def _by_class(classes: list[Label], columns: dict[str, np.ndarray]) -> dict[Label, dict[str, float]]:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return {label: dict(zip(columns, row, strict=True)) for label, row in zip(classes, rows, strict=True)}


def _pair_notes(per_class: dict[Label, dict[str, float]], repeats: float, fraction: float) -> list[str]:
    if fraction == 0:
        return []
    single = [label for label, row in per_class.items() if row["samples"] == 1]
    full = [label for label, row in per_class.items() if row["repeats"] >= repeats and row["samples"] > 1]
    found = {
        "with one sample: in pairs of different classes only": single,
        f"at the limit of {repeats:g} repeats of each pair: the rest of their share goes to the other classes": full,
    }
    return [f"{count_and_names(classes)} {note}" for note, classes in found.items() if classes]


def _batch_notes(sampler: BatchSampler, epoch: int) -> list[str]:
    quotas = sampler.quotas(epoch)
    expected, count = quotas.expected, quotas.source.pool.count
    with_share, full = quotas.source.shares > 0, expected >= sampler.steps
    cut = (expected >= quotas.caps) & ~full & with_share
    found = {
        f"left out: fewer than {sampler.min_samples} samples": with_share & (count < sampler.min_samples),
        f"in copies: fewer than {sampler.samples_per_class} samples": (expected > 0)
        & (count < sampler.samples_per_class),
        "in every batch: the rest of their share goes to the other classes": full,
        f"at the limit of {quotas.repeats:.3g} repeats of each pair of samples: the rest of their share goes to the "
        "other classes": cut,
    }
    classes = sampler.labels.classes
    return [
        f"{count_and_names([classes[c] for c in np.flatnonzero(where)])} {note}"
        for note, where in found.items()
        if where.any()
    ]
