"""Which parameters a window of impact statistics identifies, with what interval, and in words why the others are not.

Each parameter has its own conditions here; conditions on the window as a whole (days, trades, coverage) are gates of
optimization/parameters.py. The order matters: the half-life of transient impact decides the lags of sigma and the
horizon of gamma.
"""

from datetime import datetime
from math import isfinite, log, sqrt

import numpy as np

from tributary_pipelines.analytics.calibration.findings import Findings
from tributary_pipelines.analytics.calibration.identified_gamma import find_gamma
from tributary_pipelines.analytics.calibration.resampling import Measured
from tributary_pipelines.analytics.calibration.resilience import ResilienceFit, fit_resilience, transient_eta
from tributary_pipelines.analytics.calibration.window_statistics import WindowStatistics
from tributary_pipelines.analytics.two_scale import (
    LAG_LADDER_S,
    TwoScaleVolatility,
    price_scale,
    two_scale_draws,
    two_scale_volatility,
)
from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import SECONDS_PER_DAY

SHALLOW_SPAN_TICKS = 12.0
#: Books stay alike for hours: shorter stretches of them are no independent evidence of b and epsilon, s.
BOOK_MEMORY_S = 21_600.0
#: Slicing interval at which eta~ is stated, s.
CHILD_INTERVAL_S = 60.0
#: Transient impact seen by the profile and by the book may differ this much, relative to the book's.
MOST_KAPPA_GAP = 0.3
#: The displayed prices' smallest step may be this many ticks, or one over this many.
MOST_TICK_GAP = 1.5
#: A market that resolves sooner after the window cannot be traded over days; its price moves by jumps.
NEAR_RESOLUTION_DAYS = 2.0


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
    resilience = fit_resilience(
        *(window.blocks(name) for name in ("decay_base", "decay_yy", "decay_fy", "decay_my")),
        resampling=window.resampling(),
    )
    _find_resilience(found, window, resilience)
    _find_sigma(found, window, market, window_end, resilience)
    _find_epsilon(found, window, market)
    _find_book_slope(found, window, market, eta_interval_s)
    gamma_draws = find_gamma(found, window, resilience)
    _compare_kappas(found, window, resilience, gamma_draws)
    if market.resolves_at is not None:
        days_left = (market.resolves_at - window_end).total_seconds() / SECONDS_PER_DAY
        found.flag("near_resolution", when=days_left < NEAR_RESOLUTION_DAYS)
    return found


def _find_resilience(found: Findings, window: WindowStatistics, fit: ResilienceFit) -> None:
    found.diagnostics["kappa_profile"] = fit.kappa
    if fit.half_life_s is None:
        found.refuse("resilience_rate", fit.reason or "not identified")
        return
    per_day = log(2) * SECONDS_PER_DAY
    rates = per_day / fit.half_life_draws
    found.values["resilience_rate"] = window.resampling().interval(per_day / fit.half_life_s, rates)


def _least_tick(window: WindowStatistics) -> float | None:
    return min((day.tick_size for day in window.days if day.tick_size is not None), default=None)


def _misses_tick(window: WindowStatistics, market: Market) -> bool:
    """Whether the books quote in clearly finer or coarser steps than the declared tick."""
    step = min((day.price_step for day in window.days if day.price_step is not None), default=None)
    if step is None or market.tick_size is None:
        return False
    return not 1 / MOST_TICK_GAP < step / market.tick_size < MOST_TICK_GAP


def _median_span(window: WindowStatistics) -> float | None:
    counts = window.span_counts
    below = np.cumsum(counts)
    return float(np.searchsorted(below, below[-1] / 2)) if below[-1] else None


def _is_scaled(window: WindowStatistics, market: Market) -> bool:
    """Whether the price scales of the days are those of the market's declared bounds."""
    bounds = (market.price_min, market.price_max)
    return market.price_min is not None and all((day.price_min, day.price_max) == bounds for day in window.days)


def _find_sigma(
    found: Findings, window: WindowStatistics, market: Market, end: datetime, resilience: ResilienceFit
) -> None:
    tick = market.tick_size if market.tick_size is not None else _least_tick(window)
    moves = [window.total(name) for name in ("move_sq", "n_moves", "move_scale_sq")]
    volatility = two_scale_volatility(*moves, tick_size=tick, half_life_s=resilience.half_life_s)
    is_scaled = _is_scaled(window, market)
    mid = found.diagnostics["last_mid"]
    found.diagnostics |= {
        "lag_short_s": volatility.lag_short_s,
        "lag_long_s": volatility.lag_long_s,
        "sigma_window": volatility.sigma,
        "sigma_x": volatility.state_sigma if is_scaled else None,
    }
    if resilience.is_slow:
        found.refuse("sigma", "impact fades so slowly that moves over more than 12 h would be needed")
        return
    if volatility.sigma is None or mid is None:
        found.refuse("sigma", volatility.reason or "there is no mid")
        return
    by_state = is_scaled and volatility.state_sigma is not None
    found.flag("sigma_unscaled", when=market.price_min is not None and not by_state)
    scale = float(price_scale(np.array([mid]), market.price_min, market.price_max)[0]) if by_state else 1.0
    sigma = _with_interval(window, volatility, by_state=by_state).scaled(scale)
    if not sigma.value > 0:
        found.refuse("sigma", f"the last mid {mid:g} stands at a price bound, where nothing moves")
        return
    found.values["sigma"] = sigma
    found.flag("tick_bound", when=volatility.is_tick_bound)
    found.flag("sigma_over_bound", when=_exceeds_bound(sigma.value, mid, market, end))


