"""Which parameters a window of impact statistics identifies, and in words why the others are not.

Each parameter has its own conditions here; conditions on the window as a whole (days, trades, coverage) are gates of
parameters.py.
"""

from dataclasses import dataclass, field
from datetime import datetime
from math import inf, isfinite, sqrt

import numpy as np

from tributary_pipelines.analytics.calibration.impact_statistics import WindowStatistics
from tributary_pipelines.analytics.calibration.lag_regression import LagFit, cluster_of_blocks, fit_lags
from tributary_pipelines.analytics.two_scale import TwoScaleVolatility, price_scale, two_scale_volatility
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import SECONDS_PER_DAY

LEAST_T = 2.0
SUSPICIOUS_LEAD_T = 3.0
SHALLOW_SPAN_TICKS = 12.0
MOST_TRANSIENT = 0.25


@dataclass(slots=True)
class Findings:
    """What the steps of one calibration find out.

    Parameters
    ----------
    values : dict
        Identified parameters by name, in the units of core.units.PARAMETER_UNITS.
    reasons : list of str
        Why the others are missing, each beginning with the parameter's name.
    flags : list of str
        Warnings that refuse nothing.
    diagnostics : dict
        Further columns of the result, None where unknown.
    """

    values: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    diagnostics: dict[str, float | None] = field(default_factory=dict)

    def refuse(self, name: str, reason: str, flag: str | None = None) -> None:
        """Note why a parameter is missing."""
        self.reasons.append(f"{name}: {reason}")
        if flag:
            self.flags.append(flag)


def identify(window: WindowStatistics, market: Market, *, window_end: datetime, eta_interval_s: float) -> Findings:
    """Estimate every parameter that the window identifies.

    Parameters
    ----------
    window : WindowStatistics
    market : Market
        Its tick, price bounds, fees and resolution time are used.
    window_end : datetime
    eta_interval_s : float
        Slicing interval at which eta holds, s.
    """
    found = Findings()
    found.diagnostics["last_mid"] = window.newest("last_mid")
    tick = market.tick_size if market.tick_size is not None else _least_tick(window)
    volatility = two_scale_volatility(
        window.total("move_sq"), window.total("n_moves"), window.total("move_scale_sq"), tick_size=tick
    )
    _find_sigma(found, window, volatility, market, window_end)
    _find_epsilon(found, window, market)
    _find_book_slope(found, window, eta_interval_s)
    clusters = cluster_of_blocks(window.block_days, len(window.days))
    _find_gamma(
        found, window, fit_lags(window.blocks("lag_xtx"), window.blocks("lag_xty"), window.blocks("lag_yty"), clusters)
    )
    found.refuse("resilience_rate", "not estimated by this version")
    return found


def _least_tick(window: WindowStatistics) -> float | None:
    return min((day.tick_size for day in window.days if day.tick_size is not None), default=None)


def _median_span(window: WindowStatistics) -> float | None:
    counts = window.span_counts
    below = np.cumsum(counts)
    return float(np.searchsorted(below, below[-1] / 2)) if below[-1] else None


def _is_scaled(window: WindowStatistics, market: Market) -> bool:
    """Whether the price scales of the days are those of the market's declared bounds."""
    bounds = (market.price_min, market.price_max)
    return market.price_min is not None and all((day.price_min, day.price_max) == bounds for day in window.days)


def _find_sigma(
    found: Findings, window: WindowStatistics, volatility: TwoScaleVolatility, market: Market, end: datetime
) -> None:
    is_scaled = _is_scaled(window, market)
    sigma, mid = volatility.sigma, found.diagnostics["last_mid"]
    found.diagnostics |= {
        "lag_short_s": volatility.lag_short_s,
        "lag_long_s": volatility.lag_long_s,
        "sigma_x": volatility.state_sigma if is_scaled else None,
    }
    if sigma is None or mid is None:
        found.refuse("sigma", volatility.reason or "there is no mid")
        return
    if is_scaled and volatility.state_sigma is not None:
        sigma = volatility.state_sigma * float(price_scale(np.array([mid]), market.price_min, market.price_max)[0])
    elif market.price_min is not None:
        found.flags.append("sigma_unscaled")
    found.values["sigma"] = sigma
    if volatility.is_tick_bound:
        found.flags.append("tick_bound")
    if _exceeds_bound(sigma, mid, market, end):
        found.flags.append("sigma_over_bound")


