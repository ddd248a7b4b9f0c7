"""What a sequence of pairs does with each class, as a table and as a dict."""

from typing import Any

import numpy as np

from keras_balanced_siamese._pair_plan import negative_marginals
from keras_balanced_siamese._pair_sampler import PairSampler
from keras_balanced_siamese._summary_table import named, table
from keras_balanced_siamese._typing import Label

HEAD = ("class", "samples", "share", "distinct pairs", "positives", "share", "negatives", "repeats", "weight")


class PairSummary:
    """What an epoch of pairs holds of each class; printed, it is a table.

    Attributes:
        per_class: By class: `samples`, `sample_share`, `distinct_pairs`, the expected number of `positives` and their
            share `positive_share`, `wanted_share` (what `class_sampling` asks for), `negative_share` (among the members
            of negative pairs), `repeats` (how often each of its pairs comes), and `weight`.
        totals: `pairs`, `positives`, `steps` and `batch_size`.
        notes: Sentences on what a reader should know: classes that form no pair, shares that were cut.
    """

    def __init__(self, per_class: dict[Label, dict[str, float]], totals: dict[str, int], notes: list[str]):
        self.per_class = per_class
        self.totals = totals
        self.notes = notes

    def to_dict(self) -> dict[str, Any]:
        """`{"per_class": ..., "totals": ..., "notes": ...}`."""
        return {"per_class": self.per_class, "totals": self.totals, "notes": self.notes}

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [HEAD]
        for label, row in self.per_class.items():
            cells = (f"{row['samples']:,}", f"{row['sample_share']:.2%}", f"{row['distinct_pairs']:,}")
            cells += (f"{row['positives']:,.1f}", f"{row['positive_share']:.2%}", f"{row['negative_share']:.2%}")
            rows.append((str(label), *cells, f"{row['repeats']:.3g}", f"{row['weight']:.3g}"))
        t = self.totals
        total = f"{t['pairs']:,} pairs in {t['steps']:,} batches, {t['positives'] / t['pairs']:.1%} of one class"
        return "\n".join([table(rows), total, *self.notes])

    __repr__ = __str__


def summarise(sampler: PairSampler, epoch: int, weights: np.ndarray, steps: int, batch_size: int) -> PairSummary:
    """The summary of one epoch."""
    drawing, labels = sampler.drawing(epoch), sampler.labels
    positives = float(drawing.expected.sum())
    distinct = drawing.pool.count * (drawing.pool.count - 1) // 2
    columns = {
        "samples": labels.counts,
        "sample_share": labels.counts / labels.counts.sum(),
        "distinct_pairs": labels.counts * (labels.counts - 1) // 2,
        "positives": drawing.expected,
        "positive_share": drawing.expected / (positives or 1.0),
        "wanted_share": drawing.shares,
        "negative_share": negative_marginals(drawing.shares) * (drawing.fraction < 1),
        "repeats": drawing.expected / np.maximum(distinct, 1),
        "weight": weights,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    per_class = {label: dict(zip(columns, row, strict=True)) for label, row in zip(labels.classes, rows, strict=True)}
    totals = {"pairs": sampler.total, "positives": round(positives), "steps": steps, "batch_size": batch_size}
    return PairSummary(per_class, totals, _notes(per_class, drawing.repeats, drawing.fraction))


def _notes(per_class: dict[Label, dict[str, float]], repeats: float, fraction: float) -> list[str]:
    notes = []
    if fraction == 0:
        return notes
    single = [label for label, row in per_class.items() if row["samples"] == 1]
    if single:
        notes.append(f"{named(single)} of one sample: in pairs of different classes only")
    full = [label for label, row in per_class.items() if row["repeats"] >= repeats and row["samples"] > 1]
    if full:
        notes.append(
            f"{named(full)} at the limit of {repeats:g} repeats of each pair: what their share asks for beyond that "
            "goes to the other classes"
        )
    return notes
