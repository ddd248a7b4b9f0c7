"""What a callback has adapted in an epoch, as arrays, which many classes make much smaller than dicts."""

from typing import Any, NamedTuple

import numpy as np

from keras_balanced_siamese.callbacks._adapted import Weights


class EpochRow(NamedTuple):
    """An epoch: what was adapted, the errors and values of its classes, `(C,)`, and why they were kept, if so."""

    epoch: int
    adapted: Weights
    errors: np.ndarray
    values: np.ndarray
    skipped: str | None

    def by_class(self) -> dict[str, Any]:
        """The same with dicts by class."""
        return {
            "epoch": self.epoch,
            "errors": self.adapted.by_class(self.errors),
            self.adapted.noun: self.adapted.by_class(self.values),
            "skipped": self.skipped,
        }
