"""Conditions on calibrated parameters: values and intervals are sound, history and Dagster's metadata agree.

What changed more than chance explains is found by drift.py.
"""

from collections.abc import Mapping
from datetime import timedelta
from math import isfinite

import pandas as pd

from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.defs.conditions.drift import check_drift
from tributary_pipelines.defs.conditions.violations import SUM_TOLERANCE, Row, Violations, as_list, as_number

#: A 95 % interval wider than the estimate itself says little more than its sign.
_WIDEST_INTERVAL = 1.0
_POSITIVE = ("sigma", "epsilon", "book_slope", "eta", "resilience_rate")
_REQUIRED = ("sigma", "gamma", "epsilon", "book_slope")


def check_parameters(rows: pd.DataFrame, trailing: pd.DataFrame) -> Violations:
    """Check stored parameters (rows of ALMGREN_CHRISS_PARAMETERS, one token) and their drift against earlier rows."""
    found = Violations()
    found.expect(len(rows) > 0, "no parameters are stored for these days; materialise them")
    for row in rows.to_dict("records"):
        day = f"{row['timestamp']:%Y-%m-%d}"
        found.expect(
            row["usable_from"] >= row["timestamp"] + timedelta(days=1), f"{day}: usable before its window ends"
        )
        if row["status"] == "refused":
            found.warnings.append(f"{day}: refused: {'; '.join(as_list(row['reasons'])) or 'no reason given'}")
            continue
        for name in PARAMETER_UNITS:
            _check_value(found, day, name, row)
            _check_interval(found, day, name, row)
        _check_pooling(found, day, row)
    check_drift(found, rows[rows["status"] != "refused"], trailing)
    return found


def _check_value(found: Violations, day: str, name: str, row: Row) -> None:
    value, source = as_number(row[name]), row[f"{name}_source"]
    is_missing = value is None
    found.expect(not is_missing or name not in _REQUIRED, f"{day}: {name} is missing and the status is {row['status']}")
    found.expect(is_missing == (source == "refused"), f"{day}: {name} = {value} and its source is {source}")
    if value is not None:
        found.expect(isfinite(value), f"{day}: {name} is not finite")
        found.expect(value > 0 or name not in _POSITIVE, f"{day}: {name} = {value:.6g} must be positive")


def _check_interval(found: Violations, day: str, name: str, row: Row) -> None:
    value, low, high = (as_number(row[key]) for key in (name, f"{name}_ci_low", f"{name}_ci_high"))
    if low is None or high is None:
        found.expect(low is None and high is None, f"{day}: the interval of {name} has one end only")
        found.prefer(value is None, f"{day}: {name} has no interval: how sure it is, is not known")
        return
    if value is None:
        found.expect(False, f"{day}: {name} has an interval and no value")
        return
    found.expect(isfinite(low) and isfinite(high), f"{day}: the interval of {name} is not finite")
    margin = SUM_TOLERANCE * abs(value)
    holds = low - margin <= value <= high + margin
    found.expect(holds, f"{day}: {name} = {value:.6g} lies outside its interval {low:.6g} to {high:.6g}")
    found.prefer(high - low <= _WIDEST_INTERVAL * abs(value), f"{day}: the interval of {name} is wider than its value")


def _check_pooling(found: Violations, day: str, row: Row) -> None:
    gamma, slope = as_number(row["gamma"]), as_number(row["book_slope"])
    if gamma is not None and slope is not None:
        found.expect(gamma < 2 * slope, f"{day}: gamma {gamma:.6g} is not below 2 b = {2 * slope:.6g}")
    for name in PARAMETER_UNITS:
        is_borrowed = row[f"{name}_source"] == "pooled"
        found.expect(name == "gamma" or not is_borrowed, f"{day}: {name} is pooled, only gamma may be")
    is_pooled = row["gamma_source"] == "pooled"
    found.expect(
        is_pooled == (row["status"] == "pooled"),
        f"{day}: the status is {row['status']} and gamma's source {row['gamma_source']}",
    )
    weight = as_number(row["pool_weight"])
    if is_pooled:
        is_share = weight is not None and 0 < weight <= 1
        found.expect(is_share, f"{day}: gamma is pooled with a weight of {weight}; it must lie above 0 and up to 1")


def check_history(rows: pd.DataFrame, shown: Mapping[str, Mapping[str, float | str]]) -> Violations:
    """Check that the parameter history in Dagster's metadata equals the result table.

    Parameters
    ----------
    rows
        Rows of ALMGREN_CHRISS_PARAMETERS, one token.
    shown
        Newest metadata by day (``YYYY-MM-DD``): status and the parameters as numbers.
    """
    found = Violations()
    stored = {f"{row['timestamp']:%Y-%m-%d}": row for row in rows.to_dict("records")}
    for day in sorted(stored.keys() | shown.keys()):
        if day not in stored or day not in shown:
            where = "in the result table" if day in stored else "in Dagster's history"
            found.prefer(False, f"{day}: parameters are only {where}; materialise the day again")
            continue
        differing = [key for key in ("status", *PARAMETER_UNITS) if not _same(stored[day], shown[day], key)]
        found.expect(not differing, f"{day}: Dagster's history and the result table differ in {', '.join(differing)}")
    return found


def _same(row: Row, shown: Mapping[str, float | str], key: str) -> bool:
    if key == "status":
        return bool(row[key] == shown.get(key))
    stored = None if row["status"] == "refused" else as_number(row[key])
    return stored == shown.get(key)
