"""What a sequence of batches does with each class, as a table and as a dict."""

from typing import Any

import numpy as np

from keras_balanced_siamese._batch_sampler import BatchSampler
from keras_balanced_siamese._summary_table import named, table
from keras_balanced_siamese._typing import Label

HEAD = ("class", "samples", "share", "batches", "share", "wanted", "repeats", "weight")


class BatchSummary:
    """What an epoch of batches holds of each class; printed, it is a table.

    Attributes:
        per_class: By class: `samples`, `sample_share`, the expected number of `batches` in which it comes, its `share`
            of what is drawn, `wanted_share` (what `class_sampling` asks for), `repeats` (how often each of its samples
            comes), and `weight`.
        totals: `steps`, `batch_size`, `classes_per_batch` and `samples_per_class`.
        notes: Sentences on what a reader should know: classes that are left out or copied, shares that were cut.
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
            cells = (f"{row['samples']:,}", f"{row['sample_share']:.2%}", f"{row['batches']:,.1f}")
            cells += (f"{row['share']:.2%}", f"{row['wanted_share']:.2%}")
            rows.append((str(label), *cells, f"{row['repeats']:.3g}", f"{row['weight']:.3g}"))
        t = self.totals
        total = (
            f"{t['steps']:,} batches of {t['batch_size']:,}: "
            f"{t['classes_per_batch']} classes, {t['samples_per_class']} samples of each"
        )
        return "\n".join([table(rows), total, *self.notes])

    __repr__ = __str__


def summarise(sampler: BatchSampler, epoch: int, weights: np.ndarray) -> BatchSummary:
    """The summary of one epoch."""
    drawing, labels = sampler.drawing(epoch), sampler.labels
    batches, count = drawing.expected, drawing.offer.pool.count
    columns = {
        "samples": labels.counts,
        "sample_share": labels.counts / labels.counts.sum(),
        "batches": batches,
        "share": batches / batches.sum(),
        "wanted_share": drawing.offer.shares,
        "repeats": batches * sampler.k / count,
        "weight": weights,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    per_class = {label: dict(zip(columns, row, strict=True)) for label, row in zip(labels.classes, rows, strict=True)}
    totals = {"steps": sampler.steps, "batch_size": sampler.p * sampler.k}
    totals |= {"classes_per_batch": sampler.p, "samples_per_class": sampler.k}
    return BatchSummary(per_class, totals, _notes(sampler, epoch))


def _notes(sampler: BatchSampler, epoch: int) -> list[str]:
    drawing = sampler.drawing(epoch)
    expected, count = drawing.expected, drawing.offer.pool.count
    wanted, full = drawing.offer.shares > 0, expected >= sampler.steps
    cut = (expected >= drawing.caps) & ~full & wanted
    found = {
        f"left out: fewer than {sampler.min_samples} samples": wanted & (count < sampler.min_samples),
        f"in copies: fewer than {sampler.k} samples": (expected > 0) & (count < sampler.k),
        "in every batch; what their share asks for beyond that goes to the other classes": full,
        f"at the limit of {drawing.repeats:.3g} repeats of each pair of samples; what their share asks for beyond that "
        "goes to the other classes": cut,
    }
    classes = sampler.labels.classes
    return [f"{named([classes[c] for c in np.flatnonzero(of)])} {note}" for note, of in found.items() if of.any()]
