"""Names under which saved models refer to the classes of this package."""

from typing import Any

from keras_balanced_siamese._backend import misnamed_optimizers, registered


def custom_objects() -> dict[str, Any]:
    """The classes of this package that a saved model can contain, for `load_model(custom_objects=...)`.

    `import keras_balanced_siamese` registers all of them, so this mapping is rarely needed. It is for code that lists
    explicitly what a file may refer to. Each class has its plain name and its registered name; Keras looks up only the
    registered name of a class that is not registered.

    The mapping also contains Keras's own optimizers: a compiled model can name its optimizer in a way that only the
    backend which saved it can find. For such a file pass this mapping, or `compile=False`.

    Returns:
        A new dict of name to class.

    Examples:
        >>> custom_objects()["EuclideanDistance"].__name__
        'EuclideanDistance'
    """
    plain = {cls.__name__: cls for cls in registered.values()}
    return {**misnamed_optimizers, **plain, **registered}
