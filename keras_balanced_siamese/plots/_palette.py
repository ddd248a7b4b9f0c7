"""Colours that colour-blind readers tell apart (Okabe and Ito, 2008), and marks that need no colour."""

BLUE, ORANGE, GREEN, PURPLE, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY = "#999999"

SIMILAR, DIFFERENT = BLUE, ORANGE
COMMON, RARE = SKY, RED

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # 7 of them for 6 colours: 42 classes look different
LINES = ("-", "--", "-.", ":")


def colour(k: int) -> str:
    """Colour of the class or curve `k`."""
    return COLOURS[k % len(COLOURS)]


def marker(k: int) -> str:
    """Marker of the class `k`."""
    return MARKERS[k % len(MARKERS)]


def line(k: int) -> str:
    """Line style of the curve `k`."""
    return LINES[k % len(LINES)]
