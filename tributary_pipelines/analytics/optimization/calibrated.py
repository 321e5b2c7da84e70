"""The result of a calibration: six estimates with their window, diagnostics and reasons, and its row in the table."""

import json
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from math import log
from typing import Any, Literal

import pandas as pd

from tributary_pipelines.core.units import PARAMETER_UNITS, SECONDS_PER_DAY, iso_z

Source = Literal["own", "pooled", "refused"]

_COUNTS = ("n_days", "n_trades", "n_snapshots")
_LISTS = ("reasons", "flags", "pool_markets")
_ARRAYS = ("volatility_measures", "variance_profile", "volume_profile", "cost_sizes", "cost_buy", "cost_sell")
_TIMES = ("window_start", "window_end", "usable_from")
_TEXTS = ("market_id", "token_id", "status", "code_version", "data_fingerprint")


@dataclass(frozen=True, slots=True)
class Estimate:
    """One parameter; ``value`` is None exactly when ``source`` is refused.

    Parameters
    ----------
    value, ci_low, ci_high : float or None
        Estimate and 95 % interval, in ``unit``.
    unit : str
    source : str
        Where it comes from: own data, a pool, or refused.
    """

    value: float | None
    unit: str
    ci_low: float | None
    ci_high: float | None
    source: Source


@dataclass(frozen=True, slots=True)
class AlmgrenChrissParameters:
    """Calibrated parameters of one token; the fields are documented in core.result_frames.ALMGREN_CHRISS_PARAMETERS.

    ``estimates`` always holds all six names of core.units.PARAMETER_UNITS.
    """

    market_id: str
    token_id: str
    status: Literal["ok", "pooled", "refused"]
    reasons: tuple[str, ...]
    flags: tuple[str, ...]
    window_start: datetime
    window_end: datetime
    usable_from: datetime
    n_days: int
    n_trades: int
    n_snapshots: int
    coverage: float
    eta_interval_s: float
    estimates: dict[str, Estimate]
    code_version: str
    data_fingerprint: str
    last_mid: float | None = None
    r2: float | None = None
    gamma_own: float | None = None
    gamma_se: float | None = None
    gamma_hac_se: float | None = None
    gamma_t: float | None = None
    gamma_wide: float | None = None
    lead_t: float | None = None
    horizon_s: float | None = None
    side_attenuation: float | None = None
    kappa_profile: float | None = None
    kappa_book: float | None = None
    transient_eta: float | None = None
    transient_eta_ci_low: float | None = None
    transient_eta_ci_high: float | None = None
    lag_short_s: float | None = None
    lag_long_s: float | None = None
    sigma_window: float | None = None
    sigma_x: float | None = None
    jump_share: float | None = None
    volatility_measures: tuple[float, ...] = ()
    variance_profile: tuple[float, ...] = ()
    volume_profile: tuple[float, ...] = ()
    trades_per_day: float | None = None
    flow_sq_per_day: float | None = None
    flow_sq_error: float | None = None
    book_slope_buy: float | None = None
    book_slope_sell: float | None = None
    book_intercept: float | None = None
    power_law_exponent: float | None = None
    span_ticks: float | None = None
    cost_sizes: tuple[float, ...] = ()
    cost_buy: tuple[float, ...] = ()
    cost_sell: tuple[float, ...] = ()
    fee_per_share: float | None = None
    pool_weight: float | None = None
    pool_markets: tuple[str, ...] = ()

    @property
    def last_day(self) -> date:
        """Last day of the window, the day the row belongs to."""
        return (self.window_end - timedelta(days=1)).date()

    @property
    def half_life_s(self) -> float | None:
        """Half-life of transient impact, ln 2 / rho, s; None when rho is refused."""
        rate = self.value("resilience_rate")
        return None if rate is None else log(2) * SECONDS_PER_DAY / rate

    def value(self, name: str) -> float | None:
        """Return the value of one of the six parameters; None when it is refused."""
        return self.estimates[name].value

    def to_row(self) -> dict[str, Any]:
        """Return the row of the result table, stamped with the last day of the window."""
        row: dict[str, Any] = {"timestamp": self.window_end - timedelta(days=1)}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _LISTS:
                row[field.name] = json.dumps(list(value))
            elif field.name in _ARRAYS:
                row[field.name] = list(value)
            elif field.name != "estimates":
                row[field.name] = value
        for name, estimate in self.estimates.items():
            row[name] = estimate.value
            row[f"{name}_ci_low"], row[f"{name}_ci_high"] = estimate.ci_low, estimate.ci_high
            row[f"{name}_source"] = estimate.source
        return row

    @classmethod
    def from_row(cls, row: Any) -> "AlmgrenChrissParameters":
        """Return the parameters of a row of the result table (any mapping of its columns)."""
        values: dict[str, Any] = {"estimates": _read_estimates(row)}
        for field in fields(cls):
            if field.name != "estimates":
                values[field.name] = _read_cell(field.name, row[field.name])
        return cls(**values)

    def to_answer(self) -> dict[str, Any]:
        """Return the answer of ``tributary analytics calibrate``."""
        return {
            "market_id": self.market_id,
            "token_id": self.token_id,
            "status": self.status,
            "reasons": list(self.reasons),
            **{name: iso_z(getattr(self, name)) for name in _TIMES},
            "n_trades": self.n_trades,
            "n_snapshots": self.n_snapshots,
            "coverage": self.coverage,
            "eta_interval_s": self.eta_interval_s,
            "parameters": {
                name: {
                    "value": estimate.value,
                    "unit": estimate.unit,
                    "ci_low": estimate.ci_low,
                    "ci_high": estimate.ci_high,
                    "source": estimate.source,
                }
                for name, estimate in self.estimates.items()
            },
            "flags": list(self.flags),
            "code_version": self.code_version,
            "data_fingerprint": self.data_fingerprint,
        }


def _read_estimates(row: Any) -> dict[str, Estimate]:
    return {
        name: Estimate(
            _read_number(row[name]),
            unit,
            _read_number(row[f"{name}_ci_low"]),
            _read_number(row[f"{name}_ci_high"]),
            row[f"{name}_source"],
        )
        for name, unit in PARAMETER_UNITS.items()
    }


def _read_cell(name: str, value: Any) -> Any:
    if name in _TEXTS:
        return str(value)
    if name in _LISTS:
        # Null in a row of an earlier version, which did not know the column.
        return () if pd.isna(value) else tuple(json.loads(value))
    if name in _ARRAYS:
        return tuple(float("nan") if one is None else float(one) for one in (() if value is None else value))
    if name in _TIMES:
        return pd.Timestamp(value).tz_convert(UTC).to_pydatetime()
    return int(value) if name in _COUNTS else _read_number(value)


def _read_number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
