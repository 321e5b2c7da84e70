"""Almgren-Chriss parameters of one token from a window of daily impact statistics, or the reasons why there are none.

    sigma        two-scale slope of the mids; for declared price bounds the state volatility at the last mid
    gamma        sum of the lag coefficients of mid moves on signed flow
    book_slope   mean b of the sampled books                epsilon  time-weighted half-spread + fee per share
    eta          b tau: a slice of n shares every tau costs epsilon + b n = epsilon + eta (n / tau)

A parameter that the data does not identify is refused, never guessed. Refusals of the whole window (days, coverage,
trades) refuse every parameter. Not estimated by this version: the resilience rate and the 95 % intervals.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from tributary_pipelines.analytics.calibration.identification import Findings, identify
from tributary_pipelines.analytics.calibration.impact_statistics import (
    ImpactStatistics,
    WindowStatistics,
    combine_impact_statistics,
)
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.core.errors import CalibrationError, ValidationError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import PARAMETER_UNITS, iso_z

__all__ = ["CODE_VERSION", "AlmgrenChrissParameters", "CalibrationGates", "Estimate", "calibrate"]

CODE_VERSION = "almgren_chriss_parameters/1"

#: Without these four there is no plan.
REQUIRED = ("sigma", "gamma", "epsilon", "book_slope")


@dataclass(frozen=True, slots=True)
class CalibrationGates:
    """Least data that a calibration needs.

    Parameters
    ----------
    min_trades : int
        Trades in the window.
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
) -> AlmgrenChrissParameters:
    """Calibrate one token from the days of [window_start, window_end).

    Parameters
    ----------
    days : sequence of ImpactStatistics
        Days of the market's token inside the window; days without data may be left out.
    market : Market
        Its tick, price bounds and fees are used.
    window_start, window_end : datetime
        Aware, 00:00 UTC; the result may be used from ``window_end`` on.
    gates : CalibrationGates
    eta_interval_s : float
        Slicing interval at which eta holds, s, > 0.

    Returns
    -------
    AlmgrenChrissParameters
        Its ``status`` is ``refused`` when sigma, gamma, epsilon or book_slope is, with every reason in words.

    Raises
    ------
    ValidationError
        ``eta_interval_s`` is not positive, or the window is empty.
    CalibrationError
        Days outside the window or of another token, a day given twice, or days of different versions.
    """
    if not (eta_interval_s > 0 and isfinite(eta_interval_s)):
        raise ValidationError(f"eta_interval_s is {eta_interval_s}; it must be a positive number of seconds")
    window = combine_impact_statistics(days)
    _check_days(window, market, window_start, window_end)
    coverage = _coverage(window, window_start, window_end)
    found = identify(window, market, window_end=window_end, eta_interval_s=eta_interval_s)
    _apply_gates(found, window, gates, coverage, window_start)
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
        data_fingerprint=_fingerprint(window),
        **found.diagnostics,
    )


def _estimate(value: float | None, unit: str) -> Estimate:
    return Estimate(value, unit, None, None, "refused" if value is None else "own")


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
    """Refuse everything when the window as a whole holds too little; these reasons come first."""
    reasons = []
    n_trades = window.count("n_trades")
    if window.n_days < gates.min_days:
        reasons.append(f"there is data on {window.n_days} of the window's days; {gates.min_days} are needed")
    if n_trades < gates.min_trades:
        reasons.append(f"{n_trades} trades in the window; {gates.min_trades} are needed (min_trades_required)")
        found.flags.append("thin")
    if coverage < gates.min_coverage:
        since = max(start, window.first_snapshot_at or start)
        reasons.append(
            f"usable snapshots cover {coverage:.1%} of the time since {iso_z(since)}; "
            f"{gates.min_coverage:.0%} is needed (min_coverage)"
        )
    if reasons:
        found.reasons[:0] = reasons
        found.values.clear()


def _fingerprint(window: WindowStatistics) -> str:
    lines = [f"{day.day} {day.data_fingerprint}" for day in window.days]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
