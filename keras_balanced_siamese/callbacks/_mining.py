"""Embeddings of the encoder in training -> harder pairs for the next epoch."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_balanced_siamese._checks import fraction as as_fraction
from keras_balanced_siamese._checks import whole
from keras_balanced_siamese.callbacks._embedding import embed, unit_vectors
from keras_balanced_siamese.callbacks._hard_pairs import Embedded, harder_pairs
from keras_balanced_siamese.sampling import BalancedPairSequence


class HardPairMining(keras.callbacks.Callback):
    """Gives a part of the pairs of each epoch a harder partner, chosen by the encoder as it is then.

    - Only the right sample of a pair changes, and only to another one of the same class: every class, and every pair of
      classes, gets what the sequence promised.
    - A negative pair becomes semi-hard: of some candidates, the nearest that is farther from the left sample than its
      own class is on average. A positive pair becomes the farthest of some candidates. The farthest of all are left
      out, since wrong labels are among them.
    - Before an epoch, the encoder embeds the samples that are in it, once. It sees nothing but the sequence's samples.
    - It begins after `warmup_epochs`, and reaches its full extent after `ramp_epochs` more.

    Mining is for long trainings in which most pairs have become easy. In a short one with ten classes it did harm
    (`benchmarks/class_sampling.py`): compare it with training without it.

    `logs` gets `"mining/fraction"`, the share of the pairs that were changed, `"mining/positive_distance"` and
    `"mining/negative_distance"`, their mean distances before the epoch.

    Args:
        pairs: The `BalancedPairSequence` that is trained on. The callback also sets its epoch.
        fraction: Largest share of the pairs that are changed, from 0 to 1.
        every: Epochs from one embedding of the samples to the next. In between, older embeddings serve.
        warmup_epochs: Epochs that are left as they are.
        ramp_epochs: Epochs over which the share grows to `fraction`.
        candidates: Samples that are looked at for each pair.
        skip: Share of a class's positive pairs, the farthest ones, that is never chosen.
        distance: `"euclidean"`, or `"cosine"`: what the model compares embeddings by.
        encoder: The model that embeds. `None` finds it in the model: the only layer of it that is a model itself.
        batch_size: Samples that are embedded at a time.

    Attributes:
        encoder_: The model that embeds.

    Raises:
        TypeError: If `pairs` or `encoder` is of the wrong kind.
        ValueError: For arguments out of range; when training begins, if the encoder cannot be found.

    Examples:
        >>> x, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 4
        >>> pairs = BalancedPairSequence(x, y, batch_size=8, seed=0)
        >>> model = siamese_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        >>> model.compile("adam", WeightedContrastiveLoss())
        >>> history = model.fit(pairs, epochs=3, verbose=0, callbacks=[HardPairMining(pairs, ramp_epochs=1)])
        >>> history.history["mining/fraction"][0], 0.3 < history.history["mining/fraction"][2] <= 0.5
        (0.0, True)

    References:
        Schroff, Kalenichenko, Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR 2015.
    """

    def __init__(
        self,
        pairs: BalancedPairSequence,
        *,
        fraction: float = 0.5,
        every: int = 1,
        warmup_epochs: int = 1,
        ramp_epochs: int = 3,
        candidates: int = 32,
        skip: float = 0.02,
        distance: str = "euclidean",
        encoder: keras.Model | None = None,
        batch_size: int = 256,
    ):
        super().__init__()
        if not isinstance(pairs, BalancedPairSequence):
            raise TypeError(f"`pairs` must be the `BalancedPairSequence` that is trained on. Received: {pairs!r}")
        if not pairs.redraw:
            raise ValueError("`pairs` must draw every epoch anew. Received: a sequence with redraw=False")
        if encoder is not None and not isinstance(encoder, keras.Model):
            raise TypeError(f"`encoder` must be a `keras.Model`. Received: encoder={encoder!r}")
        if distance not in ("euclidean", "cosine"):
            raise ValueError(f"`distance` must be 'euclidean' or 'cosine'. Received: distance={distance!r}")
        self.pairs = pairs
        self.fraction = as_fraction("fraction", fraction)
        self.every = whole("every", every, 1)
        self.warmup_epochs = whole("warmup_epochs", warmup_epochs, 0)
        self.ramp_epochs = whole("ramp_epochs", ramp_epochs, 1)
        self.candidates = whole("candidates", candidates, 1)
        self.skip = as_fraction("skip", skip)
        self.distance = distance
        self.encoder = encoder
        self.batch_size = whole("batch_size", batch_size, 1)
        self._embedded: Embedded | None = None
        self._entries: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        assert self.model is not None
        self._embedded = None
        self.encoder_ = self.encoder or _encoder_of(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.pairs.set_epoch(epoch)
        self._entries = {"mining/fraction": 0.0}
        since = epoch - self.warmup_epochs
        share = self.fraction * min((since + 1) / self.ramp_epochs, 1.0)
        if since < 0 or share == 0:
            return
        if self._embedded is None or since % self.every == 0:
            self._embedded = self._embed()
        if self._embedded is not None:
            self._mine(self._embedded, share, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self._entries)

    def _mine(self, embedded: Embedded, share: float, epoch: int) -> None:
        plan = self.pairs.plan
        rng = np.random.default_rng([self.pairs.seed, epoch, 6])
        repeats = self.pairs.max_repeats or np.inf
        limits = (share, self.candidates, self.skip, repeats)
        found = harder_pairs(plan.pairs, plan.similar, plan.codes, embedded, *limits, rng)
        self.pairs.replace_plan(plan._replace(pairs=found.pairs))
        self._entries["mining/fraction"] = float(found.changed.mean())
        for name, kind in (("positive", 1), ("negative", 0)):
            gaps = found.distance[found.changed & (plan.similar == kind)]
            if len(gaps):
                self._entries[f"mining/{name}_distance"] = float(gaps.mean())

    def _embed(self) -> Embedded | None:
        """The epoch's samples, embedded by the encoder as it is now."""
        assert self.model is not None  # looking at it brings its variables up to date
        plan = self.pairs.plan
        samples = np.unique(plan.pairs)
        points = embed(self.encoder_, self.pairs, samples, self.batch_size)
        if not np.isfinite(points).all():
            warnings.warn("No pairs are mined: the encoder's output is not finite.", stacklevel=2)
            return None
        if self.distance == "cosine":
            points = unit_vectors(points)
        row = np.full(len(plan.codes), -1, np.intp)
        row[samples] = np.arange(len(samples))
        return Embedded(points, row)


def _encoder_of(model: keras.Model) -> keras.Model:
    inside = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if len(inside) != 1:
        raise ValueError(
            "The encoder must be the only layer of the model that is itself a model, as in `siamese_model(encoder)`; "
            f"otherwise pass `encoder`. Received: a model with the layers {[layer.name for layer in model.layers]}"
        )
    return inside[0]
