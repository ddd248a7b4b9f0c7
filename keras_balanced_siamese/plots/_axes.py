"""The axes to draw on: those that were given, or new ones."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pyplot() -> Any:
    """Return `matplotlib.pyplot`, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "keras-balanced-siamese[plots]"') from error
    return plt


def axes(ax: Any, figsize: tuple[float, float] = (6.4, 4.8)) -> "Axes":
    """Return `ax`, or for `None` the axes of a new figure of `figsize` inches."""
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=figsize, layout="constrained")[1]
    if not isinstance(ax, plt.Axes):
        raise TypeError(
            "`ax` must be one matplotlib Axes, such as that of `fig, ax = plt.subplots(layout='constrained')`. "
            f"Received: ax of type {type(ax).__name__}"
        )
    return ax


def ink() -> str:
    """The colour of text in the style in use: black, or white on a dark background."""
    return pyplot().rcParams["text.color"]
