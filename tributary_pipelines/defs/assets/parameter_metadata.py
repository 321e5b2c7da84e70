"""What the UI shows of one calibration: every parameter with its interval, the window, diagnostics, tables, a picture.

Numbers are plotted over partitions by their key, so keys never change their meaning. A refused calibration shows
reasons, flags and counts, and no parameter: a gap in the plot.
"""

from collections.abc import Sequence
from datetime import date
from math import isfinite, sqrt

import pandas as pd

from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.analytics.volatility_measures import MEASURES
from tributary_pipelines.defs.metadata import image
from tributary_pipelines.reports.plots import impact_curve, impact_curve_text, week_profile

_DAYS_OF_WEEK = 7
_WINDOW = (
    "status", "market_id", "token_id", "window_start", "window_end", "usable_from", "n_days", "n_trades",
    "n_snapshots", "coverage", "code_version", "data_fingerprint",
)  # fmt: skip
_NUMBERS = (
    "r2", "gamma_own", "gamma_se", "gamma_hac_se", "gamma_t", "gamma_wide", "lead_t", "horizon_s", "side_attenuation",
    "kappa_profile", "kappa_book", "transient_eta", "transient_eta_ci_low", "transient_eta_ci_high", "lag_short_s",
    "lag_long_s", "sigma_x", "jump_share", "trades_per_day", "book_slope_buy", "book_slope_sell", "book_intercept",
    "power_law_exponent", "span_ticks", "fee_per_share", "pool_weight", "eta_interval_s", "last_mid", "half_life_s",
)  # fmt: skip


def describe_parameters(
    found: Sequence[AlmgrenChrissParameters], *, with_picture: bool
) -> dict[date, dict[str, object]]:
    """Return what the UI shows of each window, by its last day; the last one can also show its pictures."""
    described = {one.last_day: parameter_values(one) for one in found}
    if with_picture and found[-1].status != "refused":
        described[found[-1].last_day] |= _pictures(found[-1])
    return described


def _pictures(found: AlmgrenChrissParameters) -> dict[str, object]:
    """Return the impact curve and, where every day of the week was seen, the hours of the week."""
    shown: dict[str, object] = {"impact_curve": image(impact_curve(found), impact_curve_text(found))}
    if found.n_days >= _DAYS_OF_WEEK:
        alt = f"Variance and volume of {found.market_id} by hour of the week, as multiples of their means"
        shown["week_profile"] = image(week_profile(found), alt)
    return shown


def parameter_values(found: AlmgrenChrissParameters) -> dict[str, object]:
    """Return a calibration's numbers by name; a refused one has reasons and counts, and no parameter."""
    values: dict[str, object] = {name: getattr(found, name) for name in _WINDOW}
    values |= {"reasons": found.reasons or None, "flags": found.flags or None}
    if found.status == "refused":
        return values
    values |= {name: getattr(found, name) for name in _NUMBERS}
    for name, estimate in found.estimates.items():
        values |= {name: estimate.value, f"{name}_ci_low": estimate.ci_low, f"{name}_ci_high": estimate.ci_high}
    return values | {
        "pool_markets": found.pool_markets or None,
        "parameters": estimates_table(found),
        "volatility_by_estimator": volatility_table(found),
    }


def estimates_table(found: AlmgrenChrissParameters) -> pd.DataFrame:
    """Return a calibration's estimates with unit, interval and source, one row each."""
    return pd.DataFrame(
        [(name, one.value, one.unit, one.ci_low, one.ci_high, one.source) for name, one in found.estimates.items()],
        columns=["parameter", "value", "unit", "ci_low", "ci_high", "source"],
    )


def volatility_table(found: AlmgrenChrissParameters) -> pd.DataFrame | None:
    """Return sigma beside what other estimators say, P/day^0.5; variances that are negative or unknown are left out."""
    known = dict(zip(MEASURES, found.volatility_measures, strict=False))
    roots = {name: sqrt(value) for name, value in known.items() if isfinite(value) and value > 0}
    roots |= {name: known[name] for name in roots if name == "roll_half_spread"}
    if not roots:
        return None
    rows = [("two_scale (used)", found.value("sigma")), *roots.items()]
    return pd.DataFrame(rows, columns=["estimator", "P/day^0.5 (roll_half_spread: P)"])
