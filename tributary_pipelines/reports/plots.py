"""Plots of results as PNG bytes: parameter history, impact curve, trajectory.

From result types alone: nothing is read and no number is estimated here. Figures are drawn with matplotlib's Agg
canvas and without pyplot, so they are safe in threads and need no display. Every title says in words what is shown.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.plan import ExecutionPlan
from tributary_pipelines.core.units import PARAMETER_UNITS

_LABELS = {
    "sigma": "volatility sigma",
    "gamma": "permanent impact gamma",
    "epsilon": "half-spread and fee epsilon",
    "book_slope": "book slope b",
    "resilience_rate": "resilience rho",
    "eta": "temporary impact eta",
}
_CURVE_POINTS = 100


def parameter_history(rows: Sequence[AlmgrenChrissParameters]) -> bytes:
    """Return a PNG of the calibrated parameters over days, one panel each, with 95 % intervals where there are any.

    Parameters
    ----------
    rows : sequence of AlmgrenChrissParameters
        One market's calibrations in time order. Refused values are gaps, never zeros; a parameter that no row has
        gets no panel.

    Raises
    ------
    ValueError
        There are no rows.
    """
    if not rows:
        raise ValueError("a parameter history needs at least one calibration")
    names = [name for name in PARAMETER_UNITS if any(row.value(name) is not None for row in rows)]
    figure = Figure(figsize=(9, 1.2 + 1.7 * max(len(names), 1)), layout="constrained")
    figure.suptitle(f"Calibrated parameters of {rows[-1].market_id} by day ({len(rows)} days)", wrap=True)
    if not names:
        _write_instead(figure.subplots(), "every day is refused: " + "; ".join(rows[-1].reasons))
        return _png(figure)
    panels = np.atleast_1d(figure.subplots(len(names), sharex=True))
    for axes, name in zip(panels, names, strict=True):
        _history_panel(axes, rows, name)
    panels[-1].set_xlabel("usable from (UTC day)")
    figure.autofmt_xdate()
    return _png(figure)


def _history_panel(axes: Axes, rows: Sequence[AlmgrenChrissParameters], name: str) -> None:
    days = np.array([row.usable_from.replace(tzinfo=None) for row in rows], dtype="datetime64[us]")
    values = _column([row.estimates[name].value for row in rows])
    low = _column([row.estimates[name].ci_low for row in rows])
    high = _column([row.estimates[name].ci_high for row in rows])
    axes.plot(days, values, marker="o", markersize=3)
    if np.isfinite(low).any():
        axes.fill_between(days, low, high, alpha=0.2, label="95 % interval")
        axes.legend(loc="upper left", fontsize="small")
    axes.set_title(_LABELS[name], fontsize="small", loc="left")
    axes.set_ylabel(PARAMETER_UNITS[name], fontsize="small")
    axes.grid(alpha=0.3)


def impact_curve(parameters: AlmgrenChrissParameters) -> bytes:
    """Return a PNG of the cost per share of one market order against its size: epsilon + b n, and what of it stays.

    The mid moves by gamma n for good; a refused calibration gives a picture that says so.
    """
    figure, axes = _one_panel()
    window = f"{parameters.window_start.date()} to {parameters.window_end.date()}"
    axes.set_title(
        f"Impact of one market order in {parameters.market_id}, window {window}", wrap=True, fontsize="medium"
    )
    epsilon, slope, gamma = (parameters.value(name) for name in ("epsilon", "book_slope", "gamma"))
    if epsilon is None or slope is None:
        _write_instead(axes, "no impact curve, the parameters are refused: " + "; ".join(parameters.reasons))
        return _png(figure)
    # The size at which walking the book costs four times the half-spread shows both regimes.
    largest = 4 * epsilon / slope if epsilon > 0 and slope > 0 else 1.0
    sizes = np.linspace(0, largest, _CURVE_POINTS)
    axes.plot(sizes, epsilon + slope * sizes, label="average cost per share, epsilon + b n")
    axes.axhline(epsilon, linestyle=":", color="gray", label="half-spread and fee, epsilon")
    if gamma is not None:
        axes.plot(sizes, gamma * sizes, linestyle="--", label="shift of the mid that stays, gamma n")
    axes.set_xlabel("size of the order n (shares)")
    axes.set_ylabel("P (price units per share)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return _png(figure)


def trajectory(plan: ExecutionPlan) -> bytes:
    """Return a PNG of the shares that remain over the order's horizon, beside the even pace of TWAP."""
    figure, axes = _one_panel()
    shares, n_slices = plan.order.shares, plan.order.n_slices
    # The k-th slice leaves at the start of its interval, so what remains drops there and then stays.
    hours = np.concatenate(([0.0], plan.start_s, [plan.order.horizon_s])) / 3600
    even = shares * (1 - np.arange(1, n_slices + 1) / n_slices)
    for label, remaining, style in ((plan.strategy, plan.remaining, "-"), ("even pace (twap)", even, "--")):
        axes.step(hours, np.concatenate(([shares], remaining, [0.0])), style, where="post", label=label)
    axes.set_title(f"Shares remaining: {plan.order.side} {shares:,.8g} in {n_slices} slices by {plan.strategy}")
    axes.set_xlabel("time since release (hours)")
    axes.set_ylabel("shares remaining")
    axes.set_ylim(0, 1.03 * shares)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return _png(figure)


def _one_panel() -> tuple[Figure, Axes]:
    # Fixed margins: a layout engine takes half of the drawing time, and a backfill draws hundreds of these.
    figure = Figure(figsize=(7, 4.2))
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.13, top=0.91)
    return figure, figure.subplots()


def _column(values: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values])


def _write_instead(axes: Axes, message: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", wrap=True, transform=axes.transAxes)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
