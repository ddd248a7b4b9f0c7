"""Distances and truth -> how well pairs are told apart, overall and for each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_balanced_siamese._labels import encode_labels
from keras_balanced_siamese._typing import ArrayLike, Label


@dataclass(frozen=True)
class PairReport:
    """What `evaluate_pairs` found; `print` shows it as a table.

    Attributes:
        n_similar: Number of pairs of one class.
        n_different: Number of pairs of different classes.
        roc_auc: Probability that a similar pair is closer than a different one, ties counting half.
        eer: Equal error rate, where the false accept and the false reject rate meet.
        eer_threshold: The distance where they meet.
        per_class: For each class its `error`, `false_reject_rate`, `false_accept_rate` at `eer_threshold`, and
            `n_similar` and `n_different`, the pairs it takes part in. Empty if no classes were given.
    """

    n_similar: int
    n_different: int
    roc_auc: float
    eer: float
    eer_threshold: float
    per_class: dict[Label, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """The same as a plain dict."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        lines = [
            f"{self.n_similar:,} similar and {self.n_different:,} different pairs",
            f"ROC AUC {self.roc_auc:.4f}   EER {self.eer:.4f} at distance {self.eer_threshold:.4g}",
        ]
        width = max([5, *(len(str(label)) for label in self.per_class)])
        if self.per_class:
            lines.append(f"{'class':>{width}}   error  false rejects  false accepts")
        for label, row in self.per_class.items():
            lines.append(
                f"{label!s:>{width}}  {row['error']:6.3f}  {row['false_reject_rate']:13.3f}"
                f"  {row['false_accept_rate']:13.3f}"
            )
        return "\n".join(lines)


def evaluate_pairs(distances: ArrayLike, similar: ArrayLike, *, classes: ArrayLike | None = None) -> PairReport:
    """Judge how well distances tell similar from different pairs.

    The error of a class is taken at the threshold that all classes share, as a deployed model has it:

    ```
    error_c = (false_reject_rate_c + false_accept_rate_c) / 2
    ```

    over the similar pairs of class `c`, and over the different pairs with `c` on either side. A model that accepts
    everything has the error 1/2 in each class, not 0.

    Args:
        distances: `(n,)` or `(n, 1)`: small for similar pairs. Pass probabilities or similarities with a minus sign.
        similar: `(n,)` or `(n, 1)`: 1 for pairs of one class, 0 for the others.
        classes: `(n, 2)` class labels of the left and the right side; `None` leaves `per_class` empty.

    Returns:
        A `PairReport`. A rate without a single pair to measure it on is NaN, and so is that class's error.

    Raises:
        ValueError: If the shapes differ, a distance is NaN, a label is neither 0 nor 1, or similar or different pairs
            are missing altogether.

    Examples:
        >>> report = evaluate_pairs([0.1, 0.2, 0.9, 0.3, 0.8, 1.0], [1, 1, 1, 0, 0, 0])
        >>> round(report.eer, 4), round(report.roc_auc, 4)
        (0.3333, 0.7778)
    """
    distance = np.asarray(distances, np.float64).reshape(-1)
    truth = np.asarray(similar).reshape(-1)
    if distance.shape != truth.shape:
        raise ValueError(
            "`distances` and `similar` must have the same length. "
            f"Received: {len(distance)} distances, {len(truth)} labels"
        )
    if np.isnan(distance).any():
        raise ValueError(f"`distances` must not be NaN. Received: {int(np.isnan(distance).sum())} of {len(distance)}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"`similar` must hold 0 and 1 only. Received: {np.unique(truth)[:5].tolist()}")
    truth = truth.astype(bool)
    if truth.all() or not truth.any():
        raise ValueError(
            "Both similar and different pairs are needed. "
            f"Received: {int(truth.sum())} similar and {int((~truth).sum())} different pairs"
        )
    auc, eer, threshold = _roc(distance, truth)
    per_class = {} if classes is None else _per_class(distance <= threshold, truth, np.asarray(classes))
    return PairReport(int(truth.sum()), int((~truth).sum()), auc, eer, threshold, per_class)


def _roc(distance: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Area under the curve, equal error rate and its threshold, exact, with ties cut nowhere."""
    order = np.argsort(distance, kind="stable")
    ordered = distance[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # the end of each run of equal distances
    accepts = np.insert(np.cumsum(truth[order])[last], 0, 0)  # from "accept nothing" on
    false_accepts = np.insert(np.cumsum(~truth[order])[last], 0, 0)
    n_similar, n_different = int(truth.sum()), int((~truth).sum())
    tar, far = accepts / n_similar, false_accepts / n_different
    auc = float(np.sum(np.diff(far) * (tar[1:] + tar[:-1]) / 2))
    gap = false_accepts * n_similar - (n_similar - accepts) * n_different  # has the sign of FAR - FRR, and rises
    after = int(np.argmax(gap >= 0))
    step = -gap[after - 1] / (gap[after] - gap[after - 1])
    eer = far[after - 1] + step * (far[after] - far[after - 1])
    # the threshold lies where accepting stops: at a measured distance, or halfway to the next one
    at = ordered[last]
    if gap[after] == 0 and after < len(at) and np.isfinite(at[after]):
        return auc, float(eer), float((at[after - 1] + at[after]) / 2)
    return auc, float(eer), float(at[after - 1])


def _per_class(accepted: np.ndarray, truth: np.ndarray, classes: np.ndarray) -> dict[Label, dict[str, float]]:
    if classes.shape != (len(truth), 2):
        raise ValueError(
            "`classes` must hold the label of the left and of the right side, shape (n, 2). "
            f"Received: shape {classes.shape} for {len(truth)} pairs"
        )
    encoded = encode_labels(classes.reshape(-1), "classes")
    left, right = encoded.codes.reshape(-1, 2).T
    if ((left == right) != truth).any():
        raise ValueError("`similar` must be 1 exactly where both sides have one class. Received: pairs where it is not")
    n = len(encoded.classes)

    def count(codes: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.bincount(codes[which], minlength=n)

    n_similar, rejected = count(left, truth), count(left, truth & ~accepted)
    different = ~truth
    n_different = count(left, different) + count(right, different)
    false_accepts = count(left, different & accepted) + count(right, different & accepted)
    with np.errstate(invalid="ignore"):
        frr, far = rejected / n_similar, false_accepts / n_different
    return {
        label: {
            "error": float((frr[k] + far[k]) / 2),
            "false_reject_rate": float(frr[k]),
            "false_accept_rate": float(far[k]),
            "n_similar": int(n_similar[k]),
            "n_different": int(n_different[k]),
        }
        for k, label in enumerate(encoded.classes)
    }
