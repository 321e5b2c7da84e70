"""Almgren-Chriss parameters of one token from a window of daily impact statistics, or the reasons why there are none.

    sigma        two-scale slope of the mids; for declared price bounds the state volatility at the last mid
    gamma        sum of the lag coefficients of mid moves on signed flow
    book_slope   mean b of the sampled books                epsilon  time-weighted half-spread + fee per share
    eta          b tau: a slice of n shares every tau costs epsilon + b n = epsilon + eta (n / tau)

A parameter that the data does not identify is refused, never guessed. Too few days or too little of the book refuse
every parameter; too few trades refuse gamma and rho, and gamma may then be borrowed (pooling.py). A series of
short-lived markets is calibrated as one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import numpy as np

from tributary_pipelines.analytics.calibration.cost_curves import display_sizes, mean_curve, power_law_exponent
from tributary_pipelines.analytics.calibration.findings import Findings
from tributary_pipelines.analytics.calibration.identification import identify
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.calibration.resampling import FEWEST_CLUSTERS, N_DRAWS, Measured
from tributary_pipelines.analytics.calibration.window_statistics import WindowStatistics, combine_impact_statistics
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.analytics.seasonality import variance_profile, volume_profile
from tributary_pipelines.analytics.volatility_measures import combine_measures, jump_share
from tributary_pipelines.core.errors import CalibrationError, ValidationError
from tributary_pipelines.core.frames import Float64Array1D
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import PARAMETER_UNITS, iso_z

__all__ = ["CODE_VERSION", "AlmgrenChrissParameters", "CalibrationGates", "Estimate", "calibrate"]

CODE_VERSION = "almgren_chriss_parameters/2"

#: Without these four there is no plan.
REQUIRED = ("sigma", "gamma", "epsilon", "book_slope")


_USED_OF_MARKET = {"tick_size", "price_min", "price_max", "fee_model", "fee_rate", "fee_exponent", "resolves_at"}
#: What too few trades leave without an answer; the rest is measured on the books.
NEED_TRADES = ("gamma", "resilience_rate")


@dataclass(frozen=True, slots=True)
class CalibrationGates:
    """Least data that a calibration needs.

    Parameters
    ----------
    min_trades : int
        Trades in the window, for gamma and rho.
    min_days : int
        Days of the window that hold data.
    min_coverage : float
        Share of the time since the first snapshot (or the window's start) within reach of a usable snapshot.
    """

    min_trades: int = 200
    min_days: int = 3
    min_coverage: float = 0.8


def calibrate(
    days: Sequence[ImpactStatistics],
    *,
    market: Market,
    window_start: datetime,
    window_end: datetime,
    gates: CalibrationGates,
    eta_interval_s: float = 1800.0,
    half_life_days: float | None = None,
) -> AlmgrenChrissParameters:
    """Calibrate one token, or a series of short-lived markets, from the days of [window_start, window_end).

    Parameters
    ----------
    days : sequence of ImpactStatistics
        Days of the market's token inside the window; days without data may be left out. Those of a series are
        the sums over its markets (calibration/series.py).
    market : Market
        Its tick, price bounds and fees are used; a series is given as a market with the series' id.
    window_start, window_end : datetime
        Aware, 00:00 UTC; the result may be used from ``window_end`` on.
    gates : CalibrationGates
    eta_interval_s : float
        Slicing interval at which eta holds, s, > 0.
    half_life_days : float, optional
        Age at which a day counts half; by default all days count the same.

    Returns
    -------
    AlmgrenChrissParameters
        Its ``status`` is ``refused`` when sigma, gamma, epsilon or book_slope is, with every reason in words.

    Raises
    ------
    ValidationError
        ``eta_interval_s`` or ``half_life_days`` is not positive, or the window is empty.
    CalibrationError
        Days outside the window or of another token, a day given twice, or days of different versions.
    """
    for name, number in (("eta_interval_s", eta_interval_s), ("half_life_days", half_life_days)):
        if number is not None and not (number > 0 and isfinite(number)):
            raise ValidationError(f"{name} is {number}; it must be a positive number")
    window = combine_impact_statistics(days, half_life_days=half_life_days)
    _check_days(window, market, window_start, window_end)
    coverage = _coverage(window, window_start, window_end)
    # Sums that are finite may overflow once multiplied; each step refuses what is not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        found = identify(window, market, window_end=window_end, eta_interval_s=eta_interval_s)
        _apply_gates(found, window, gates, coverage, window_start)
        described = {name: _finite(value) for name, value in {**found.diagnostics, **_diagnostics(window)}.items()}
    return AlmgrenChrissParameters(
        market_id=market.market_id,
        token_id=market.token_id,
        status="ok" if all(name in found.values for name in REQUIRED) else "refused",
        reasons=tuple(found.reasons),
        flags=tuple(found.flags),
        window_start=window_start,
        window_end=window_end,
        usable_from=window_end,
        n_days=window.n_days,
        n_trades=window.count("n_trades"),
        n_snapshots=window.count("n_snapshots"),
        coverage=coverage,
        eta_interval_s=eta_interval_s,
        estimates={name: _estimate(found.values.get(name), unit) for name, unit in PARAMETER_UNITS.items()},
        code_version=CODE_VERSION,
        data_fingerprint=_fingerprint(window, market, gates, eta_interval_s, half_life_days),
        **described,
    )


def _estimate(measured: Measured | None, unit: str) -> Estimate:
    if measured is None:
        return Estimate(None, unit, None, None, "refused")
    return Estimate(measured.value, unit, measured.ci_low, measured.ci_high, "own")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _diagnostics(window: WindowStatistics) -> dict[str, Any]:
    """Return what describes the window beside the parameters; arrays are tuples, NaN where nothing is known."""
    n_days, n_slopes = window.n_days, float(window.total("n_slopes"))
    hours = [window.by_day(name) for name in ("hour_move_sq", "hour_volume", "hour_n_moves")]
    measures = window.by_day("volatility_measures")
    jumps = jump_share(measures)
    curve = window.total("curve_sum") / n_slopes if n_slopes else None
    held = sum(weight for day, weight in zip(window.days, window.weights.tolist(), strict=True) if day.has_data)
    return {
        "trades_per_day": window.count("n_trades") / n_days if n_days else None,
        "flow_sq_per_day": float(window.total("traded_sq").sum()) / held if held else None,
        "flow_sq_error": _log_error(window, "traded_sq"),
        "volatility_measures": _tuple(combine_measures(measures)),
        "jump_share": jumps if isfinite(jumps) else None,
        "variance_profile": _tuple(variance_profile(window.dates, hours[0], hours[2], window.weights)),
        "volume_profile": _tuple(volume_profile(window.dates, hours[1], hours[2], window.weights)),
        "power_law_exponent": None if curve is None else power_law_exponent(curve),
        **_display_curves(window),
    }


def _log_error(window: WindowStatistics, name: str) -> float | None:
    """Return the bootstrap standard error of the logarithm of a sum over blocks; None with too few clusters."""
    resampling = window.resampling()
    draws = resampling.draws(window.blocks(name))
    known = draws[np.isfinite(draws) & (draws > 0)]
    enough = resampling.n_effective >= FEWEST_CLUSTERS and len(known) > 0.9 * N_DRAWS
    return float(np.log(known).std(ddof=1)) if enough else None


def _display_curves(window: WindowStatistics) -> dict[str, tuple[float, ...]]:
    """Return the cost curves of the days that were measured at the newest day's sizes."""
    unit = window.days[-1].cost_unit if window.days else None
    chosen = [day for day in window.days if day.cost_unit == unit]
    if unit is None:
        return {}
    curves = {
        f"cost_{side}": _tuple(mean_curve(*(np.sum([getattr(day, name) for day in chosen], axis=0) for name in names)))
        for side, names in (("buy", ("cost_buy_sum", "n_cost_buy")), ("sell", ("cost_sell_sum", "n_cost_sell")))
    }
    return {"cost_sizes": _tuple(display_sizes(unit)), **curves}


def _tuple(values: Float64Array1D) -> tuple[float, ...]:
    return tuple(values.tolist())


def _check_days(window: WindowStatistics, market: Market, start: datetime, end: datetime) -> None:
    where = f"market {market.market_id}, token {market.token_id}, window {iso_z(start)} to {iso_z(end)}"
    if not start < end:
        raise ValidationError(f"{where}: the window is empty; its end must lie after its start")
    for day in window.days:
        if (day.market_id, day.token_id) != (market.market_id, market.token_id):
            raise CalibrationError(f"{where}: statistics of market {day.market_id}, token {day.token_id} do not belong")
        if not start <= day.timestamp < end:
            raise CalibrationError(f"{where}: statistics of {day.day} lie outside the window; leave them out")


def _coverage(window: WindowStatistics, start: datetime, end: datetime) -> float:
    first = window.first_snapshot_at
    since = start if first is None else max(start, first)
    return window.covered_s / (end - since).total_seconds()


def _apply_gates(
    found: Findings, window: WindowStatistics, gates: CalibrationGates, coverage: float, start: datetime
) -> None:
    """Refuse everything when the window holds too little, gamma and rho when it holds too few trades."""
    reasons = []
    n_trades = window.count("n_trades")
    if window.n_days < gates.min_days:
        reasons.append(f"there is data on {window.n_days} of the window's days; {gates.min_days} are needed")
    if coverage < gates.min_coverage:
        since = max(start, window.first_snapshot_at or start)
        reasons.append(
            f"usable snapshots cover {coverage:.1%} of the time since {iso_z(since)}; "
            f"{gates.min_coverage:.0%} is needed (min_coverage)"
        )
    if reasons:
        found.values.clear()
    if n_trades < gates.min_trades:
        reasons.append(f"{n_trades} trades in the window; {gates.min_trades} are needed (min_trades_required)")
        found.flag("thin", when=True)
        for name in NEED_TRADES:
            found.values.pop(name, None)
    if not {"gamma", "book_slope", "resilience_rate"} <= found.values.keys():
        found.diagnostics |= dict.fromkeys(("transient_eta", "transient_eta_ci_low", "transient_eta_ci_high"))
    if not {"gamma", "book_slope"} <= found.values.keys():
        found.diagnostics["kappa_book"] = None
        found.flags[:] = [flag for flag in found.flags if flag != "kappa_mismatch"]
    found.reasons[:0] = reasons


def _fingerprint(window: WindowStatistics, market: Market, *settings: object) -> str:
    """Return the hash of all that decides the result: the days, what the market declares, gates and settings."""
    lines = [f"{day.day} {day.data_fingerprint}" for day in window.days]
    lines += [market.model_dump_json(include=_USED_OF_MARKET), *map(repr, settings)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
