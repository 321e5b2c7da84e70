"""Pictures of one calibration or one plan as PNG bytes: impact curve, week profile, trajectory.

From result types alone: nothing is read and no number is estimated here. Every title says in words what is shown. The
history of calibrations is drawn in history_plot.py.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.analytics.optimization.plan import ExecutionPlan
from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.reports.figures import BLUE, GREY, ORANGE, column, one_panel, png, short_name, write_instead

_CURVE_POINTS = 100
#: On a deep book the far levels would hide what happens near the quotes.
_MOST_HALF_SPREADS = 10.0
#: Multiple of the mean hour that is darkest in a week's profile.
_DARKEST = 3.0
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def impact_curve(parameters: AlmgrenChrissParameters) -> bytes:
    """Return a PNG of the cost per share of one market order against its size: as measured, as fitted, what stays.

    Points are the mean costs of the sampled books against the mid, without a fee; the line is the half-spread + b n,
    the dashed one the shift of the mid that stays, gamma n, both with 95 % bands. A calibration without epsilon or book
    slope gives a picture that says why.
    """
    figure, axes = one_panel()
    _title(axes, parameters)
    epsilon, slope, gamma = (parameters.estimates[name] for name in ("epsilon", "book_slope", "gamma"))
    if epsilon.value is None or slope.value is None:
        write_instead(axes, "no impact curve, the parameters are refused: " + "; ".join(parameters.reasons))
        return png(figure)
    half_spreads, slopes = _shifted(epsilon, -(parameters.fee_per_share or 0.0)), _shifted(slope, 0.0)
    largest = _largest(parameters, half_spreads[1], slopes[1])
    sizes = np.linspace(0, largest, _CURVE_POINTS)
    costs = [h + b * sizes for h, b in zip(half_spreads, slopes, strict=True)]
    _line(axes, sizes, costs, color=BLUE, style="-", label="cost per share: half-spread + b n, 95 % band")
    _measured(axes, parameters, largest)
    if gamma.value is not None:
        borrowed = ", borrowed" if gamma.source == "pooled" else ""
        label = f"of it stays in the mid: gamma n{borrowed}, 95 % band"
        _line(axes, sizes, [g * sizes for g in _shifted(gamma, 0.0)], color=ORANGE, style="--", label=label)
    _size_axis(axes, largest)
    return png(figure)


def impact_curve_text(parameters: AlmgrenChrissParameters) -> str:
    """Return what the impact curve shows, for those who cannot see it."""
    shown = {name: parameters.value(name) for name in ("epsilon", "book_slope", "gamma")}
    numbers = ", ".join(f"{name} {'unknown' if value is None else f'{value:.3g}'}" for name, value in shown.items())
    return f"Cost per share of one market order in {parameters.market_id} against its size: {numbers}"


def _title(axes: Axes, found: AlmgrenChrissParameters) -> None:
    window = f"{found.window_start.date()} to {found.window_end.date()}"
    title = f"Impact of one market order in {short_name(found.market_id)}\n{window}, {found.n_trades:,} trades"
    axes.set_title(title, fontsize="medium")


def _shifted(estimate: Estimate, by: float) -> tuple[float, float, float]:
    """Return low end, value and high end; the value itself where no interval is known."""
    assert estimate.value is not None
    ends = [estimate.value if end is None else end for end in (estimate.ci_low, estimate.ci_high)]
    return ends[0] + by, estimate.value + by, ends[1] + by


def _largest(found: AlmgrenChrissParameters, half_spread: float, slope: float) -> float:
    """Return the largest size to draw: the last that was measured and costs at most ten half-spreads."""
    costs = np.fmax(column(found.cost_buy), column(found.cost_sell))
    shown = np.isfinite(costs) & (costs <= _MOST_HALF_SPREADS * half_spread)
    if shown.any():
        return float(column(found.cost_sizes)[shown][-1])
    # Nothing measured: both regimes show up to where walking the book costs four times the half-spread.
    return 4 * half_spread / slope if half_spread > 0 and slope > 0 else 1.0


def _line(
    axes: Axes, sizes: Float64Array1D, curves: Sequence[Float64Array1D], *, color: str, style: str, label: str
) -> None:
    low, value, high = curves
    axes.plot(sizes, value, style, color=color, label=label)
    axes.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)


def _measured(axes: Axes, found: AlmgrenChrissParameters, largest: float) -> None:
    """Mark the mean costs of both sides; sizes that too few books could fill have no mark."""
    sizes = column(found.cost_sizes)
    for side, costs, marker in (("buying", found.cost_buy, "^"), ("selling", found.cost_sell, "v")):
        if costs:
            shown = np.isfinite(column(costs)) & (sizes <= largest)
            label = f"measured, {side} (books deep enough)"
            axes.plot(sizes[shown], column(costs)[shown], marker, color="black", fillstyle="none", label=label)


def _size_axis(axes: Axes, largest: float) -> None:
    axes.set_xlim(0, 1.03 * largest)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_xlabel("size of the order n (shares)")
    axes.set_ylabel("P (price units per share)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="upper left")


def week_profile(parameters: AlmgrenChrissParameters) -> bytes:
    """Return a PNG of how variance and volume spread over the hours of the week, as multiples of the mean hour.

    One square an hour, UTC; darker is more. An hour that the window never saw is hatched. A square is the mean of as
    many hours as the window has weeks, so a single dark one is mostly chance; the row "all" is the median of the days.
    """
    figure = Figure(figsize=(7, 5.6))
    figure.subplots_adjust(left=0.08, right=0.94, bottom=0.07, top=0.84, hspace=0.4)
    name, last_day = short_name(parameters.market_id), parameters.last_day
    figure.suptitle(
        f"Hours of the week in {name}\n{parameters.n_days} days up to {last_day}, 1 is the mean hour (UTC)",
        fontsize="medium",
    )
    upper, lower = figure.subplots(2, 1)
    _week_panel(figure, upper, column(parameters.variance_profile), "variance of the price")
    _week_panel(figure, lower, column(parameters.volume_profile), "traded volume")
    return png(figure)


def _week_panel(figure: Figure, axes: Axes, profile: Float64Array1D, label: str) -> None:
    is_known = np.isfinite(profile)
    if not is_known.any():
        write_instead(axes, f"nothing is known of the {label}")
        return
    week, known = np.where(is_known, profile, 0.0).reshape(7, 24), is_known.reshape(7, 24)
    of_all_days = [np.median(week[known[:, hour], hour]) if known[:, hour].any() else np.nan for hour in range(24)]
    shown = np.vstack([np.where(known, week, np.nan), np.full(24, np.nan), of_all_days])
    # One scale for both panels: what differs little looks alike. Squares beyond it would only pale all others.
    mesh = axes.imshow(shown, cmap="Blues", vmin=0, vmax=_DARKEST, aspect="auto")
    for day, hour in np.argwhere(~known):
        corner = (float(hour) - 0.5, float(day) - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, hatch="////", facecolor="none", edgecolor=GREY, linewidth=0))
    axes.set_title(label, fontsize="small", loc="left")
    axes.set_yticks((*range(7), 8), (*_WEEKDAYS, "all"), fontsize="small")
    axes.set_xticks(range(0, 24, 3), [f"{hour:02d}:00" for hour in range(0, 24, 3)], fontsize="small")
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, fraction=0.05, extend="max")
    bar.ax.tick_params(labelsize="small")


def trajectory(plan: ExecutionPlan) -> bytes:
    """Return a PNG of the shares that remain over the order's horizon, beside the even pace of TWAP."""
    figure, axes = one_panel()
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
    return png(figure)
