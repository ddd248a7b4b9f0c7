"""Check of a sequence against the model that reads it, where Keras would train on labels of another meaning."""

from typing import Any

from keras_balanced_siamese._model_output import is_crossentropy, losses_of, output_of
from keras_balanced_siamese._running_model import label_kind, reader
from keras_balanced_siamese._text import short


def check_model(sequence: Any) -> None:
    """Check the model whose `fit` or `evaluate` is about to read a sequence.

    Raises:
        ValueError: If the model takes single items and the sequence yields pairs, or the other way round, or the model
            returns a distance and is compiled with a cross-entropy of Keras.
    """
    now = reader()
    if now is None or now.method not in ("fit", "evaluate") or now.arguments.get("x") is not sequence:
        return
    if type(now.model).__module__.split(".")[0] not in ("keras", "tf_keras"):
        return  # the training step of another class may do anything with a batch
    kind, inputs, output = label_kind(sequence), getattr(now.model, "inputs", None) or (), output_of(now.model)
    if kind == "class labels" and len(inputs) > 1 and output is not None:
        raise ValueError(
            "A `BalancedBatchSequence` yields single items with class labels, for an encoder: compile the encoder with "
            "a loss such as `WeightedTripletLoss()`, or use a `BalancedPairSequence` for this model. "
            f"Received: {output}"
        )
    if kind != "pair labels":
        return
    if len(inputs) == 1:
        raise ValueError(
            "A `BalancedPairSequence` yields pairs of items: build a model that takes both by "
            "`siamese_model(encoder)`, or use a `BalancedBatchSequence` for this model. "
            f"Received: a model with one input, '{now.model.name}'"
        )
    found = [loss for loss in losses_of(now.model) if is_crossentropy(loss)]
    if found and output is not None and output.kind == "distance":
        raise ValueError(
            "A cross-entropy brings the output near to the label, which is 1 for similar pairs, so that their distance "
            "would grow. Use `WeightedContrastiveLoss()`, or the probability of "
            "`siamese_model(encoder, probability=True)` with this loss. "
            f"Received: {output}, with loss={short(found[0])}"
        )
