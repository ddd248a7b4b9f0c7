"""Axes, colours, markers and line styles of all plots."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PURPLE, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY = "#999999"

SIMILAR, DIFFERENT = BLUE, ORANGE
COMMON, RARE = SKY, RED

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # 7 markers and 6 colours: 42 distinct classes
SIDES = ("left", "right", "bottom", "top", "wspace", "hspace")
LINES = ("-", "--", "-.", ":")


def colour(k: int) -> str:
    """Return the colour of class or curve `k`."""
    return COLOURS[k % len(COLOURS)]


def marker(k: int) -> str:
    """Return the marker of class `k`."""
    return MARKERS[k % len(MARKERS)]


def line(k: int) -> str:
    """Return the line style of curve `k`."""
    return LINES[k % len(LINES)]


def pyplot() -> Any:
    """Import `matplotlib.pyplot`; the error has the command that installs it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "keras-balanced-siamese[plots]"') from error
    return plt


def axes(ax: Any, figsize: tuple[float, float] = (6.4, 4.8)) -> "Axes":
    """Check and return `ax`; for `None`, return the axes of a new figure of `figsize` inches.

    A figure without a layout gets a constrained one, so that legends, titles and names are not cut off.
    """
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=figsize, layout="constrained")[1]
    if not isinstance(ax, plt.Axes):
        raise TypeError(
            "`ax` must be one matplotlib Axes, as from `fig, ax = plt.subplots(layout='constrained')`. "
            f"Received: ax of type {type(ax).__name__}"
        )
    if _is_without_layout(ax):
        ax.figure.figure.set_layout_engine("constrained")
    return ax


def _is_without_layout(ax: "Axes") -> bool:
    """Return whether nobody has chosen the places of the axes of this figure."""
    spec, figure, defaults = ax.get_subplotspec(), ax.figure.figure, pyplot().rcParams
    if spec is None or figure.get_layout_engine() is not None:
        return False
    places = spec.get_gridspec().get_subplot_params(figure)
    return all(getattr(places, side) == defaults[f"figure.subplot.{side}"] for side in SIDES)


def ink() -> str:
    """Return the text colour of the current style: black, or white on a dark background."""
    return pyplot().rcParams["text.color"]