def _with_interval(window: WindowStatistics, volatility: TwoScaleVolatility, *, by_state: bool) -> Measured:
    """Return sigma (or sigma_x) with its interval; J and K stay as chosen in every draw."""
    assert volatility.lag_short_s is not None
    assert volatility.lag_long_s is not None
    value = volatility.state_sigma if by_state else volatility.sigma
    assert value is not None
    pair = [LAG_LADDER_S.index(int(lag)) for lag in (volatility.lag_short_s, volatility.lag_long_s)]
    resampling = window.resampling(longest_s=volatility.lag_long_s)
    names = ("move_sq", "n_moves", "move_scale_sq" if by_state else "n_moves")
    drawn = [resampling.draws(window.blocks(name)[:, pair]) for name in names]
    with np.errstate(invalid="ignore"):
        return resampling.interval(value, np.sqrt(two_scale_draws(*drawn, pair=(pair[0], pair[1]))))


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
    if window.count("n_usable"):
        return "none of the snapshots sampled every five minutes shows a bid below an ask"
    return f"none of the {n_snapshots} snapshots shows a bid below an ask"


def _find_epsilon(found: Findings, window: WindowStatistics, market: Market) -> None:
    mid = found.diagnostics["last_mid"]
    fee = found.diagnostics["fee_per_share"] = None if mid is None else market.fee_per_share(mid)
    found.flag("fee_unknown", when=market.fee_model is None)
    if fee is None or not window.total("spread_s") > 0:
        found.refuse("epsilon", _no_book(window))
        return
    half_spread = window.resampling(longest_s=BOOK_MEMORY_S).ratio(
        window.blocks("spread_time"), window.blocks("spread_s")
    )
    if not isfinite(half_spread.value + fee):
        found.refuse("epsilon", "the quoted spreads are too large to sum")
        return
    found.values["epsilon"] = half_spread.scaled(1.0, fee)


def _find_book_slope(found: Findings, window: WindowStatistics, market: Market, eta_interval_s: float) -> None:
    n = float(window.total("n_slopes"))
    names = {"book_slope_buy": "slope_buy_sum", "book_slope_sell": "slope_sell_sum", "book_intercept": "intercept_sum"}
    span = _median_span(window)
    means: dict[str, float | None] = {
        name: float(window.total(column)) / n if n else None for name, column in names.items()
    }
    found.diagnostics |= means | {"span_ticks": span}
    found.flag("tick_mismatch", when=_misses_tick(window, market))
    found.flag("book_shallow", when=span is not None and span < SHALLOW_SPAN_TICKS)
    books = window.resampling(longest_s=BOOK_MEMORY_S)
    slope = books.ratio(window.blocks("slope_sum"), window.blocks("n_slopes")) if n else None
    if slope is not None and isfinite(slope.value) and slope.value > 0:
        found.values["book_slope"] = slope
        found.values["eta"] = slope.scaled(eta_interval_s / SECONDS_PER_DAY)
        return
    no_price = "the books display no depth beyond the best quotes, so that size has no price"
    found.refuse("book_slope", _no_book(window) if slope is None else no_price)
    found.refuse("eta", "it is made from book_slope")


def _compare_kappas(
    found: Findings, window: WindowStatistics, resilience: ResilienceFit, gamma_draws: Float64Array1D
) -> None:
    """State 2 b - gamma and eta~ from it, and compare it with the transient impact that the mids show."""
    slope, gamma = found.values.get("book_slope"), found.values.get("gamma")
    if slope is None or gamma is None:
        return
    kappa = found.diagnostics["kappa_book"] = 2 * slope.value - gamma.value
    resampling = window.resampling()
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = resampling.draws(window.blocks("slope_sum")) / resampling.draws(window.blocks("n_slopes"))
    kappas = 2 * slopes - gamma_draws
    gap = abs((resilience.kappa or 0.0) - kappa)
    # Thirty per cent apart by sampling error alone says nothing (our addition).
    error = np.hypot(float(np.nanstd(kappas)), resilience.kappa_se or 0.0)
    is_apart = gap > MOST_KAPPA_GAP * kappa and gap > 2 * error
    found.flag("kappa_mismatch", when=is_apart and resilience.kappa_se is not None)
    if resilience.half_life_s is None:
        return
    eta = float(transient_eta(np.array([kappa]), np.array([resilience.half_life_s]), CHILD_INTERVAL_S)[0])
    measured = resampling.interval(eta, transient_eta(kappas, resilience.half_life_draws, CHILD_INTERVAL_S))
    found.diagnostics |= {
        "transient_eta": measured.value,
        "transient_eta_ci_low": measured.ci_low,
        "transient_eta_ci_high": measured.ci_high,
    }
