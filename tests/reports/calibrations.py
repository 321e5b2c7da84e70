"""Calibrations made by hand, for pictures and words: round values, so that every figure can be checked by eye."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import PARAMETER_UNITS

#: A half-life of ln 2 days per 1000 is 59.9 s.
VALUES = {
    "sigma": 0.03,
    "gamma": 4e-6,
    "epsilon": 0.0055,
    "book_slope": 1e-5,
    "resilience_rate": 1000.0,
    "eta": 1e-5 * 1800 / 86_400,
}
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
CENTS = Market(market_id="toy", token_id="yes", price_min=0, price_max=1, fee_model="none", venue="v")
DOLLARS = Market(market_id="toy", token_id="yes", quote_currency="USD", fee_model="bps", fee_rate=10)


def estimate(name: str, value: float | None, width: float | None = None, source: Any = "own") -> Estimate:
    if value is None:
        return Estimate(None, PARAMETER_UNITS[name], None, None, "refused")
    low, high = (None, None) if width is None else (value * (1 - width), value * (1 + width))
    return Estimate(value, PARAMETER_UNITS[name], low, high, source)


def calibrated(
    day: int = 0,
    *,
    is_refused: bool = False,
    width: float | None = None,
    sources: dict[str, str] | None = None,
    **changes: Any,
) -> AlmgrenChrissParameters:
    """A calibration of the window that ends with a day, counted from the first of March 2026.

    ``sources`` says which parameters are refused or pooled, ``changes`` are fields.
    """
    end = FIRST + timedelta(days=day)
    estimates = {}
    for name, value in VALUES.items():
        source = "refused" if is_refused else (sources or {}).get(name, "own")
        estimates[name] = estimate(name, None if source == "refused" else value, width, source)
    made = AlmgrenChrissParameters(
        market_id="toy",
        token_id="yes",
        status="refused" if is_refused else "ok",
        reasons=("too few trades: 12 of 200",) if is_refused else (),
        flags=(),
        window_start=end - timedelta(days=30),
        window_end=end,
        usable_from=end,
        n_days=30,
        n_trades=12_000,
        n_snapshots=1000,
        coverage=1.0,
        eta_interval_s=1800.0,
        last_mid=0.5,
        trades_per_day=400.0,
        # 100 shares each: 40,000 a day.
        flow_sq_per_day=400.0 * 100**2,
        fee_per_share=0.0,
        estimates=estimates,
        code_version="test/1",
        data_fingerprint="",
    )
    return replace(made, **changes)
