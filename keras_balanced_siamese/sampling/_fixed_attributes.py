"""Attributes of a sequence that cannot be assigned, each with the cure."""

from typing import Any

from keras_balanced_siamese._text import short

ARGUMENTS = (
    *("batch_size", "classes_per_batch", "samples_per_class", "steps_per_epoch", "positive_fraction", "min_samples"),
    *("max_repeats", "resampling", "epochs", "transform", "batch_transform", "with_classes", "seed", "x", "y"),
)
WORKERS = ("workers", "use_multiprocessing", "max_queue_size")
RESULTS = {
    "epoch": "Call `set_epoch({value})`",
    "classes": "The classes are those of `y`",
    "labels": "The labels are those of `y`",
    "num_batches": "Construct another sequence with `steps_per_epoch`",
    "class_shares": "Assign `class_sampling`",
    "class_distribution": "Assign `class_sampling`",
}


def check_assignment(sequence: Any, name: str, value: Any) -> None:
    """Raise if an attribute cannot be changed any more, since an assignment would have no or only half an effect.

    Raises:
        AttributeError: With the cure.
    """
    if name in RESULTS:
        cure = RESULTS[name].format(value=short(value))
    elif name in WORKERS:
        cure = f"The sequence starts its own workers: construct it with {name}={short(value)}"
    elif name in ARGUMENTS and "_start" in vars(sequence):  # the last attribute of a constructor
        cure = f"Epochs are drawn with it: construct another sequence with {name}=...; no samples are copied"
    else:
        return
    raise AttributeError(f"`{name}` of a sequence cannot be assigned. {cure}. Received: {name}={short(value)}")
