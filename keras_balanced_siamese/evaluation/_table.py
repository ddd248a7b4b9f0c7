"""Text table of a report."""

import math
from typing import Any

from keras_balanced_siamese._text import short_names

SHOWN_CLASSES = 30
NAME_WIDTH = 60
TITLES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "eer": "equal error rate",
    "false_reject_rate": "false reject rate",
    "false_accept_rate": "false accept rate",
    "balanced_accuracy": "balanced accuracy",
    "mcc": "Matthews correlation",
    "r_precision": "R-precision",
    "map@r": "MAP@R",
}


def table(report: Any) -> str:
    """Format a `PairReport`: its figures, then its classes."""
    blocks = ["\n".join(_head(report)), _figures(report)]
    if report.calibration:
        blocks.append(
            f"Probabilities: expected calibration error {report.calibration['expected_calibration_error']:.4f}, "
            f"Brier score {report.calibration['brier']:.4f}"
        )
    if report.per_class:
        blocks.append(_classes(report))
    return "\n\n".join(blocks)


def _head(report: Any) -> list[str]:
    """Numbers of pairs, threshold and kind of intervals."""
    classes = f" of {len(report.per_class):,} classes" if report.per_class else ""
    lines = [f"{report.n_similar:,} similar and {report.n_different:,} different pairs{classes}"]
    source = "given" if report.threshold_given else "where the error rates of these pairs are equal"
    lines.append(f"{accepted(report)} ({source})")
    if report.resampled:
        lines.append(f"[{report.confidence:.0%} intervals]: other {report.resampled} of the same kind")
    if report.approximate:
        lines += _approximate(report.approximate)
    return lines


def accepted(report: Any) -> str:
    """Which pairs are accepted; scores that grow with similarity are negated, so that their thresholds are negative."""
    if report.threshold < 0:
        return f"Accepted from the score {-report.threshold:.4g}, here {report.threshold:.4g}"
    return f"Accepted up to the distance {report.threshold:.4g}"


def _approximate(found: dict[str, Any]) -> list[str]:
    """Differences of approximate figures from exact ones."""
    parts = ", ".join(f"{figure_name(name)} {value:+.4f}" for name, value in found["difference"].items())
    return [
        f"(approximate): {found['index']} chose the nearest samples; differences from an exact search, "
        f"over {found['n_checked']:,} samples:",
        f"  {parts}",
    ]


def _figures(report: Any) -> str:
    """One line per figure; columns for all pairs, the mean over classes and each group."""
    columns = {"all pairs": (report.micro, report.intervals.get("micro", {}))}
    if report.macro:
        columns["mean of classes"] = (report.macro, report.intervals.get("macro", {}))
    for name, figures in report.groups.items():
        columns[f"{name} ({len(figures['classes'])})"] = (figures, report.intervals.get("groups", {}).get(name, {}))
    rows = [["", *columns]]
    for name, value in report.micro.items():
        if name.startswith("achieved_far_") or name == "error":
            continue
        if unmeasurable(name, value):
            rows.append([_title(report, name), f"not measurable with {report.n_different:,} different pairs"])
        else:
            rows.append([_title(report, name), *(_cell(figures, name, bounds) for figures, bounds in columns.values())])
    return _aligned(rows)


def unmeasurable(name: str, value: float) -> bool:
    """Whether a figure is a true accept rate that needs more different pairs."""
    return name.startswith("tar_at_far_") and not math.isfinite(value)


def figure_name(figure: str) -> str:
    """Title of a figure of a report."""
    if figure.startswith("tar_at_far_"):
        return f"TAR at FAR {float(figure[len('tar_at_far_') :]):g}"
    if figure.startswith("min_dcf_"):
        return f"min DCF ({', '.join(figure[len('min_dcf_') :].split('_'))})"
    return TITLES.get(figure, figure)


def _title(report: Any, name: str) -> str:
    """Title of a figure, with the achieved false accept rate if it differs from the nominal one."""
    if name in report.approximate.get("difference", ()):
        return f"{figure_name(name)} (approximate)"
    if not name.startswith("tar_at_far_"):
        return figure_name(name)
    far = name[len("tar_at_far_") :]
    achieved = report.micro[f"achieved_far_{far}"]
    same = not math.isfinite(achieved) or f"{achieved:.3g}" == f"{float(far):.3g}"
    return figure_name(name) + ("" if same else f" ({achieved:.3g})")


def _cell(figures: dict[str, float], name: str, bounds: dict[str, tuple[float, float]]) -> str:
    """A figure with its interval, or a dash."""
    value = figures.get(name, math.nan)
    low, high = bounds.get(name, (math.nan, math.nan))
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")


def _classes(report: Any) -> str:
    """One line per class; only those with the largest errors if there are more than `SHOWN_CLASSES`."""
    bounds = report.intervals.get("per_class", {})
    worst = sorted(report.per_class, key=lambda label: -_or_zero(report.per_class[label]["error"]))
    shown = list(report.per_class) if len(worst) <= SHOWN_CLASSES else worst[:SHOWN_CLASSES]
    trained = report.class_counts
    tail = set(report.groups.get("tail", {}).get("classes", ()))
    header = ["class", "error", "EER", "ROC AUC", "false rejects", "false accepts", "similar", "different"]
    rows = [header + (["trained on"] if trained else [])]
    for label, name in zip(shown, short_names(shown, NAME_WIDTH), strict=True):
        row = report.per_class[label]
        cells = [f"{name}{' *' if label in tail else ''}", _cell(row, "error", bounds.get(label, {}))]
        cells += [_cell(row, figure, {}) for figure in ("eer", "roc_auc", "false_reject_rate", "false_accept_rate")]
        cells += [f"{row['n_similar']:,}", f"{row['n_different']:,}"]
        rows.append(cells + ([f"{trained[label]:,}"] if trained else []))
    notes = [f"... and {len(worst) - len(shown):,} with smaller errors"] if len(worst) > len(shown) else []
    notes += ["* tail"] if tail else []
    return "\n".join([_aligned(rows), *notes])


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _aligned(rows: list[list[str]]) -> str:
    """Align the columns; a row that is shorter than the first row ends in free text."""
    full = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(len(row[k]) for row in full) for k in range(len(rows[0]))]
    widths[0] = max(len(row[0]) for row in rows)
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) if row in full else cell for cell, width in zip(row[1:], widths[1:], strict=False)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
