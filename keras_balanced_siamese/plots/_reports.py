"""What users pass as reports -> reports by name."""

from collections.abc import Mapping
from typing import Any

from keras_balanced_siamese.evaluation import PairReport


def one_report(report: Any) -> PairReport:
    """Check that `report` is a report."""
    if not isinstance(report, PairReport):
        raise TypeError(
            f"`report` must be a `PairReport`, as `evaluate_pairs` returns it. Received: {type(report).__name__}"
        )
    return report


def named_reports(report: Any) -> dict[str, PairReport]:
    """One report under the name "", or the reports of a mapping under their names."""
    if isinstance(report, PairReport):
        return {"": report}
    if isinstance(report, Mapping) and report and all(isinstance(one, PairReport) for one in report.values()):
        return {str(name): one for name, one in report.items()}
    received = f"a mapping to {[type(v).__name__ for v in report.values()]}" if isinstance(report, Mapping) else ""
    raise TypeError(
        "`report` must be a `PairReport`, as `evaluate_pairs` returns it, or a mapping of names to several of them. "
        f"Received: {received or type(report).__name__}"
    )
