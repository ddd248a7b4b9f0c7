"""Names under which saved models refer to the classes of this package."""

from typing import Any

from keras_balanced_siamese._backend import misnamed_optimizers, registered


def custom_objects() -> dict[str, Any]:
    """The classes of this package that a saved model can contain, for `load_model(custom_objects=...)`.

    `import keras_balanced_siamese` registers all of them, so this mapping is rarely needed. It is for code that lists
    explicitly what a file may refer to. Files name each class by its registered name. Plain names are not in the
    mapping, so a class of your own with the same plain name is kept.

    The mapping also contains Keras's own optimizers: a compiled model can name its optimizer in a way that only the
    backend which saved it can find. For such a file pass this mapping, or `compile=False`.

    Returns:
        A new dict of name to class.

    Examples:
        >>> custom_objects()["keras_balanced_siamese>EuclideanDistance"].__name__
        'EuclideanDistance'
    """
    return {**misnamed_optimizers, **registered}