def _exceeds_bound(sigma: float, mid: float, market: Market, end: datetime) -> bool:
    """Whether a martingale between the bounds could not move that much until the market resolves."""
    if market.price_min is None or market.price_max is None or market.resolves_at is None:
        return False
    days_left = (market.resolves_at - end).total_seconds() / SECONDS_PER_DAY
    variance = max((mid - market.price_min) * (market.price_max - mid), 0.0)
    return days_left > 0 and sigma > sqrt(variance / days_left)


def _no_book(window: WindowStatistics) -> str:
    n_snapshots = window.count("n_snapshots")
    if not n_snapshots:
        return "there are no order-book snapshots in the window"
    return f"none of the {n_snapshots} snapshots shows a bid below an ask"


def _find_epsilon(found: Findings, window: WindowStatistics, market: Market) -> None:
    mid, held_s = found.diagnostics["last_mid"], float(window.total("spread_s"))
    fee = found.diagnostics["fee_per_share"] = None if mid is None else market.fee_per_share(mid)
    half_spread = float(window.total("spread_time")) / held_s if held_s else None
    if market.fee_model is None:
        found.flags.append("fee_unknown")
    if half_spread is None or fee is None:
        found.refuse("epsilon", _no_book(window))
    elif not isfinite(half_spread + fee):
        found.refuse("epsilon", "the quoted spreads are too large to sum")
    else:
        found.values["epsilon"] = half_spread + fee


def _find_book_slope(found: Findings, window: WindowStatistics, eta_interval_s: float) -> None:
    n = float(window.total("n_slopes"))
    b, buy, sell = (
        float(window.total(name)) / n if n else None for name in ("slope_sum", "slope_buy_sum", "slope_sell_sum")
    )
    span = _median_span(window)
    found.diagnostics |= {"book_slope_buy": buy, "book_slope_sell": sell, "span_ticks": span}
    if span is not None and span < SHALLOW_SPAN_TICKS:
        found.flags.append("book_shallow")
    if b is not None and isfinite(b) and b > 0:
        found.values["book_slope"] = b
        found.values["eta"] = b * eta_interval_s / SECONDS_PER_DAY
        return
    no_price = "the books display no depth beyond the best quotes, so that size has no price"
    found.refuse("book_slope", _no_book(window) if b is None else no_price)
    found.refuse("eta", "it is made from book_slope")


def _find_gamma(found: Findings, window: WindowStatistics, fit: LagFit) -> None:
    found.diagnostics |= {"r2": fit.r2, "gamma_t": fit.gamma_t, "lead_t": fit.lead_t}
    if fit.lead_t is not None and abs(fit.lead_t) > SUSPICIOUS_LEAD_T:
        found.flags.append("clock_lead")
    n_trades = window.count("n_trades")
    if not n_trades:
        found.refuse("gamma", "there are no trades in the window")
    elif n_trades == window.count("n_unsigned"):
        found.refuse("gamma", f"none of the {n_trades} trades names the taker's side", "no_side")
    elif fit.gamma is None:
        found.refuse("gamma", fit.reason or "not identified")
    elif (problem := _gamma_problem(fit.gamma, fit, found.values.get("book_slope", inf))) is not None:
        found.refuse("gamma", *problem)
    else:
        found.values["gamma"] = fit.gamma


def _gamma_problem(gamma: float, fit: LagFit, book_slope: float) -> tuple[str, str | None] | None:
    """Return why an estimate of gamma must not be used, and its flag."""
    if gamma <= 0:
        return f"the estimate {gamma:.3g} P/share is not positive", "gamma_nonpos"
    if fit.gamma_t is None or fit.gamma_t < LEAST_T:
        t = "unknown" if fit.gamma_t is None else f"{fit.gamma_t:.2f}"
        return f"flow does not explain the moves of the mid: t is {t}, {LEAST_T:g} is needed", None
    if fit.transient_share > MOST_TRANSIENT:
        left = f"about {fit.transient_share:.0%} of it would still fade after the 11 minutes that are measured"
        return f"{gamma:.3g} P/share is not all permanent: {left}", "slow_resilience"
    if gamma >= 2 * book_slope:
        text = f"{gamma:.3g} P/share is not below twice the book slope {book_slope:.3g}: no schedule would be optimal"
        return text, "gamma_ge_2b"
    return None
