"""The history of a market's calibrations as one picture: a panel for each parameter, with bands, gaps and marks.

From results alone. A day whose parameter is refused is a gap with a cross at the foot of its panel, a day without a
calibration is a gap without one; neither is ever a zero. Borrowed values have hollow marks. Readable for a week as for
a year.
"""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.reports.figures import BLUE, GREY, ORANGE, column, png, short_name, write_instead

LABELS = {
    "sigma": "volatility sigma",
    "gamma": "permanent impact gamma",
    "epsilon": "half-spread and fee epsilon",
    "book_slope": "book slope b",
    "resilience_rate": "resilience rho",
    "eta": "temporary impact eta",
}
#: From so many days on, marks would run into each other.
_MOST_MARKS = 45
_ONE_DAY = timedelta(days=1)

_Row = AlmgrenChrissParameters | None


def parameter_history(rows: Sequence[AlmgrenChrissParameters]) -> bytes:
    """Return a PNG of the calibrated parameters over days, one panel each, with their 95 % intervals.

    Parameters
    ----------
    rows : sequence of AlmgrenChrissParameters
        One market's calibrations in time order. A parameter that no row has gets no panel, and is named below.

    Raises
    ------
    ValueError
        There are no rows.
    """
    if not rows:
        raise ValueError("a parameter history needs at least one calibration")
    names = [name for name in PARAMETER_UNITS if any(row.value(name) is not None for row in rows)]
    n_lines = max(ceil(len(names) / 2), 1)
    figure = Figure(figsize=(11, 1.4 + 2.2 * n_lines), layout="constrained")
    figure.suptitle(_title(rows))
    if not names:
        write_instead(figure.subplots(), "every day is refused: " + "; ".join(rows[-1].reasons))
        return png(figure)
    panels = figure.subplots(n_lines, 2, sharex=True, squeeze=False).ravel()
    days = _every_day(rows)
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, days, name)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=5, fontsize="small", frameon=False)
    return png(figure)


def _title(rows: Sequence[AlmgrenChrissParameters]) -> str:
    n_refused = sum(row.status == "refused" for row in rows)
    never = [name for name in PARAMETER_UNITS if all(row.value(name) is None for row in rows)]
    title = f"Calibrated parameters of {short_name(rows[-1].market_id)}: {len(rows)} calibration{'s' * (len(rows) > 1)}"
    title += f", {n_refused} refused" if n_refused else ""
    return title + (f"\nnever known: {', '.join(never)}" if never and len(never) < len(PARAMETER_UNITS) else "")


def _every_day(rows: Sequence[AlmgrenChrissParameters]) -> list[tuple[np.datetime64, _Row]]:
    """Return every day from the first to the last row with its row, None where there is none: a line breaks there."""
    by_day = {row.usable_from.replace(tzinfo=None): row for row in rows}
    first, last = min(by_day), max(by_day)
    days = [first + _ONE_DAY * n for n in range((last - first).days + 1)]
    return [(np.datetime64(day), by_day.get(day)) for day in days]


def _panel(axes: Axes, days: Sequence[tuple[np.datetime64, _Row]], name: str) -> None:
    at = np.array([day for day, _ in days])
    estimates = [None if row is None else row.estimates[name] for _, row in days]
    value, low, high = (
        column([None if one is None else getattr(one, end) for one in estimates])
        for end in ("value", "ci_low", "ci_high")
    )
    is_refused = np.array([one is not None and one.source == "refused" for one in estimates])
    is_pooled = np.array([one is not None and one.source == "pooled" for one in estimates])
    marker = "o" if len(days) <= _MOST_MARKS else ""
    axes.plot(at, value, color=BLUE, marker=marker, markersize=3, linewidth=1.2)
    # A value between two gaps has no line: without a mark it would not be seen.
    alone = np.isfinite(value) & ~_has_neighbour(value)
    axes.plot(at[alone], value[alone], "o", color=BLUE, markersize=3)
    axes.fill_between(at, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(at[is_pooled], value[is_pooled], "D", color=ORANGE, fillstyle="none", markersize=4)
    foot = axes.get_xaxis_transform()
    axes.plot(at[is_refused], np.full(is_refused.sum(), 0.03), "x", color=GREY, markersize=4, transform=foot)
    _scale(axes, value, low, high)
    axes.set_title(LABELS[name], fontsize="small", loc="left")
    axes.set_ylabel(PARAMETER_UNITS[name], fontsize="small")
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=7))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize="small", labelbottom=True)
    axes.grid(alpha=0.3)


def _has_neighbour(value: Float64Array1D) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    known = np.concatenate(([False], np.isfinite(value), [False]))
    beside: np.ndarray[tuple[int], np.dtype[np.bool_]] = known[:-2] | known[2:]
    return beside


def _scale(axes: Axes, value: Float64Array1D, low: Float64Array1D, high: Float64Array1D) -> None:
    """Show all values and most of the bands: one very wide interval must not flatten a year."""
    known = value[np.isfinite(value)]
    bottom, top = float(known.min()), float(known.max())
    if np.isfinite(low).any():
        bottom = min(bottom, float(np.nanquantile(low, 0.1)))
        top = max(top, float(np.nanquantile(high, 0.9)))
    # A value that never changes, a spread of one tick say, is a flat line and not a magnified rounding.
    room = max(0.12 * (top - bottom), 0.02 * float(np.abs(known).max()))
    axes.set_ylim(bottom - 1.5 * room, top + room)
    axes.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 5))


def _legend(rows: Sequence[AlmgrenChrissParameters]) -> list[Line2D | Patch]:
    """Return the entries of what occurs; the day is when the value became usable."""
    sources = {one.source for row in rows for one in row.estimates.values()}
    has_band = any(one.ci_low is not None for row in rows for one in row.estimates.values())
    entries: list[Line2D | Patch] = [Line2D([], [], color=BLUE, label="estimate, by the day it became usable (UTC)")]
    if has_band:
        entries.append(Patch(color=BLUE, alpha=0.2, label="95 % interval"))
    if "pooled" in sources:
        diamond = Line2D([], [], marker="D", color=ORANGE, fillstyle="none", linestyle="", markersize=4)
        diamond.set_label("borrowed from the venue's pool")
        entries.append(diamond)
    if "refused" in sources:
        entries.append(Line2D([], [], marker="x", color=GREY, linestyle="", markersize=4, label="refused"))
    return entries
