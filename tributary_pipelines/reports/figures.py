"""What all pictures share: a figure without pyplot, a PNG of it, words in place of a picture, columns with gaps.

Figures are drawn with matplotlib's Agg canvas, so they are safe in threads and need no display. Colours are told apart
by people who see few of them (Okabe & Ito, 2008), and no line is known by its colour alone.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tributary_pipelines.core.frames import Float64Array1D

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
_LONGEST_NAME = 44


def one_panel() -> tuple[Figure, Axes]:
    """Return a figure of one panel."""
    # Fixed margins: a layout engine takes half of the drawing time, and a backfill draws hundreds of these.
    figure = Figure(figsize=(7, 4.2))
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.13, top=0.89)
    return figure, figure.subplots()


def short_name(market_id: str) -> str:
    """Return a market's id, its middle left out where it is too long for a title.

    Examples
    --------
    >>> short_name("fed-cut"), short_name("0x" + 64 * "7")
    ('fed-cut', '0x7777777777777777777777...77777777')
    """
    return market_id if len(market_id) <= _LONGEST_NAME else f"{market_id[:24]}...{market_id[-8:]}"


def column(values: Sequence[float | None]) -> Float64Array1D:
    """Return numbers as an array, NaN where one is missing."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def write_instead(axes: Axes, message: str) -> None:
    """Write a message where a picture would be."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", wrap=True, transform=axes.transAxes)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes."""
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
